/* SPDX-License-Identifier: Apache-2.0 */
/* "kubefence try --no-container". */
#ifndef KF_KUBEFENCE_TRY_ALONE_H
#define KF_KUBEFENCE_TRY_ALONE_H

#include "kubefence/try/run.h"

/* Run the command in the launcher's sandbox, on this machine's own files, as whoever calls this;
 * if the profile has hosts, in a network in which there is the egress broker and nothing else.
 * Returns an exit code: the command's own, or what went wrong, which was reported. */
int try_alone_run(struct try_options *o);

#endif

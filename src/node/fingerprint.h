/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_FINGERPRINT_H
#define KF_NODE_FINGERPRINT_H

#include "node/payload.h"

/* The digest of everything that decides what install would do: the options, the programs to be
 * installed, the installed files, the runtime's program, and its configuration with everything it
 * imports.  While it equals the journal's there is nothing to do, and the runtime need not be
 * asked. */
int kf_fingerprint(const struct kf_node *node, const struct kf_payload *payload, kf_digest ret,
		   struct kf_err *err);

#endif

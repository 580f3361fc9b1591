/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_FINGERPRINT_H
#define KF_NODE_FINGERPRINT_H

#include "node/payload.h"

/* Digest of all that decides what install would do: the options, the programs
 * to be installed, the files that are installed, the runtime's program and
 * configuration with everything it imports.  As long as it is the journal's,
 * there is nothing to do, and nobody needs to be asked. */
int kf_fingerprint(const struct kf_node *node, const struct kf_payload *payload, kf_digest ret,
		   struct kf_err *err);

#endif

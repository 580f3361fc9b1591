/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the running runtime does what its configuration says. */
#ifndef KF_NODE_EFFECTS_H
#define KF_NODE_EFFECTS_H

#include "node/node.h"

/* Wait, at most the options' timeout, until the runtime answers on its CRI socket, lists all
 * @handlers there, and, if there are any and the options name it, serves NRI's socket. */
int kf_node_serves(const struct kf_node *node, const char *const *handlers, size_t nhandlers,
		   struct kf_err *err);

#endif

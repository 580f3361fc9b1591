/* SPDX-License-Identifier: Apache-2.0 */
/* What a node is, by what lies on it and what runs there. */
#ifndef KF_NODE_STATE_H
#define KF_NODE_STATE_H

#include "node/node.h"

/* In words, *ret; each part goes through @say, which may be NULL. */
int kf_node_state(const struct kf_node *node, kf_node_say *say, void *ctx, const char **ret,
		  struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a node, from the files on it and what runs there. */
#ifndef KF_NODE_STATE_H
#define KF_NODE_STATE_H

#include "node/node.h"

/* *ret is the state in words; each part is reported through @say, which may be NULL. */
int kf_node_state(const struct kf_node *node, kf_node_say *say, void *ctx, const char **ret,
		  struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files that we did not change and that have something of ours all the same. */
#ifndef KF_NODE_BESIDE_H
#define KF_NODE_BESIDE_H

#include "node/node.h"

/* One of them, with what it is to become. */
struct kf_beside {
	const char *path;
	const char *text;
	size_t n;
};

/* All that the runtime reads, less the journal's file: those into which somebody brought
 * tables of ours, as with 'containerd config dump' or by copying a drop-in.  In @arena. */
int kf_beside_find(const struct kf_node *node, struct kf_arena *arena, struct kf_beside **ret,
		   size_t *ret_n, struct kf_err *err);

#endif

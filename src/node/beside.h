/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files that we did not change but that have tables of ours. */
#ifndef KF_NODE_BESIDE_H
#define KF_NODE_BESIDE_H

#include "node/node.h"

/* One such file, and its text without our tables. */
struct kf_beside {
	const char *path;
	const char *text;
	size_t n;
};

/* Find them among all files that the runtime reads, except the one in the journal: somebody brought
 * our tables there, with 'containerd config dump' or by copying a drop-in.  In @arena. */
int kf_beside_find(const struct kf_node *node, struct kf_arena *arena, struct kf_beside **ret,
		   size_t *ret_n, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles of "kubefence node install --profiles". */
#ifndef KF_KUBEFENCE_NODE_PROFILES_H
#define KF_KUBEFENCE_NODE_PROFILES_H

#include "base/arena.h"
#include "node/node.h"

/* Compile every profile of directory @dir and the built-in ones for 'node install'. All problems
 * are printed on stderr.  What *ret points to lives in @arena. */
int kf_install_profiles(const char *dir, struct kf_arena *arena, const struct kf_node_profile **ret,
			size_t *ret_n, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where a network namespace lies in the file system. */
#ifndef KF_NONO_RUNC_PINNED_H
#define KF_NONO_RUNC_PINNED_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* The path where the runtime keeps the network namespace @inode, which is there as long as the pod
 * is, and which the broker's parent sees as we do.  containerd's config.json has the path in /proc
 * of the pod's first process instead, CRI-O's has this one.  @mounts is
 * KF_GUARD_MOUNTS, or a file like it. */
int kf_guard_pinned(const char *mounts, uint64_t inode, struct kf_arena *arena, const char **ret,
		    struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The volumes of the container that this process is in. */
#ifndef KF_GRANTS_VOLUMES_H
#define KF_GRANTS_VOLUMES_H

#include "grants/tree.h"

/* Whether what is mounted at @path is a volume: neither the runtime's nor ours. */
bool kf_volumes_is(const char *path);
/* As volumes() of struct kf_tree. */
int kf_volumes_each(bool pinned, kf_volume_fn *fn, void *ctx, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_REVIEW_H
#define KF_NONO_RUNC_REVIEW_H

#include "base/err.h"
#include "oci/view.h"
#include "plan/settings.h"

/* Gives a container overlays in the place of the volumes that the pod's annotations name for
 * review: what it writes stays on the node until somebody commits it (review/overlay.h).  All
 * containers of a pod see the same one.  @bundle is where config.json lies; @root and @id are the
 * container's. */
int kf_guard_review_create(struct kf_oci *oci, const struct kf_settings *settings,
			   const char *bundle, const char *root, const char *id,
			   struct kf_err *err);

/* Let the container's processes go on if a commit, which was killed, has stopped them: or the
 * runtime could not even end them. */
void kf_guard_review_wake(const char *root, const char *id);

/* The container is gone, or will not be. */
void kf_guard_review_drop(const char *root, const char *id);

/* The kubelet's directory of the pod, from where its mounts come; NULL if none does. */
const char *kf_guard_pod_directory(const struct kf_view *view, struct kf_arena *arena);

#endif

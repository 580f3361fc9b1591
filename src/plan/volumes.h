/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations about a pod's volumes: nono.sh/volume.NAME is "review", or "review:/PATH[:/PATH...]"
 * with where containers mount it. */
#ifndef KF_PLAN_VOLUMES_H
#define KF_PLAN_VOLUMES_H

#include "base/err.h"
#include "plan/view.h"

#include <stdbool.h>

#define KF_ANNOTATION_VOLUME "nono.sh/volume."

/* A volume whose changes are to be reviewed. */
struct kf_plan_review {
	const char *volume;
	const char *paths; /* ":/PATH..."; "": the kubelet's directory of that name says which */
};

/* The first such annotation at or behind *at, which is moved behind it: 1, 0 if there is none, or
 * -1 and the reason if one is not understood. */
int kf_plan_review_next(const struct kf_view *view, size_t *at, struct kf_plan_review *ret,
			struct kf_err *err);
/* Whether the clean path @destination is one of @review's. */
bool kf_plan_review_names(const struct kf_plan_review *review, const char *destination);

#endif

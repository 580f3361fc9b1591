/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_VIEW_H
#define KF_NONO_NRI_VIEW_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/view.h"

#include <nri/nri.h>

/* A container as it would become by the merged adjustment of all plugins, as
 * kf_nri_view() otherwise; @adjust may be NULL. */
int kf_view_adjusted(const Nri__PodSandbox *pod, const Nri__Container *container,
		     const Nri__ContainerAdjustment *adjust, struct kf_arena *arena,
		     struct kf_view *ret, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_VIEW_H
#define KF_NONO_NRI_VIEW_H

#include "base/arena.h"
#include "base/err.h"
#include "policy/view.h"

#include <nri/nri.h>

/* What the plan needs to know, from NRI's messages.  Strings stay where they
 * are and arrays of strings too; what is built lives in @arena.  All return 0, or
 * -1 when memory runs out. */

/* A container before it is created, or (at StartContainer and Synchronize) as
 * it finally is. */
int kf_view_from_nri(const Nri__PodSandbox *pod, const Nri__Container *container,
		     struct kf_arena *arena, struct kf_view *ret, struct kf_err *err);

/* A container as it would become by the merged adjustment of all plugins;
 * @adjust may be NULL. */
int kf_view_adjusted(const Nri__PodSandbox *pod, const Nri__Container *container,
		     const Nri__ContainerAdjustment *adjust, struct kf_arena *arena,
		     struct kf_view *ret, struct kf_err *err);

#endif

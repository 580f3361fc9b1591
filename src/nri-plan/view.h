/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_PLAN_VIEW_H
#define KF_NRI_PLAN_VIEW_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/view.h"

#include <nri/nri.h>

/* NRI's messages as a view, for the plan.  @ret borrows every string from the
 * messages; its arrays live in @arena.  Fails only for want of memory (ENOMEM). */
int kf_nri_view(const Nri__PodSandbox *pod, const Nri__Container *container, struct kf_arena *arena,
		struct kf_view *ret, struct kf_err *err);

/* A seccomp policy as the plan has it. */
int kf_nri_seccomp_view(const Nri__LinuxSeccomp *msg, struct kf_arena *arena,
			const struct kf_seccomp **ret, struct kf_err *err);

#endif

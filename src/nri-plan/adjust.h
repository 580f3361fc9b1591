/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_PLAN_ADJUST_H
#define KF_NRI_PLAN_ADJUST_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/plan.h"

#include <nri/nri.h>

/* What is the same for every container: the read-only bind mount of the
 * launcher's directory @source at /nono.  Initialises *ret; borrows @source. */
void kf_nri_launcher_mount(const char *source, Nri__Mount *ret);

/* @plan (KF_SANDBOX) as an adjustment without the launcher's mount and without
 * seccomp: args as a plain list, so that another plugin that sets them is a
 * conflict and not a silent replacement; NONO_PROFILE; removal of the plan's
 * mounts.  Borrows from the plan, arrays live in @arena. */
int kf_nri_adjust(const struct kf_plan *plan, struct kf_arena *arena,
		  Nri__ContainerAdjustment **ret, struct kf_err *err);

/* A seccomp policy as a message, in @arena. */
int kf_nri_seccomp_message(const struct kf_seccomp *seccomp, struct kf_arena *arena,
			   Nri__LinuxSeccomp **ret, struct kf_err *err);

#endif

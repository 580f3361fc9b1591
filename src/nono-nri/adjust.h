/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_ADJUST_H
#define KF_NONO_NRI_ADJUST_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/plan.h"

#include <nri/nri.h>

/* A plan as NRI's answer to CreateContainer.  What many answers have in common
 * (the launcher's mount and a constant seccomp policy) is encoded once. */

struct kf_adjust_part;

struct kf_adjust {
	char *launcher_dir;
	struct kf_adjust_part *parts;
};

int kf_adjust_init(struct kf_adjust *adjust, const char *launcher, struct kf_err *err);
void kf_adjust_done(struct kf_adjust *adjust);

/* Put together the answer for @plan, which is KF_SANDBOX, for a runtime with
 * @features.  On failure the request must be refused. */
int kf_adjust_reply(struct kf_adjust *adjust, const struct kf_plan *plan,
		    const struct nri_features *features, struct kf_arena *arena,
		    struct nri_reply *reply, struct kf_err *err);

#endif

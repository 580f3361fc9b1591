/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's part of egress by name: it closes a pod's network through the broker before any of
 * the pod's containers exists, and starts them so that they cannot get around that.
 *
 * A pod has one network, so what its annotations say decides for all of its containers: if one of
 * the profiles that they name has rules for the broker, the pod is closed by these rules when its
 * first container is created, and a container under another profile is closed with it. */
#ifndef KF_NONO_RUNC_EGRESS_H
#define KF_NONO_RUNC_EGRESS_H

#include "base/arena.h"
#include "base/err.h"
#include "nono-runc/profiles.h"
#include "oci/view.h"
#include "plan/plan.h"

/* Profiles of a pod's other containers that annotations name. */
#define KF_EGRESS_OTHERS 16

struct kf_guard_egress {
	struct kf_arena *arena;
	struct kf_oci *oci;
	const struct kf_settings *settings; /* with its profiles */
	const struct kf_plan *plan;
	const char *root, *id; /* of the container */
	/* The profiles that come into question, and their texts.  The first is the default one, the
	 * second the pod's own or NULL. */
	const char *const *names;
	const struct kf_profile_text *texts;
	size_t nnames;
};

/* Names of other containers' profiles in annotations, into @ret; the others are NULL. */
int kf_guard_egress_names(const struct kf_view *view, const char *ret[static KF_EGRESS_OTHERS],
			  struct kf_err *err);

/* Before a container is created on a node with a broker.  If its pod is to be closed, have that
 * done; *policy, the container's own, is then replaced by one that closes what the broker's rules
 * cannot see, @plan takes the Secrets' mounts away, and @oci is changed: variables are set, and
 * CAP_NET_RAW goes.  Whatever fails, the container must not be created. */
int kf_guard_egress_create(const struct kf_guard_egress *egress, struct kf_plan *plan,
			   struct kf_profile_text *policy, struct kf_err *err);

/* Before a process enters a container: what was changed for the first one is changed for it.  @oci
 * is NULL if its flags, @nflags at @flags, are all that there is. */
int kf_guard_egress_enter(const char *root, const char *id, struct kf_oci *oci, char *const *flags,
			  int nflags, struct kf_err *err);

/* The container has gone, or will not come. */
void kf_guard_egress_drop(const char *root, const char *id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PLAN_PLAN_H
#define KF_PLAN_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "flat/launcher.h"
#include "plan/settings.h"
#include "plan/view.h"

#include <stdbool.h>

/* The one place where it is decided what happens to a container.  Pure: no I/O, no clock, no
 * globals.  The plugin and the guard both call it, so they never disagree. */

enum kf_decision { KF_SKIP, KF_SANDBOX, KF_REFUSE };

/* How the launcher is reached from inside the container. */
struct kf_launch {
	bool by_fd;	 /* the guard's sealed memfds; else by the plugin's path */
	int launcher_fd; /* with by_fd: their numbers inside the container */
	int policy_fd;
	int report_fd; /* the launcher reports there if it could not start the program */
	/* For the plugin: the guard runs after it for this handler, and sets the container's
	 * seccomp policy. */
	bool guard_follows;
};

struct kf_plan {
	enum kf_decision decision;
	/* KF_SKIP: one of the log's skip reasons.  KF_REFUSE: a sentence for the
	 * pod's events: what is wrong, with what, and what to do. */
	const char *reason;
	/* KF_REFUSE: what it is about in one word of ours, for counting. */
	const char *code;
	/* All below only for KF_SANDBOX. */
	const struct kf_profile_info *profile;
	const char *const *args; /* the whole new argv */
	size_t nargs;
	bool egress; /* the container's only way out is the egress broker, by the profile's rules */
	bool already_wrapped; /* @args is a rewrite of the plugin's own prefix, same profile */
	const char *const *remove_mounts; /* destinations, as the view spells them */
	size_t nremove_mounts;
	/* The pod's own files, to be mounted read-only: the image's symlinks can lead to them by
	 * paths that no rule of the launcher can foresee. */
	const struct kf_view_mount *const *read_only;
	size_t nread_only;
	const struct kf_seccomp *seccomp; /* to be set; NULL = leave as it is */
	/* Our level, if @seccomp is an intersection with it that was worked out now, in the arena
	 * (see struct kf_seccomp_known); otherwise NULL. */
	const struct kf_seccomp *intersected;
};

/* Decide about @view.  Results live in @arena and borrow from @settings and @view.  Returns -1 only
 * when memory runs out (ENOMEM); the caller then refuses the container. */
int kf_plan_container(const struct kf_settings *settings, const struct kf_view *view,
		      const struct kf_launch *launch, struct kf_arena *arena, struct kf_plan *ret,
		      struct kf_err *err);

/* Number of leading elements of @args that are exactly our prefix
 * ("/nono/nono" "wrap" "--profile" NAME "--", or if @launch is by descriptor also
 * the guard's own), 0 if they are not.  With
 * *@ret_profile (may be NULL) set to NAME. */
size_t kf_plan_prefix(const struct kf_launch *launch, const char *const *args, size_t nargs,
		      const char **ret_profile);

/* Check a container as it is about to start, after every other plugin, against what
 * kf_plan_container() must have made of it: our prefix comes first in its arguments and names the
 * right profile, the last mount at or under /nono is our own launcher directory, and there is no
 * mount where the profile denies one.  A container that is not in scope passes.  Returns 0, or -1
 * and *err with the reason. */
int kf_verify_container(const struct kf_settings *settings, const struct kf_view *view,
			struct kf_err *err);

#endif

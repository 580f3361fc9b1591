/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GRANTS_GRANTS_H
#define KF_GRANTS_GRANTS_H

#include "flat/flat.h"
#include "grants/tree.h"
#include "grants/vars.h"
#include "sandbox/domain.h"
#include "sandbox/landlock.h"

#include <stdbool.h>
#include <stdint.h>

/* Access to list directories at and below an object, beside the KF_FS_* bits. */
#define KF_GRANT_LIST 8u

/* One object that the policy makes accessible. */
struct kf_grant {
	int fd;		  /* borrowed */
	const char *path; /* for people; as the policy or the directory names it */
	const char *real; /* where it lies, no symlink in it */
	unsigned access;  /* KF_FS_* and KF_LANDLOCK_CONNECT, or KF_GRANT_LIST */
	enum kf_landlock_place place;
	const struct kf_rule *rule; /* NULL: from the command line */
};

/* Who is told about them: Landlock, or people who ask. */
struct kf_grant_sink {
	int (*grant)(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err);
	/* A rule, or a part of it, that grants nothing, and why; may be NULL. */
	void (*skip)(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		     const char *why);
	/* It asks from inside the sandbox, and looks after denials itself: that /home cannot be
	 * listed from there says nothing about what was granted. */
	bool inside;
};

/* A path that the command line grants on top of the policy; stand-alone use only. */
struct kf_option_grant {
	const char *path;
	unsigned access; /* KF_FS_* */
	bool file;	 /* must not be a directory */
};

/* What is applied, and where. */
struct kf_scene {
	const struct kf_tree *tree;
	const struct kf_policy *policy;
	const struct kf_vars *vars;
	const struct kf_option_grant *options;
	size_t noptions;
};

/* Turn the file-system rules of the policy, and those of the command line, into
 * grants on what exists now.  Nothing that is denied, and no directory above
 * it, is ever granted. */
int kf_grants_walk(const struct kf_scene *scene, struct kf_grant_sink *sink, struct kf_err *err);

/* The same for a process that enters a container whose first process has decided: the objects
 * of @domain that are still where they were.  Only what lies in /proc is looked up anew, as it
 * is the process's own. */
int kf_grants_again(const struct kf_domain *domain, const struct kf_scene *scene,
		    struct kf_grant_sink *sink, struct kf_err *err);

#endif

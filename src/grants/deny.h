/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GRANTS_DENY_H
#define KF_GRANTS_DENY_H

#include "flat/flat.h"
#include "grants/tree.h"
#include "grants/vars.h"

#include <stdbool.h>
#include <stddef.h>

/* The policy's "fs deny" paths that exist, as the kernel names them. */
struct kf_denied {
	char *path;
	const struct kf_rule *rule;
	/* Something is there to be kept away (the tree's live()).  Only then is a grant
	 * above the path replaced by grants around it. */
	bool live;
	/* "fs readonly": only writing is kept away. */
	bool readonly;
};

struct kf_deny {
	struct kf_denied *at;
	size_t n, cap;
	bool any_live;
};

/* A directory that "~" stands for. */
struct kf_home {
	char *path;
	int fd; /* opened to be listed, which happens once; -1 if it was not opened yet */
};

/* "~" stands for each of @homes, which stay the caller's. */
int kf_deny_collect(const struct kf_tree *tree, const struct kf_policy *policy,
		    const struct kf_vars *vars, const struct kf_home *homes, size_t nhomes,
		    struct kf_deny *ret, struct kf_err *err);
void kf_deny_done(struct kf_deny *deny);

/* Whether @policy denies anything in homes. */
bool kf_deny_in_homes(const struct kf_policy *policy);
/* Deny @path and all below it as well. */
int kf_deny_whole(struct kf_deny *deny, const char *path, struct kf_err *err);

/* The live denial that keeps @rule, NULL for the command line, from granting what lies at @real:
 * one that covers it, and that @rule is no exception from. */
const struct kf_denied *kf_deny_refuses(const struct kf_deny *deny, const struct kf_rule *rule,
					const char *real);
/* The live denied path that @path is or lies under; any denied path with @all. NULL if none. */
const struct kf_denied *kf_deny_covers(const struct kf_deny *deny, const char *path, bool all);
/* Whether @path is or lies under a live read-only path. */
bool kf_deny_keeps(const struct kf_deny *deny, const char *path);
/* The first live denied or read-only path strictly below @path, NULL if none. */
const struct kf_denied *kf_deny_below(const struct kf_deny *deny, const char *path);

#endif

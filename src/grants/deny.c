/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what a policy denies and keeps read-only, and answers what lies there. */
#include "grants/deny.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "grants/rt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A home with more is not listed to its end. */
#define HOME_ENTRIES_MAX 1024

static int push_denied(struct kf_deny *deny, const char *path, const struct kf_rule *rule,
		       bool is_live, struct kf_err *err)
{
	char *copy = strdup(path);

	if (copy && deny->n == deny->cap) {
		size_t cap = deny->cap ? 2 * deny->cap : 16;
		struct kf_denied *at = realloc(deny->at, cap * sizeof(*at));

		if (at) {
			deny->at = at;
			deny->cap = cap;
		}
	}
	if (!copy || deny->n == deny->cap) {
		free(copy);
		return kf_fail_nomem(err, "fs deny");
	}
	deny->at[deny->n++] = (struct kf_denied){
		.path = copy,
		.rule = rule,
		.live = is_live,
		.readonly = rule && rule->kind == KF_RULE_FS_READONLY,
	};
	deny->any_live |= is_live;
	return 0;
}

/* @path is where to look; it is overwritten with where that is. */
static int add_place(const struct kf_tree *tree, struct kf_deny *deny, char path[static PATH_MAX],
		     const struct kf_rule *rule, struct kf_err *err)
{
	bool real, list;
	/* Most are directories, if they are there. */
	KF_CLOSE int fd = kf_tree_place(tree, path, O_RDONLY | O_DIRECTORY, &real);
	struct stat st;

	list = fd >= 0;
	if (fd < 0 && errno != ENOENT)
		fd = kf_tree_place(tree, path, O_PATH, &real);
	/* What is not there holds no secret. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	/* Whatever it is that cannot be looked at: this may be a root that lacks
	 * CAP_DAC_OVERRIDE, and later becomes the owner. */
	if (fd < 0 && (errno == EACCES || errno == ELOOP))
		return push_denied(deny, path, rule, true, err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "line %u: fs deny or readonly %s", rule->line, path);
	if (!real && !tree->path(tree, fd, path))
		return kf_fail(err, ENOENT,
			       "line %u: fs deny or readonly %s: cannot tell where it is; is /proc "
			       "mounted?",
			       rule->line, rule->arg);
	return push_denied(deny, path, rule, tree->live(tree, fd, rule, list, &st), err);
}

static bool takes_away(const struct kf_rule *rule)
{
	return rule->kind == KF_RULE_FS_DENY || rule->kind == KF_RULE_FS_READONLY;
}

/* Mark in @maybe which "~" rules can have something in @home: one listing instead
 * of a lookup for each.  Whatever cannot be told is marked. */
static void look_into_home(const struct kf_tree *tree, const struct kf_policy *policy,
			   const struct kf_home *home, bool *maybe)
{
	KF_CLOSE int opened = -1;
	KF_UNINIT struct kf_listing dir;
	int fd = home->fd;
	const char *name;
	unsigned n = 0;

	if (fd < 0)
		fd = opened = tree->open(tree, home->path, O_RDONLY | O_DIRECTORY, 0);
	memset(maybe, fd < 0 && errno != ENOENT && errno != ENOTDIR,
	       policy->nrules * sizeof(*maybe));
	if (fd < 0)
		return;
	kf_listing_init(&dir, fd);
	while ((name = tree->next(tree, &dir)) && n++ < HOME_ENTRIES_MAX) {
		size_t len = strlen(name);

		for (size_t i = 0; i < policy->nrules; i++) {
			const struct kf_rule *rule = &policy->rules[i];

			if (takes_away(rule) && rule->arg[0] == '~' && rule->arg[1] == '/' &&
			    rule->arg[2] == *name && strncmp(rule->arg + 2, name, len) == 0)
				maybe[i] = true;
		}
	}
	if (name || dir.failed)
		memset(maybe, true, policy->nrules * sizeof(*maybe));
}

static int collect_home(const struct kf_tree *tree, const struct kf_policy *policy,
			const struct kf_home *home, bool *maybe, char path[static PATH_MAX],
			struct kf_deny *deny, struct kf_err *err)
{
	look_into_home(tree, policy, home, maybe);
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (!takes_away(rule) || *rule->arg != '~' || (rule->arg[1] && !maybe[i]))
			continue;
		if ((size_t)snprintf(path, PATH_MAX, "%s%s", home->path, rule->arg + 1) >= PATH_MAX)
			continue; /* longer than any path that can be opened */
		if (add_place(tree, deny, path, rule, err) < 0)
			return -1;
	}
	return 0;
}

int kf_deny_collect(const struct kf_tree *tree, const struct kf_policy *policy,
		    const struct kf_vars *vars, const struct kf_home *homes, size_t nhomes,
		    struct kf_deny *ret, struct kf_err *err)
{
	KF_FREE bool *maybe = calloc(policy->nrules + 1, sizeof(*maybe));
	KF_UNINIT char path[PATH_MAX];
	struct kf_deny deny = {0};
	int r = maybe ? 0 : kf_fail_nomem(err, "fs deny");

	for (size_t i = 0; r == 0 && i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (takes_away(rule) && *rule->arg != '~' &&
		    kf_vars_expand(vars, rule->arg, path) != KF_EXPANSION_NONE &&
		    strcmp(path, "/") != 0)
			r = add_place(tree, &deny, path, rule, err);
	}
	for (size_t h = 0; r == 0 && h < nhomes; h++)
		r = collect_home(tree, policy, &homes[h], maybe, path, &deny, err);
	if (r < 0) {
		kf_deny_done(&deny);
		return -1;
	}
	*ret = deny;
	return 0;
}

bool kf_deny_in_homes(const struct kf_policy *policy)
{
	for (size_t i = 0; i < policy->nrules; i++)
		if (takes_away(&policy->rules[i]) && *policy->rules[i].arg == '~')
			return true;
	return false;
}

int kf_deny_whole(struct kf_deny *deny, const char *path, struct kf_err *err)
{
	return push_denied(deny, path, NULL, true, err);
}

void kf_deny_done(struct kf_deny *deny)
{
	for (size_t i = 0; i < deny->n; i++)
		free(deny->at[i].path);
	free(deny->at);
	*deny = (struct kf_deny){0};
}

const struct kf_denied *kf_deny_covers(const struct kf_deny *deny, const char *path, bool all)
{
	for (size_t i = 0; i < deny->n; i++)
		if (!deny->at[i].readonly && (all || deny->at[i].live) &&
		    kf_path_under(path, deny->at[i].path))
			return &deny->at[i];
	return NULL;
}

const struct kf_denied *kf_deny_refuses(const struct kf_deny *deny, const struct kf_rule *rule,
					const char *real)
{
	for (size_t i = 0; i < deny->n; i++) {
		const struct kf_denied *at = &deny->at[i];

		if (!at->readonly && at->live && kf_path_under(real, at->path) &&
		    !(rule && at->rule && kf_policy_is_exception(rule, at->rule)))
			return at;
	}
	return NULL;
}

bool kf_deny_keeps(const struct kf_deny *deny, const char *path)
{
	for (size_t i = 0; i < deny->n; i++)
		if (deny->at[i].readonly && deny->at[i].live &&
		    kf_path_under(path, deny->at[i].path))
			return true;
	return false;
}

const struct kf_denied *kf_deny_below(const struct kf_deny *deny, const char *path)
{
	for (size_t i = 0; i < deny->n; i++)
		if (deny->at[i].live && strcmp(deny->at[i].path, path) != 0 &&
		    kf_path_under(deny->at[i].path, path))
			return &deny->at[i];
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Decides about one path: by the launcher's own walk, whose grants are held against it, and by
 * the denials, which count whether anything is there or not. */
#include "grants/decide.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool kf_decide_parse(const char *word, unsigned *ret)
{
	static const struct {
		char name[8];
		unsigned access;
	} ops[] = {
		{"read", KF_FS_READ},
		{"write", KF_FS_WRITE},
		{"exec", KF_FS_EXEC},
		{"connect", KF_LANDLOCK_CONNECT},
	};

	for (size_t i = 0; word && i < KF_ARRAY_SIZE(ops); i++) {
		if (strcmp(word, ops[i].name) == 0) {
			*ret = ops[i].access;
			return true;
		}
	}
	return false;
}

int kf_decide_place(const struct kf_tree *tree, const char *path, const char *workdir,
		    char out[static PATH_MAX], struct kf_err *err)
{
	KF_UNINIT char full[PATH_MAX];

	if ((size_t)snprintf(out, PATH_MAX, "%s/%s", *path == '/' ? "" : workdir, path) >=
		    PATH_MAX ||
	    !kf_path_clean(out, full, sizeof(full)) || !tree->place(tree, full, out))
		return kf_fail(err, ENAMETOOLONG, "'%.80s...': path too long", path);
	return 0;
}

/* Whether @path is a process's: what else lies in /proc is closed, where that may be written. */
static bool of_process(const char *path)
{
	const char *name = path + strlen("/proc/");
	const size_t n = kf_path_under(path, "/proc") && path[5] ? strcspn(name, "/") : 0;

	return n && (strspn(name, "0123456789") == n || (n == 4 && memcmp(name, "self", n) == 0) ||
		     (n == 11 && memcmp(name, "thread-self", n) == 0));
}

/* Whether @path, as it is or as it would be if something were there, covers the place. */
static int covers_path(const struct kf_verdict *d, const char *path, bool *ret, struct kf_err *err)
{
	KF_UNINIT char real[PATH_MAX];

	if (kf_decide_place(d->scene->tree, path, "", real, err) < 0)
		return -1;
	*ret |= kf_path_under(d->path, real);
	return 0;
}

/* Whether the denial or "fs readonly" @rule covers the place, be it there or not: plugin and
 * guard take away what is mounted there.  "~" is every home. */
static int check_cover(const struct kf_verdict *d, const struct kf_rule *rule, bool *ret,
		       struct kf_err *err)
{
	const struct kf_vars *vars = d->scene->vars;
	KF_UNINIT char path[PATH_MAX];

	*ret = false;
	if (kf_vars_expand(vars, rule->arg, path) != KF_EXPANSION_NONE && strcmp(path, "/") != 0 &&
	    covers_path(d, path, ret, err) < 0)
		return -1;
	if (*rule->arg != '~' || vars->uid != 0 || *ret)
		return 0;
	(void)snprintf(path, sizeof(path), "/root%s", rule->arg + 1);
	if (covers_path(d, path, ret, err) < 0)
		return -1;
	if (!kf_path_under(d->path, "/home") || !d->path[5])
		return 0;
	(void)snprintf(path, sizeof(path), "/home/%.*s%s", (int)strcspn(d->path + 6, "/"),
		       d->path + 6, rule->arg + 1);
	return covers_path(d, path, ret, err);
}

/* The first denial of the place that @rule, from which a grant comes, is no exception from; NULL
 * if there is none. */
static int find_refuser(const struct kf_verdict *d, const struct kf_rule *rule,
			const struct kf_rule **ret, struct kf_err *err)
{
	const struct kf_policy *policy = d->scene->policy;

	*ret = NULL;
	for (size_t i = 0; d->deny && !*ret && i < policy->nrules; i++) {
		const struct kf_rule *deny = &policy->rules[i];
		bool denied = false;

		if (deny->kind != KF_RULE_FS_DENY || (rule && kf_policy_is_exception(rule, deny)))
			continue;
		if (check_cover(d, deny, &denied, err) < 0)
			return -1;
		if (denied)
			*ret = deny;
	}
	return 0;
}

/* What in a grant lets pass what is asked: writing includes connecting. */
static bool lets_pass(unsigned access, unsigned asked)
{
	return (access & asked) || (asked == KF_LANDLOCK_CONNECT && (access & KF_FS_WRITE));
}

int kf_decide_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	struct kf_verdict *d = (struct kf_verdict *)sink;
	const struct kf_rule *by;
	struct stat st;

	if (!kf_path_under(d->path, grant->real) ||
	    (strcmp(d->path, grant->real) != 0 &&
	     (fstat(grant->fd, &st) < 0 || !S_ISDIR(st.st_mode))) ||
	    (grant->rule && grant->rule->kind == KF_RULE_FS_PROCESSES && !of_process(d->path)))
		return 0;
	if (grant->access & KF_GRANT_LIST) {
		d->lister = d->listed ? d->lister : grant->rule;
		d->listed = true;
		return 0;
	}
	if (find_refuser(d, grant->rule, &by, err) < 0)
		return -1;
	if (by)
		return 0;
	d->all |= grant->access;
	if (d->allowed || !lets_pass(grant->access, d->access))
		return 0;
	d->allowed = true;
	d->rule = grant->rule;
	d->granted = grant->access;
	(void)snprintf(d->by, sizeof(d->by), "%s", grant->path);
	return 0;
}

static void note_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		      const char *reason)
{
	struct kf_verdict *d = (struct kf_verdict *)sink;

	if (kf_path_under(d->path, path))
		(void)snprintf(d->skipped, sizeof(d->skipped),
			       "a rule for %s (policy line %u) grants nothing: %s", path,
			       rule ? rule->line : 0, reason);
}

/* What takes the place away.  *ret_kept: the rule that keeps it from being written. */
static int find_takers(struct kf_verdict *d, const struct kf_rule **ret_kept, struct kf_err *err)
{
	const struct kf_policy *policy = d->scene->policy;

	*ret_kept = NULL;
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];
		bool there = false;

		if (rule->kind != KF_RULE_FS_DENY && rule->kind != KF_RULE_FS_READONLY)
			continue;
		if (check_cover(d, rule, &there, err) < 0)
			return -1;
		if (there && rule->kind == KF_RULE_FS_READONLY) {
			*ret_kept = *ret_kept ? *ret_kept : rule;
		} else if (there && !d->masked) {
			/* One that nothing is excepted from says more than one that is lifted. */
			d->masked = !kf_policy_has_exception(policy, rule);
			d->deny = d->masked || !d->deny ? rule : d->deny;
		}
	}
	return 0;
}

static void reach_verdict(struct kf_verdict *d, const struct kf_rule *kept)
{
	const bool list = d->access == KF_FS_READ && d->exists && S_ISDIR(d->st.st_mode);

	if (kept && d->access == KF_FS_WRITE) {
		d->how = KF_DECIDED_READONLY;
		d->rule = kept;
	} else if (d->allowed) {
		d->how = KF_DECIDED_GRANT;
		return;
	} else if (list && d->listed && !d->masked) {
		d->how = KF_DECIDED_LIST;
		d->rule = d->lister;
		d->allowed = true;
		return;
	} else {
		d->how = d->deny ? KF_DECIDED_DENY : KF_DECIDED_NOTHING;
		d->rule = d->deny;
	}
	/* What a mask hides nobody connects to. */
	d->allowed =
		d->access == KF_LANDLOCK_CONNECT && d->abi < KF_DECIDE_ABI_SOCKET && !d->masked;
	if (d->allowed)
		d->how = KF_DECIDED_SOCKET;
}

int kf_decide(struct kf_verdict *d, bool inside, struct kf_err *err)
{
	const struct kf_rule *kept;

	if (find_takers(d, &kept, err) < 0)
		return -1;
	/* A socket is not opened for writing, but connected to. */
	if (d->access == KF_FS_WRITE && d->exists && S_ISSOCK(d->st.st_mode))
		d->access = KF_LANDLOCK_CONNECT;
	if (!d->sink.grant)
		d->sink.grant = kf_decide_grant;
	d->sink.skip = note_skip;
	d->sink.inside = inside;
	if (kf_grants_walk(d->scene, &d->sink, err) < 0)
		return -1;
	reach_verdict(d, kept);
	return 0;
}

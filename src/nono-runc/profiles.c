/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles that a container may get: the node's, beside the launcher, or else the built-in
 * ones. */
#include "nono-runc/profiles.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "flat/flat.h"
#include "profile/builtin.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define PROFILES_MAX 1024

struct store {
	const char *dir; /* NULL: the built-ins */
	struct kf_arena *arena;
	struct kf_profile_info *v;
	size_t n;
};

static int add_name(struct store *s, const char *name, struct kf_err *err)
{
	if (!kf_profile_name_valid(name))
		return 0; /* a temporary file, or nothing a pod could name */
	if (s->n == PROFILES_MAX)
		return kf_fail(err, E2BIG, "%s: more than %d profiles", s->dir, PROFILES_MAX);
	s->v[s->n].name = kf_arena_strdup(s->arena, name);
	return s->v[s->n++].name ? 0 : kf_fail_nomem(err, "profiles");
}

static int list_names(struct store *s, struct kf_err *err)
{
	struct dirent *e;
	DIR *d;
	int r = 0;

	for (size_t i = 0; !s->dir && r == 0 && i < kf_nbuiltins; i++)
		r = add_name(s, kf_builtins[i].name, err);
	if (!s->dir)
		return r;
	d = opendir(s->dir);
	if (!d)
		return kf_fail_sys(err, "open '%s'", s->dir);
	while (r == 0 && (e = readdir(d)))
		r = add_name(s, e->d_name, err);
	(void)closedir(d);
	return r;
}

static int read_text(struct store *s, const char *name, struct kf_profile_text *ret,
		     struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = -1;
	const char *path;
	char *copy;

	for (size_t i = 0; !s->dir && i < kf_nbuiltins; i++) {
		if (strcmp(kf_builtins[i].name, name) == 0) {
			ret->text = kf_builtins[i].text;
			ret->n = kf_builtins[i].n;
			return 0;
		}
	}
	path = kf_arena_printf(s->arena, "%s/%s", s->dir, name);
	if (!path)
		return kf_fail_nomem(err, name);
	if (kf_file_open_trusted(path, &fd, err) < 0 ||
	    kf_fd_slurp(fd, path, KF_LIMIT_POLICY_TEXT, &text, &ret->n, err) < 0)
		return -1;
	copy = kf_arena_alloc(s->arena, ret->n + 1);
	if (!copy)
		return kf_fail_nomem(err, name);
	memcpy(copy, text, ret->n);
	ret->text = copy;
	return 0;
}

static void policy_done(struct kf_policy *policy)
{
	if (policy->text)
		kf_policy_done(policy);
}

/* Denials and seccomp level of the profile. */
static int read_info(struct store *s, const struct kf_profile_text *text,
		     struct kf_profile_info *info, struct kf_err *err)
{
	KF_CLEANUP(policy_done) struct kf_policy policy = {0};
	struct kf_profile_info out = {.name = info->name};
	struct kf_rule *readonly;
	const char **deny;

	if (kf_policy_parse(text->text, text->n, &policy, err) < 0)
		return -1;
	if (strcmp(policy.name, info->name) != 0)
		return kf_fail(err, EINVAL, "the file holds profile '%s'", policy.name);
	deny = kf_arena_calloc(s->arena, policy.nrules + 1, sizeof(*deny));
	readonly = kf_arena_calloc(s->arena, policy.nrules + 1, sizeof(*readonly));
	if (!deny || !readonly)
		return kf_fail_nomem(err, info->name);
	for (size_t i = 0; i < policy.nrules; i++) {
		const struct kf_rule *rule = &policy.rules[i];

		out.writes_pod_files |= kf_policy_writes_pod_files(rule);
		if (rule->kind == KF_RULE_FS_DENY && !kf_policy_has_exception(&policy, rule)) {
			deny[out.ndeny] = kf_arena_strdup(s->arena, rule->arg);
			if (!deny[out.ndeny++])
				return kf_fail_nomem(err, info->name);
		} else if (rule->kind == KF_RULE_FS_READONLY) {
			readonly[out.nreadonly] = *rule;
			readonly[out.nreadonly].arg = kf_arena_strdup(s->arena, rule->arg);
			if (!readonly[out.nreadonly++].arg)
				return kf_fail_nomem(err, info->name);
		} else if (rule->kind == KF_RULE_EGRESS) {
			out.egress = true;
			out.egress_elsewhere |= strcmp(rule->arg, KF_EGRESS_ELSEWHERE) == 0;
		} else if (rule->kind == KF_RULE_SECCOMP) {
			if (!kf_seccomp_level_parse(rule->arg, &out.seccomp))
				return kf_fail(err, EINVAL, "seccomp level '%s' is unknown",
					       rule->arg);
			out.has_seccomp = true;
		}
	}
	out.deny = deny;
	out.readonly = readonly;
	*info = out;
	return 0;
}

int kf_profiles_load(struct kf_settings *settings, const char *const *want, size_t nwant,
		     struct kf_arena *arena, struct kf_profile_text *ret_text, struct kf_err *err)
{
	struct store s = {.arena = arena};
	struct stat st;

	s.dir = kf_arena_printf(arena, "%.*sprofiles",
				(int)(strrchr(settings->launcher, '/') + 1 - settings->launcher),
				settings->launcher);
	s.v = kf_arena_calloc(arena, PROFILES_MAX, sizeof(*s.v));
	if (!s.dir || !s.v)
		return kf_fail_nomem(err, "profiles");
	if (lstat(s.dir, &st) < 0) {
		if (errno != ENOENT)
			return kf_fail_sys(err, "stat '%s'", s.dir);
		s.dir = NULL;
	}
	if (list_names(&s, err) < 0)
		return -1;
	for (size_t w = 0; w < nwant; w++) {
		for (size_t i = 0; want[w] && i < s.n; i++) {
			struct kf_err why;

			if (strcmp(s.v[i].name, want[w]) != 0)
				continue;
			if (read_text(&s, want[w], &ret_text[w], &why) < 0 ||
			    read_info(&s, &ret_text[w], &s.v[i], &why) < 0) {
				ret_text[w].broken = kf_arena_strdup(arena, why.msg);
				if (!ret_text[w].broken)
					return kf_fail_nomem(err, want[w]);
			}
			break;
		}
	}
	settings->profiles = s.v;
	settings->nprofiles = s.n;
	return 0;
}

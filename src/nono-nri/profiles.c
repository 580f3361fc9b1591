/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the compiled profiles beside the launcher, or those that are built in, and takes from each
 * what the plan needs.  library.c writes them. */
#include "nono-nri/profiles.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "flat/flat.h"
#include "profile/builtin.h"

#include <dirent.h>
#include <string.h>

#define PROFILES_MAX 1024

struct finder {
	const struct kf_library_names *names;
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct kf_profile_info *v;
	size_t n, capacity;
};

static void policy_done(struct kf_policy *policy)
{
	if (policy->text)
		kf_policy_done(policy);
}

/* What the plan needs of @policy, copied. */
static int take_info(const struct kf_policy *policy, struct kf_arena *arena,
		     struct kf_profile_info *ret, struct kf_err *err)
{
	struct kf_profile_info info = {.name = kf_arena_strdup(arena, policy->name)};
	const char **deny = kf_arena_calloc(arena, policy->nrules, sizeof(*deny));

	if (!info.name || !deny)
		return kf_fail_nomem(err, "profile");
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		info.writes_pod_files |= kf_policy_writes_pod_files(rule);
		if (rule->kind == KF_RULE_FS_DENY && !kf_policy_has_exception(policy, rule)) {
			deny[info.ndeny] = kf_arena_strdup(arena, rule->arg);
			if (!deny[info.ndeny++])
				return kf_fail_nomem(err, "profile");
		} else if (rule->kind == KF_RULE_EGRESS) {
			info.egress = true;
			info.egress_elsewhere |= strcmp(rule->arg, KF_EGRESS_ELSEWHERE) == 0;
		} else if (rule->kind == KF_RULE_SECCOMP) {
			if (!kf_seccomp_level_parse(rule->arg, &info.seccomp))
				return kf_fail(err, EINVAL, "line %u: unknown seccomp level '%s'",
					       rule->line, rule->arg);
			info.has_seccomp = true;
		}
	}
	info.deny = deny;
	*ret = info;
	return 0;
}

static int add_profile(struct finder *f, const char *name, const char *text, size_t n,
		       struct kf_err *err)
{
	KF_CLEANUP(policy_done) struct kf_policy policy = {0};

	if (f->n == f->capacity)
		return kf_fail(err, E2BIG, "more than %zu profiles", f->capacity);
	if (kf_policy_parse(text, n, &policy, err) < 0)
		return -1;
	if (strcmp(policy.name, name) != 0)
		return kf_fail(err, EINVAL, "the file holds profile '%.64s'", policy.name);
	if (take_info(&policy, f->arena, &f->v[f->n], err) < 0)
		return -1;
	f->n++;
	return 0;
}

static int add_file(struct finder *f, const char *path, const char *name, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = -1;
	size_t n;

	/* As strict as the launcher and the guard are: what they refuse does not exist. */
	if (kf_file_open_trusted(path, &fd, err) < 0 ||
	    kf_fd_slurp(fd, path, KF_LIMIT_POLICY_TEXT, &text, &n, err) < 0)
		return -1;
	return add_profile(f, name, text, n, err);
}

static bool is_wanted(const struct finder *f, const char *name)
{
	for (size_t i = 0; f->names && i < f->names->n; i++)
		if (strcmp(f->names->v[i], name) == 0)
			return true;
	return !f->names;
}

static void add_directory(struct finder *f, DIR *d, const char *dir)
{
	for (;;) {
		struct dirent *e;
		const char *path;
		struct kf_err err;

		errno = 0;
		e = readdir(d);
		if (!e && errno)
			kf_diag_error(f->diags, &(struct kf_origin){.file = dir},
				      "cannot be read: %s", strerror(errno));
		if (!e)
			return;

		/* What is no name no pod can ask for: temporary files, mostly. */
		if (!kf_profile_name_valid(e->d_name) || !is_wanted(f, e->d_name))
			continue;
		path = kf_arena_printf(f->arena, "%s/%s", dir, e->d_name);
		if (!path) {
			f->diags->nomem = true;
			return;
		}
		if (add_file(f, path, e->d_name, &err) < 0)
			kf_diag_warning(f->diags, &(struct kf_origin){.file = path},
					"not usable: %s", err.msg);
	}
}

static void add_builtins(struct finder *f)
{
	struct kf_err err;

	for (size_t i = 0; i < kf_nbuiltins; i++)
		if (add_profile(f, kf_builtins[i].name, kf_builtins[i].text, kf_builtins[i].n,
				&err) < 0)
			kf_diag_warning(f->diags, &(struct kf_origin){.file = kf_builtins[i].name},
					"built-in profile is not usable: %s", err.msg);
}

int kf_setup_add_profiles(struct kf_settings *settings, const struct kf_library_names *names,
			  struct kf_arena *arena, struct kf_diags *diags)
{
	struct finder f = {
		.names = names, .arena = arena, .diags = diags, .capacity = PROFILES_MAX};
	size_t n = (size_t)(strrchr(settings->launcher, '/') - settings->launcher);
	const char *dir = kf_arena_printf(arena, "%.*s/profiles", (int)n, settings->launcher);
	DIR *d = dir ? opendir(dir) : NULL;
	struct kf_origin at = {.file = dir ? dir : "profiles"};
	bool absent = !d && errno == ENOENT;

	f.v = kf_arena_calloc(arena, f.capacity, sizeof(*f.v));
	if (!dir || !f.v) {
		diags->nomem = true;
	} else if (d) {
		add_directory(&f, d, dir);
	} else if (absent) {
		add_builtins(&f);
	} else {
		kf_diag_error(diags, &at, "cannot be read: %s", strerror(errno));
	}
	if (d)
		(void)closedir(d);
	if (diags->nomem || diags->nerrors)
		return -1;
	settings->profiles = f.v;
	settings->nprofiles = f.n;
	return 0;
}

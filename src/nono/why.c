/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/path.h"
#include "nono/command.h"
#include "nono/deny.h"
#include "nono/grants.h"
#include "nono/report.h"
#include "nono/rt.h"
#include "nono/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Answers "which rule decides about this path?" with the launcher's own walk, so
 * that it cannot say anything else than what is enforced. */
struct why {
	struct kf_grant_sink sink;
	char path[PATH_MAX]; /* asked for, symlinks resolved as far as it exists */
	unsigned access;
	bool granted, listed;
	char by[PATH_MAX + 64];
	char skipped[PATH_MAX + 128];
};

/* Whether @path is a process's: what else lies in /proc is closed, where that may be written. */
static bool of_process(const char *path)
{
	const char *name = path + strlen("/proc/");
	const size_t n = kf_path_under(path, "/proc") && path[5] ? strcspn(name, "/") : 0;

	return n && strspn(name, "0123456789") == n;
}

static int consider(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	struct why *why = (struct why *)sink;
	KF_UNINIT char real[PATH_MAX];
	struct stat st;

	(void)err;
	if (!kf_fd_path(grant->fd, real) || !kf_path_under(why->path, real) ||
	    (strcmp(why->path, real) != 0 && (fstat(grant->fd, &st) < 0 || !S_ISDIR(st.st_mode))))
		return 0;
	if (grant->rule && grant->rule->kind == KF_RULE_FS_PROCESSES && !of_process(why->path))
		return 0;
	if (grant->access & KF_GRANT_LIST)
		why->listed = true;
	else if ((grant->access & why->access) == why->access && !why->granted) {
		why->granted = true;
		(void)snprintf(why->by, sizeof(why->by), "%s on %s",
			       kf_report_access(grant->access), grant->path);
		if (grant->rule) {
			size_t n = strlen(why->by);

			(void)snprintf(why->by + n, sizeof(why->by) - n, " (policy line %u)",
				       grant->rule->line);
		}
	}
	return 0;
}

static void note_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		      const char *reason)
{
	struct why *why = (struct why *)sink;

	if (kf_path_under(why->path, path))
		(void)snprintf(why->skipped, sizeof(why->skipped),
			       "a rule for %s (policy line %u) grants nothing: %s", path,
			       rule ? rule->line : 0, reason);
}

/* @path as Landlock will see it: the longest existing part resolved. */
static int resolve(const char *path, const char *workdir, char out[static PATH_MAX],
		   struct kf_err *err)
{
	KF_UNINIT char full[PATH_MAX], real[PATH_MAX];
	size_t n;

	if ((size_t)snprintf(real, sizeof(real), "%s/%s", *path == '/' ? "" : workdir, path) >=
		    sizeof(real) ||
	    !kf_path_clean(real, full, sizeof(full)))
		return kf_fail(err, ENAMETOOLONG, "'%.80s...': path too long", path);
	for (n = strlen(full); n; n--) {
		char c = full[n];
		int fd;

		if (c && c != '/')
			continue;
		full[n] = '\0';
		fd = kf_open(AT_FDCWD, n ? full : "/", O_PATH);
		full[n] = c;
		if (fd < 0)
			continue;
		if (kf_fd_path(fd, real)) {
			(void)close(fd);
			if ((size_t)snprintf(out, PATH_MAX, "%s%s",
					     strcmp(real, "/") == 0 && c ? "" : real,
					     full + n) < PATH_MAX)
				return 0;
			return kf_fail(err, ENAMETOOLONG, "'%s': path too long", path);
		}
		(void)close(fd);
	}
	memcpy(out, full, strlen(full) + 1);
	return 0;
}

static int parse_op(const char *op, unsigned *ret, struct kf_err *err)
{
	static const struct {
		char name[8];
		unsigned access;
	} ops[] = {{"read", KF_FS_READ}, {"write", KF_FS_WRITE}, {"exec", KF_FS_EXEC}};

	for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(op, ops[i].name) == 0) {
			*ret = ops[i].access;
			return 0;
		}
	}
	return kf_fail(err, EINVAL, "why: --op must be read, write or exec");
}

/* The rule of @kind that covers @path, in words. */
static const char *ruled_by(enum kf_rule_kind kind, const struct kf_policy *policy,
			    const struct kf_vars *vars, const char *path, char out[static PATH_MAX])
{
	const char *verb = kind == KF_RULE_FS_DENY ? "deny" : "readonly";

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];
		KF_UNINIT char asked[PATH_MAX];

		if (rule->kind != kind ||
		    kf_vars_expand(vars, rule->arg, asked) == KF_EXPANSION_NONE)
			continue;
		if (kf_path_under(path, asked)) {
			(void)snprintf(out, PATH_MAX, "fs %s %s (policy line %u)", verb, rule->arg,
				       rule->line);
			return out;
		}
	}
	return NULL;
}

static int answer(const struct kf_options *options, struct why *why, struct kf_err *err)
{
	static struct kf_self self;
	static struct kf_vars vars;
	struct kf_policy policy;
	struct kf_domain domain;
	KF_UNINIT char deny[PATH_MAX], path[PATH_MAX], other[PATH_MAX];

	if (kf_self_find(&self, err) < 0 ||
	    kf_source_policy(&self, options->profile, options->policy_fd, &policy, &domain, err) <
		    0 ||
	    kf_vars_init(&vars, err) < 0)
		return -1;
	if (resolve(options->path, vars.workdir, why->path, err) < 0 ||
	    kf_grants_walk(&policy, options, &vars, &why->sink, err) < 0)
		return -1;
	(void)kf_shown(why->path, path);
	/* Whoever makes it true, a mount or the launcher. */
	if ((why->access & KF_FS_WRITE) &&
	    ruled_by(KF_RULE_FS_READONLY, &policy, &vars, why->path, deny)) {
		kf_print(STDOUT_FILENO, "denied: %s %s: profile %s has %s\n", options->op, path,
			 policy.name, deny);
		return KF_EXIT_FAILED;
	}
	if (why->granted)
		kf_print(STDOUT_FILENO, "allowed: %s %s: profile %s grants %s\n", options->op, path,
			 policy.name, kf_shown(why->by, other));
	else if (ruled_by(KF_RULE_FS_DENY, &policy, &vars, why->path, deny))
		kf_print(STDOUT_FILENO, "denied: %s %s: profile %s has %s\n", options->op, path,
			 policy.name, deny);
	else
		kf_print(STDOUT_FILENO, "denied: %s %s: no rule of profile %s grants it%s\n",
			 options->op, path, policy.name,
			 why->listed && why->access == KF_FS_READ
				 ? " (directories can be listed, files not read)"
				 : "");
	if (!why->granted && *why->skipped)
		kf_print(STDOUT_FILENO, "note: %s\n", kf_shown(why->skipped, other));
	return why->granted ? 0 : KF_EXIT_FAILED;
}

int kf_command_why(char **argv)
{
	struct why why = {.sink = {.grant = consider, .skip = note_skip}};
	struct kf_options options;
	struct kf_err err;
	int status;

	if (kf_options_parse(KF_OPTIONS_WHY, argv, &options, &err) < 0)
		return kf_command_usage(&err);
	if (options.help)
		return kf_command_help();
	if ((!options.path && kf_fail(&err, EINVAL, "why: --path is missing") < 0) ||
	    parse_op(options.op, &why.access, &err) < 0)
		return kf_command_usage(&err);
	status = answer(&options, &why, &err);
	if (status < 0) {
		kf_print(STDERR_FILENO, "nono: %s\n", err.msg);
		return KF_EXIT_FAILED;
	}
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* "nono why": says which rule decides about a path, with the launcher's own walk, so that it
 * cannot say anything else than what is enforced; and what to do instead. */
#include "base/cleanup.h"
#include "base/path.h"
#include "flat/launcher.h"
#include "flat/name.h"
#include "nono/command.h"
#include "nono/deny.h"
#include "nono/grants.h"
#include "nono/report.h"
#include "nono/rt.h"
#include "nono/source.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAYS_MAX	 4
#define ABI_RESOLVE_UNIX 9
/* Variables that paths of a policy refer to. */
#define STARTS_MAX	 8

struct why {
	struct kf_grant_sink sink;
	const struct kf_options *options;
	struct kf_policy policy;
	struct kf_vars vars;
	char path[PATH_MAX]; /* asked for, symlinks resolved as far as it exists */
	struct stat st;	     /* of it, if it exists */
	bool exists;
	unsigned access;
	const struct kf_rule *deny; /* the first denial that covers the path */
	bool unmasked;		    /* and exceptions from it, so that no mask hides a directory */
	bool granted, listed;
	char by[PATH_MAX + 64];
	char skipped[PATH_MAX + 128];
	char ways[WAYS_MAX][PATH_MAX]; /* where the same is granted, and works */
	size_t nways;
};

/* Whether @path is a process's: what else lies in /proc is closed, where that may be written. */
static bool of_process(const char *path)
{
	const char *name = path + strlen("/proc/");
	const size_t n = kf_path_under(path, "/proc") && path[5] ? strcspn(name, "/") : 0;

	return n && strspn(name, "0123456789") == n;
}

static int covers(struct why *why, const struct kf_rule *rule, bool *ret, struct kf_err *err);

/* Whether @rule, from which a grant comes, is an exception from each denial of the path. */
static int excepted(struct why *why, const struct kf_rule *rule, bool *ret, struct kf_err *err)
{
	*ret = true;
	for (size_t i = 0; why->deny && i < why->policy.nrules; i++) {
		const struct kf_rule *deny = &why->policy.rules[i];
		bool denied = false;

		if (deny->kind != KF_RULE_FS_DENY || (rule && kf_policy_is_exception(rule, deny)))
			continue;
		if (covers(why, deny, &denied, err) < 0)
			return -1;
		*ret &= !denied;
	}
	return 0;
}

/* A directory that is granted for what was asked is where to do it instead, if the owner and
 * mode of its own let that be done. */
static void note_way(struct why *why, const struct kf_grant *grant, const char *real,
		     const struct stat *st)
{
	if (why->nways == WAYS_MAX || !S_ISDIR(st->st_mode) || !grant->rule ||
	    !(why->access & KF_FS_WRITE) || (grant->access & KF_GRANT_LIST) ||
	    (grant->access & why->access) != why->access || kf_path_under(real, "/proc") ||
	    kf_path_under(real, "/dev") || access(real, W_OK | X_OK) < 0)
		return;
	for (size_t i = 0; i < why->nways; i++)
		if (strcmp(why->ways[i], real) == 0)
			return;
	memcpy(why->ways[why->nways++], real, strlen(real) + 1);
}

static int consider(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	struct why *why = (struct why *)sink;
	KF_UNINIT char real[PATH_MAX];
	struct stat st;
	bool counts;

	if (!kf_fd_path(grant->fd, real) || fstat(grant->fd, &st) < 0)
		return 0;
	note_way(why, grant, real, &st);
	if (!kf_path_under(why->path, real) ||
	    (strcmp(why->path, real) != 0 && !S_ISDIR(st.st_mode)))
		return 0;
	if (grant->rule && grant->rule->kind == KF_RULE_FS_PROCESSES && !of_process(why->path))
		return 0;
	if (grant->access & KF_GRANT_LIST) {
		why->listed = true;
		return 0;
	}
	if ((grant->access & why->access) != why->access || why->granted)
		return 0;
	if (excepted(why, grant->rule, &counts, err) < 0)
		return -1;
	if (!counts)
		return 0;
	why->granted = true;
	(void)snprintf(why->by, sizeof(why->by), "%s on %s", kf_report_access(grant->access),
		       grant->path);
	if (grant->rule) {
		size_t n = strlen(why->by);

		(void)snprintf(why->by + n, sizeof(why->by) - n, " (policy line %u)",
			       grant->rule->line);
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

/* Whether @path, as it is or as it would be if something were there, covers the place. */
static int covers_path(const struct why *why, const char *path, bool *ret, struct kf_err *err)
{
	KF_UNINIT char real[PATH_MAX];

	if (resolve(path, "", real, err) < 0)
		return -1;
	*ret |= kf_path_under(why->path, real);
	return 0;
}

/* Whether the denial or "fs readonly" @rule covers the place, be it there or not: plugin and
 * guard take away what is mounted there.  "~" is every home. */
static int covers(struct why *why, const struct kf_rule *rule, bool *ret, struct kf_err *err)
{
	KF_UNINIT char path[PATH_MAX];

	*ret = false;
	if (kf_vars_expand(&why->vars, rule->arg, path) != KF_EXPANSION_NONE &&
	    strcmp(path, "/") != 0 && covers_path(why, path, ret, err) < 0)
		return -1;
	if (*rule->arg != '~' || why->vars.uid != 0 || *ret)
		return 0;
	(void)snprintf(path, sizeof(path), "/root%s", rule->arg + 1);
	if (covers_path(why, path, ret, err) < 0)
		return -1;
	if (!kf_path_under(why->path, "/home") || !why->path[5])
		return 0;
	(void)snprintf(path, sizeof(path), "/home/%.*s%s", (int)strcspn(why->path + 6, "/"),
		       why->path + 6, rule->arg + 1);
	return covers_path(why, path, ret, err);
}

/* The first rule of @kind that covers the place in *ret, NULL if none does. */
static int find(struct why *why, enum kf_rule_kind kind, const struct kf_rule **ret,
		struct kf_err *err)
{
	*ret = NULL;
	for (size_t i = 0; !*ret && i < why->policy.nrules; i++) {
		const struct kf_rule *rule = &why->policy.rules[i];
		bool there = false;

		if (rule->kind != kind)
			continue;
		if (covers(why, rule, &there, err) < 0)
			return -1;
		if (there)
			*ret = rule;
	}
	return 0;
}

/* Where the variables of the policy lead is as it was when the first process started, wherever the
 * asker is.  @text: the guard's file, which stays. */
static void take_start(struct why *why, char *text)
{
	static char *variables[STARTS_MAX + 2];
	char *home = getenv("HOME"), *next;
	size_t n = 0;
	int uid;

	for (char *line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, "uid ", 4) == 0 && kf_parse_fd(line + 4, &uid))
			why->vars.uid = (uid_t)uid;
		else if (strncmp(line, "WORKDIR=", 8) == 0)
			why->vars.workdir = line + 8;
		else if (n < STARTS_MAX)
			variables[n++] = line;
	}
	/* One that is not said was not set; but the runtime knows a home, if nobody else does. */
	if (home)
		variables[n++] = home - strlen("HOME=");
	environ = variables;
}

/* The policy that was asked for; else the one in force: what the guard left beside the launcher,
 * or what the plugin has named in the environment.  Who changes that has only himself to blame. */
static int load(struct why *why, struct kf_err *err)
{
	static struct kf_self self;
	const struct kf_options *options = why->options;
	const char *name = options->profile;
	struct kf_domain domain;
	char *start = NULL;
	int r = 1;

	if (kf_self_find(&self, err) < 0 || kf_vars_init(&why->vars, err) < 0 ||
	    resolve(options->path, why->vars.workdir, why->path, err) < 0)
		return -1;
	if (options->policy_fd < 0)
		r = kf_source_in_force(&self, &why->policy, &start, err);
	if (r < 0)
		return -1;
	if (start)
		take_start(why, start);
	if (r == 0 && !name)
		return 0;
	if (!name)
		name = getenv(KF_ENV_PROFILE);
	if (!name || !kf_profile_name_valid(name))
		name = "default";
	return kf_source_policy(&self, name, options->policy_fd, &why->policy, &domain, err);
}

/* What is answered. */
struct verdict {
	const char *word;
	char reason[2 * PATH_MAX];
	char note[PATH_MAX + 192], ask[2 * PATH_MAX];
};

static void denied(const struct why *why, struct verdict *v, const struct kf_rule *rule)
{
	KF_UNINIT char arg[PATH_MAX];

	v->word = "denied";
	if (rule)
		(void)snprintf(v->reason, sizeof(v->reason),
			       "profile %s has fs %s %s (policy line %u)", why->policy.name,
			       rule->kind == KF_RULE_FS_DENY ? "deny" : "readonly",
			       kf_shown(rule->arg, arg), rule->line);
	else
		(void)snprintf(v->reason, sizeof(v->reason), "no rule of profile %s grants it%s",
			       why->policy.name,
			       why->listed && why->access == KF_FS_READ
				       ? " (directories can be listed, files not read)"
				       : "");
}

/* Connecting is asked of no rule of ours before the kernel does. */
static bool socket_open(const struct why *why, struct verdict *v)
{
	struct kf_err err;
	int abi = 0;

	if (!why->exists || !S_ISSOCK(why->st.st_mode) || kf_landlock_probe(&abi, &err) < 0 ||
	    abi >= ABI_RESOLVE_UNIX)
		return false;
	v->word = "allowed";
	(void)snprintf(v->note, sizeof(v->note),
		       "it is a unix socket: connecting is not stopped on this kernel (Landlock "
		       "ABI %d; it is from ABI %d on)",
		       abi, ABI_RESOLVE_UNIX);
	return true;
}

/* Who can change it, and what to ask them for. */
static void ask_for(const struct why *why, struct verdict *v, const struct kf_rule *taken)
{
	static const char lists[][8] = {
		[KF_FS_READ] = "read", [KF_FS_WRITE] = "write", [KF_FS_EXEC] = "read"};
	KF_UNINIT char path[PATH_MAX];

	(void)kf_shown(why->path, path);
	if (taken)
		(void)snprintf(
			v->ask, sizeof(v->ask),
			"profile %s keeps this from its containers on purpose; its owner can "
			"lift that in a profile of their own (bypass_protection), a pod chooses "
			"one with the annotation " KF_ANNOTATION_PROFILE,
			why->policy.name);
	else
		(void)snprintf(
			v->ask, sizeof(v->ask),
			"whoever owns the pod can mount a volume there if profile %s grants "
			"volumes, or choose another profile (annotation " KF_ANNOTATION_PROFILE
			"); its owner can add \"filesystem\": {\"%s\": [\"%s\"]}",
			why->policy.name, lists[why->access], path);
}

/* What Landlock lets pass the file's mode or its mount may refuse. */
static void note_others(const struct why *why, struct verdict *v)
{
	static const int modes[] = {[KF_FS_READ] = R_OK, [KF_FS_WRITE] = W_OK, [KF_FS_EXEC] = X_OK};

	if (!why->exists || S_ISSOCK(why->st.st_mode) || access(why->path, modes[why->access]) == 0)
		return;
	if (errno == EROFS)
		(void)snprintf(v->note, sizeof(v->note),
			       "the sandbox lets it pass, but what is mounted there is read-only");
	else if (errno == EACCES)
		(void)snprintf(v->note, sizeof(v->note),
			       "the sandbox lets it pass, but the file's owner and mode refuse it: "
			       "uid %u, mode %04o; you are uid %u",
			       (unsigned)why->st.st_uid, (unsigned)why->st.st_mode & 07777,
			       (unsigned)geteuid());
}

static int decide(struct why *why, struct verdict *v, struct kf_err *err)
{
	const struct kf_rule *kept = NULL;
	KF_UNINIT char by[PATH_MAX];

	if (find(why, KF_RULE_FS_DENY, &why->deny, err) < 0 ||
	    ((why->access & KF_FS_WRITE) && find(why, KF_RULE_FS_READONLY, &kept, err) < 0))
		return -1;
	why->unmasked = why->deny && kf_policy_has_exception(&why->policy, why->deny);
	why->exists = stat(why->path, &why->st) == 0;
	if (kf_grants_walk(&why->policy, why->options, &why->vars, &why->sink, err) < 0)
		return -1;
	if (kept) {
		denied(why, v, kept);
	} else if (why->granted) {
		v->word = "allowed";
		(void)snprintf(v->reason, sizeof(v->reason), "profile %s grants %s",
			       why->policy.name, kf_shown(why->by, by));
	} else if (why->listed && why->access == KF_FS_READ && why->exists &&
		   S_ISDIR(why->st.st_mode) && (!why->deny || why->unmasked)) {
		v->word = "allowed";
		(void)snprintf(
			v->reason, sizeof(v->reason),
			"profile %s lets every directory be listed; its files cannot be read",
			why->policy.name);
	} else {
		denied(why, v, why->deny);
	}
	if (*v->word == 'a')
		note_others(why, v);
	else if (!socket_open(why, v))
		ask_for(why, v, kept ? kept : why->deny);
	if (*v->word == 'd' && *why->skipped)
		(void)snprintf(v->note, sizeof(v->note), "%s", kf_shown(why->skipped, by));
	return 0;
}

static void print_text(const struct why *why, const struct verdict *v)
{
	KF_UNINIT char path[PATH_MAX];

	kf_print(STDOUT_FILENO, "%s: %s %s: %s\n", v->word, why->options->op,
		 kf_shown(why->path, path), v->reason);
	if (*v->note)
		kf_print(STDOUT_FILENO, "note: %s\n", v->note);
	for (size_t i = 0; *v->word == 'd' && i < why->nways; i++)
		kf_print(STDOUT_FILENO, "%s%s%s", i ? ", " : "instead: use ",
			 kf_shown(why->ways[i], path), i + 1 == why->nways ? "\n" : "");
	if (*v->ask)
		kf_print(STDOUT_FILENO, "to change it: %s\n", v->ask);
}

/* @s, in which nothing but printable characters is left, as a string of JSON. */
static void print_string(const char *before, const char *s)
{
	kf_print(STDOUT_FILENO, "%s\"", before);
	while (*s) {
		const size_t n = strcspn(s, "\"\\");

		kf_print(STDOUT_FILENO, "%.*s", (int)n, s);
		s += n;
		if (*s)
			kf_print(STDOUT_FILENO, "\\%c", *s++);
	}
	kf_print(STDOUT_FILENO, "\"");
}

static void print_json(const struct why *why, const struct verdict *v)
{
	KF_UNINIT char path[PATH_MAX];

	kf_print(STDOUT_FILENO, "{\"allowed\": %s", *v->word == 'a' ? "true" : "false");
	print_string(", \"op\": ", why->options->op);
	print_string(", \"path\": ", kf_shown(why->path, path));
	print_string(", \"profile\": ", why->policy.name);
	print_string(", \"reason\": ", v->reason);
	if (*v->note)
		print_string(", \"note\": ", v->note);
	kf_print(STDOUT_FILENO, ", \"instead\": [");
	for (size_t i = 0; *v->word == 'd' && i < why->nways; i++)
		print_string(i ? ", " : "", kf_shown(why->ways[i], path));
	kf_print(STDOUT_FILENO, "]");
	if (*v->ask)
		print_string(", \"ask\": ", v->ask);
	kf_print(STDOUT_FILENO, "}\n");
}

static int answer(struct why *why, struct kf_err *err)
{
	static struct verdict v;

	if (load(why, err) < 0 || decide(why, &v, err) < 0)
		return -1;
	if (why->options->json)
		print_json(why, &v);
	else
		print_text(why, &v);
	return *v.word == 'a' ? 0 : KF_EXIT_FAILED;
}

int kf_command_why(char **argv)
{
	static struct why why; /* an initializer would be 30 KiB of the program */
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
	why.options = &options;
	why.sink = (struct kf_grant_sink){.grant = consider, .skip = note_skip, .inside = true};
	status = answer(&why, &err);
	if (status < 0) {
		kf_print(STDERR_FILENO, "nono: %s\n", err.msg);
		return KF_EXIT_FAILED;
	}
	return status;
}

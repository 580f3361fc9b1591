/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the launcher by hand, and in front of it, if the profile has hosts, "nono-egress run
 * --close".  The rules and the policy are those of a pod; where the guard takes the Secrets' mounts
 * away, here the policy denies the keys. */
#include "kubefence/try/alone.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/print.h"
#include "egress/pod.h"
#include "egress/rules.h"
#include "kubefence/try/egress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LAUNCHER   "nono"
#define BROKER	   "nono-egress"
#define WORDS_MAX  (64 + 2 * KF_LIMIT_EGRESS_DIRS)
#define MEMORY_MAX (16 * 1024 * 1024) /* the command line, once more */

/* One run. */
struct alone_run {
	struct try_options *o;
	struct kf_egress_rules rules; /* none: profile is NULL */
	struct kf_arena arena;
	const char **words; /* of the whole command line; NULL ends it */
	size_t nwords;
	int policy, records; /* memory files that the programs are given */
};

/* What goes to the command of this process's environment; keys may be in the rest of it. */
static const char *const kept_variables[] = {
	"HOME",	 "LANG", "LC_ALL",    "LC_CTYPE", "LOGNAME", "PATH",
	"SHELL", "TERM", "COLORTERM", "TMPDIR",	  "TZ",	     "USER",
};

/* ---- the policy ---- */

static bool grants_inside(const struct kf_compiled *profile, const struct kf_rule *deny,
			  const char **ret)
{
	for (size_t i = 0; i < profile->nrules; i++) {
		if (!kf_policy_is_exception(&profile->rules[i], deny))
			continue;
		*ret = profile->rules[i].arg;
		return true;
	}
	return false;
}

/* Add a line that denies what @path is, which has keys. */
static int deny_path(const struct alone_run *r, const char *path, struct kf_buf *lines,
		     struct kf_err *err)
{
	KF_FREE char *real = realpath(path, NULL);
	const struct kf_rule deny = {.kind = KF_RULE_FS_DENY, .arg = real};
	const char *grant;

	if (!real)
		return kf_fail_sys(err, "'%s'", path);
	if (strchr(real, '\n'))
		return kf_fail(err, EINVAL, "'%s': no policy can name this path", real);
	if (grants_inside(&r->o->compiled, &deny, &grant))
		return kf_fail(err, EPERM,
			       "the profile grants '%s', where the keys of --secret would be; keep "
			       "them elsewhere",
			       grant);
	kf_buf_addf(lines, "fs deny %s\n", real);
	return 0;
}

/* Deny the directory of one credential's key, and the key, which may be a link. */
static int deny_key(const struct alone_run *r, const struct kf_egress_credential *c,
		    struct kf_buf *lines, struct kf_err *err)
{
	char path[PATH_MAX];
	const char *dir;

	if (try_egress_secret(r->o, &r->rules, c, &dir, err) < 0)
		return -1;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, c->key) >= sizeof(path))
		return kf_fail(err, ENAMETOOLONG, "--secret '%s'", dir);
	if (access(path, R_OK) < 0)
		return kf_fail_sys(err, "the key '%s'", path);
	return deny_path(r, dir, lines, err) < 0 || deny_path(r, path, lines, err) < 0 ? -1 : 0;
}

static int write_policy(struct alone_run *r, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf lines = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	const struct kf_compiled *profile = &r->o->compiled;

	for (const struct kf_egress_route *at = r->rules.routes; at; at = at->next)
		for (const struct kf_egress_credential *c = at->credentials; c; c = c->next)
			if (deny_key(r, c, &lines, err) < 0)
				return -1;
	if (r->rules.profile)
		kf_egress_close_policy(profile->text, profile->n, true, lines.n ? lines.p : "",
				       &text);
	else
		kf_buf_add(&text, profile->text, profile->n);
	if (lines.failed || text.failed)
		return kf_fail(err, E2BIG, "the policy: too long with its rules for the network");
	r->policy = memfd_create("policy", 0);
	return r->policy < 0 ? kf_fail_sys(err, "memory file")
			     : kf_write_all(r->policy, text.p, text.n, err);
}

/* ---- the command line ---- */

static void add_word(struct alone_run *r, const char *word)
{
	r->words[r->nwords++] = word;
}

static void add_option(struct alone_run *r, const char *name, const char *value)
{
	add_word(r, name);
	add_word(r, value);
}

/* A program beside this one. */
static int add_program(struct alone_run *r, const char *name, struct kf_err *err)
{
	char self[PATH_MAX];
	const char *path;

	if (!kf_own_directory(self, sizeof(self)))
		return kf_fail_sys(err, "read /proc/self/exe");
	path = kf_arena_printf(&r->arena, "%s/%s", self, name);
	if (!path)
		return kf_fail_nomem(err, "try");
	if (access(path, X_OK) < 0)
		return kf_fail_sys(err,
				   "the program '%s' is needed; install it beside kubefence, from "
				   "the same package or archive",
				   path);
	add_word(r, path);
	return 0;
}

/* Memory file @fd by a name that our children can open.  The command inherits none but the policy,
 * which the launcher closes. */
static const char *name_fd(struct alone_run *r, int fd)
{
	return kf_arena_printf(&r->arena, "/proc/%ld/fd/%d", (long)getpid(), fd);
}

/* The directories with keys, in the order of the rules' secrets. */
static int add_secrets(struct alone_run *r, struct kf_err *err)
{
	const char *dirs[KF_LIMIT_EGRESS_DIRS] = {NULL};

	for (const struct kf_egress_route *at = r->rules.routes; at; at = at->next)
		for (const struct kf_egress_credential *c = at->credentials; c; c = c->next)
			if (try_egress_secret(r->o, &r->rules, c, &dirs[c->dir], err) < 0)
				return -1;
	for (unsigned i = 0; i < r->rules.ndirs; i++) {
		if (!dirs[i])
			return kf_fail(err, EINVAL, "the secret '%s' has no credential",
				       r->rules.secrets[i]);
		add_option(r, "--secrets", dirs[i]);
	}
	return 0;
}

static int add_resolver(struct alone_run *r, struct kf_err *err)
{
	const char *servers[KF_EGRESS_RESOLVERS], *list = "";
	unsigned n;

	if (try_egress_servers(&r->arena, servers, &n, err) < 0)
		return -1;
	for (unsigned i = 0; list && i < n; i++)
		list = kf_arena_printf(&r->arena, "%s%s%s", list, i ? "," : "", servers[i]);
	if (!list)
		return kf_fail_nomem(err, "try");
	add_option(r, "--resolver", list);
	return 0;
}

static int add_broker(struct alone_run *r, struct kf_err *err)
{
	const char *rules = name_fd(r, r->policy), *records;

	r->records = memfd_create("records", MFD_CLOEXEC);
	if (r->records < 0)
		return kf_fail_sys(err, "memory file");
	records = name_fd(r, r->records);
	if (!rules || !records)
		return kf_fail_nomem(err, "try");
	if (add_program(r, BROKER, err) < 0)
		return -1;
	add_option(r, "run", "--close");
	add_option(r, "--rules", rules);
	add_option(r, "--records", records);
	if (add_resolver(r, err) < 0)
		return -1;
	if (r->o->ca)
		add_option(r, "--ca", r->o->ca);
	if (add_secrets(r, err) < 0)
		return -1;
	add_word(r, "--");
	return 0;
}

static int add_words(struct alone_run *r, struct kf_err *err)
{
	const char *policy = kf_arena_printf(&r->arena, "%d", r->policy);

	r->words = kf_arena_calloc(&r->arena, WORDS_MAX + (size_t)r->o->ncommand + 1,
				   sizeof(*r->words));
	if (!r->words || !policy)
		return kf_fail_nomem(err, "try");
	if ((r->rules.profile && add_broker(r, err) < 0) || add_program(r, LAUNCHER, err) < 0)
		return -1;
	add_word(r, "wrap");
	add_option(r, "--policy-fd", policy);
	add_option(r, "--profile", r->o->compiled.name);
	if (r->o->workdir)
		add_option(r, "--workdir", r->o->workdir);
	add_word(r, "--");
	for (int i = 0; i < r->o->ncommand; i++)
		add_word(r, r->o->command[i]);
	return 0;
}

/* ---- the processes ---- */

static int set_environment(const struct try_options *o, struct kf_arena *arena)
{
	const char *values[KF_ARRAY_SIZE(kept_variables)];

	for (size_t i = 0; i < KF_ARRAY_SIZE(kept_variables); i++) {
		const char *value = getenv(kept_variables[i]);

		values[i] = value ? kf_arena_strdup(arena, value) : NULL;
	}
	if (clearenv() != 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(kept_variables); i++)
		if (values[i] && setenv(kept_variables[i], values[i], 1) < 0)
			return -1;
	for (size_t i = 0; i < o->env.n; i++) {
		const char *equals = strchr(o->env.v[i], '=');
		const char *name =
			kf_arena_printf(arena, "%.*s", (int)(equals - o->env.v[i]), o->env.v[i]);

		if (!name || setenv(name, equals + 1, 1) < 0)
			return -1;
	}
	return 0;
}

static _Noreturn void exec_words(struct alone_run *r, pid_t parent)
{
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGQUIT, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(KF_EXIT_FAILED);
	if (set_environment(r->o, &r->arena) < 0)
		(void)kf_command_fail("environment: %s", strerror(errno));
	else
		(void)execv(r->words[0], (char *const *)(uintptr_t)r->words);
	(void)kf_command_fail("cannot execute '%s': %s", r->words[0], strerror(errno));
	_exit(KF_EXIT_FAILED);
}

static volatile sig_atomic_t command_pid;

static void pass_signal(int sig)
{
	if (command_pid > 0)
		(void)kill((pid_t)command_pid, sig);
}

static int run_words(struct alone_run *r, struct kf_err *err)
{
	pid_t parent = getpid(), pid;
	int status;

	/* Interrupts reach the command by the process group. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	pid = fork();
	if (pid < 0)
		return kf_fail_sys(err, "fork");
	if (pid == 0)
		exec_words(r, parent);
	command_pid = pid;
	(void)signal(SIGTERM, pass_signal);
	(void)signal(SIGHUP, pass_signal);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "wait for '%s'", r->words[0]);
	command_pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_alone(struct alone_run *r, struct kf_err *err)
{
	int status;

	if (try_egress_needed(&r->o->compiled) &&
	    (try_egress_rules(&r->o->compiled, &r->rules, err) < 0 ||
	     try_egress_check(r->o, &r->rules, err) < 0))
		return -1;
	if (write_policy(r, err) < 0 || add_words(r, err) < 0)
		return -1;
	kf_print_line(stderr, "kubefence: no container: what the command writes stays");
	status = run_words(r, err);
	if (status >= 0 && r->records >= 0 &&
	    (lseek(r->records, 0, SEEK_SET) < 0 || try_egress_report(r->records, err) < 0))
		return -1;
	return status;
}

/* What only a container has. */
static int check_alone(const struct try_options *o)
{
	const struct {
		const char *name;
		bool given;
	} options[] = {
		{"--rootfs", strcmp(o->rootfs, "/") != 0},
		{"--user", o->user.uid != 0 || o->user.gid != 0},
		{"--volume", o->volumes.n > 0},
		{"--token", o->token},
		{"--runtime", strcmp(o->runtime, "runc") != 0},
		{"--plain", o->plain},
		{"--no-guard", o->no_guard},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(options); i++)
		if (options[i].given)
			return kf_command_usage("%s is about a container; it does not go with "
						"--no-container",
						options[i].name);
	return KF_EXIT_OK;
}

int try_alone_run(struct try_options *o)
{
	KF_CLEANUP(kf_profiles_done) struct kf_profiles profiles;
	struct alone_run r = {.o = o, .policy = -1, .records = -1};
	struct kf_err err = {0};
	int status;

	kf_arena_init(&r.arena, MEMORY_MAX);
	kf_profiles_init(&profiles);
	status = check_alone(o);
	if (status == KF_EXIT_OK)
		status = try_prepare(o, &profiles);
	if (status == KF_EXIT_OK) {
		status = run_alone(&r, &err);
		if (status < 0)
			status = kf_command_fail("%s", err.msg);
	}
	if (r.rules.profile)
		kf_egress_rules_done(&r.rules);
	if (r.policy >= 0)
		(void)close(r.policy);
	if (r.records >= 0)
		(void)close(r.records);
	kf_arena_done(&r.arena);
	return status;
}

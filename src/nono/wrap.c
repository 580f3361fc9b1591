/* SPDX-License-Identifier: Apache-2.0 */
/* "nono wrap": puts this process into the sandbox and becomes the program.  What is granted is
 * found in src/grants, how it is enforced is in src/sandbox. */
#include "base/cleanup.h"
#include "base/path.h"
#include "enter/enter.h"
#include "flat/launcher.h"
#include "grants/grants.h"
#include "grants/rt.h"
#include "nono/command.h"
#include "nono/options.h"
#include "nono/program.h"
#include "nono/report.h"
#include "nono/source.h"
#include "sandbox/domain.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the kubelet looks for a container's last words, when its log may be gone. */
#define TERMINATION_LOG "/dev/termination-log"

/* What a start is made of. */
struct start {
	const struct kf_nono_options *options;
	struct kf_policy policy;
	struct kf_domain domain; /* of the container; no magic if the guard is not there */
	int domain_fd;
	struct kf_vars vars;
	struct kf_scene scene;
	struct kf_enter_needs needs;
	int log;	/* the termination log, -1 if it is not open */
	int report;	/* to the guard, -1 if it does not listen */
	bool executing; /* the sandbox and its program are in order; what is left is execve(2) */
};

static int open_log(void)
{
	return kf_open(AT_FDCWD, TERMINATION_LOG, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
}

/* Say why.  What a runtime would have found out before it started anything is told to the guard,
 * for whom the start has failed then; the rest is the process's own end, as without us: on its
 * stderr, and if it is the container's first one in the termination log. */
static __attribute__((noinline)) int tell_failure(const struct kf_err *err, const struct start *s)
{
	const bool entering = s->domain.head.decided;
	KF_UNINIT char line[KF_ERR_MSG_MAX + 8];
	int log = s->log;
	struct stat st;
	size_t n;

	(void)snprintf(line, sizeof(line), "nono: %s\n", err->msg);
	n = strlen(line);
	if (s->report >= 0 && !s->executing && write(s->report, line, n) == (ssize_t)n)
		return entering ? KF_EXIT_ENTER_FAILED : KF_EXIT_FAILED;
	(void)!write(STDERR_FILENO, line, n);
	if (log < 0 && !entering)
		log = open_log();
	if (log >= 0 && fstat(log, &st) == 0 && S_ISREG(st.st_mode))
		(void)!write(log, line, n);
	return KF_EXIT_FAILED;
}

static int enter_policy(const struct start *s, struct kf_err *err)
{
	const struct kf_filter_policy policy = {
		.at = s->domain.filter,
		.n = s->domain.head.filter,
		.flags = s->domain.head.filter_flags,
	};

	return policy.n ? kf_filter_install(&s->needs.filter, &policy, err) : 0;
}

static int describe_start(const struct start *s, int out, struct kf_err *err)
{
	struct kf_nono_report report;

	kf_nono_report_init(&report, out, s->options->verbose > 0);
	kf_nono_print(out, "profile %s\n", s->policy.name);
	if (kf_grants_walk(&s->scene, &report.sink, err) < 0)
		return -1;
	kf_nono_report_rules(&s->policy, out);
	return 0;
}

/* What is known not to work inside a sandbox is told before it fails: notes
 * "hint PROGRAM OPTION TEXT", unless an argument starts with OPTION. */
static void tell_hints(const struct kf_policy *policy, char *const *argv)
{
	const char *program = kf_path_base(argv[0]);
	const size_t n = strlen(program);

	for (const struct kf_rule *r = policy->rules; r < policy->rules + policy->nrules; r++) {
		const char *option = r->arg, *text;
		char *const *arg = argv;

		if (r->kind != KF_RULE_NOTE || strncmp(option, "hint ", 5) != 0 ||
		    strncmp(option += 5, program, n) != 0 || option[n] != ' ' ||
		    !(text = strchr(option += n + 1, ' ')))
			continue;
		while (*++arg && strncmp(*arg, option, (size_t)(text - option)) != 0)
			;
		if (!*arg)
			kf_nono_print(STDERR_FILENO, "nono: %s\n", text + 1);
	}
}

/* Whether @path, as PATH has it, has @dir in it. */
static bool has_directory(const char *path, const char *dir)
{
	const size_t n = strlen(dir);

	for (const char *at = path; at; at = strchr(at, ':')) {
		at += *at == ':';
		if (strncmp(at, dir, n) == 0 && (!at[n] || at[n] == ':'))
			return true;
	}
	return false;
}

static bool has_rule(const struct kf_policy *policy, enum kf_rule_kind kind)
{
	for (size_t i = 0; i < policy->nrules; i++)
		if (policy->rules[i].kind == kind)
			return true;
	return false;
}

/* Have the workload's PATH end with the launcher's directory, if that is there: whoever is told
 * "permission denied" can ask "nono why".  No program of the image's is hidden by it, and a PATH
 * that is not set stays so.  If the profile asks for it, PATH begins with what stands in for the
 * image's programs. */
static int add_to_path(const struct kf_policy *policy, char **env, struct kf_err *err)
{
	static const char name[] = "PATH=", inner[] = KF_LAUNCHER_INNER_DIR ":",
			  end[] = ":" KF_LAUNCHER_DIR;
	const char *first = "", *last = "", *now;
	struct stat st;
	size_t size;
	char *path;

	while (*env && strncmp(*env, name, sizeof(name) - 1) != 0)
		env++;
	if (!*env || !(*env)[sizeof(name) - 1] || stat(KF_LAUNCHER_PATH, &st) < 0)
		return 0;
	now = *env + sizeof(name) - 1;
	if (has_rule(policy, KF_RULE_INNER) && !has_directory(now, KF_LAUNCHER_INNER_DIR) &&
	    stat(KF_LAUNCHER_INNER_DIR, &st) == 0)
		first = inner;
	if (!has_directory(now, KF_LAUNCHER_DIR))
		last = end;
	if (!*first && !*last)
		return 0;
	size = strlen(*env) + sizeof(inner) + sizeof(end);
	path = malloc(size);
	if (!path)
		return kf_fail_nomem(err, "environment");
	(void)snprintf(path, size, "%s%s%s%s", name, first, now, last);
	*env = path;
	return 0;
}

static int prepare_start(struct start *s, const char **ret_program, char ***ret_env,
			 struct kf_err *err)
{
	static struct kf_nono_self self;
	const struct kf_nono_options *options = s->options;

	if (kf_nono_self_find(&self, err) < 0 ||
	    kf_nono_source_policy(&self, options->profile, options->policy_fd, &s->policy,
				  &s->domain, err) < 0)
		return -1;
	if (self.exec_fd >= 0)
		(void)close(self.exec_fd);
	s->domain_fd = options->policy_fd;
	if (options->workdir && chdir(options->workdir) < 0)
		return kf_fail_sys(err, "--workdir '%s'", options->workdir);
	if (kf_vars_init(&s->vars, err) < 0)
		return -1;
	s->scene = (struct kf_scene){
		.tree = &kf_tree_live,
		.policy = &s->policy,
		.vars = &s->vars,
		.options = options->grants,
		.noptions = options->ngrants,
	};
	if (kf_nono_options_network(options, &s->policy, err) < 0)
		return -1;
	kf_enter_find_needs(&s->policy, &s->needs);
	if (options->dry_run)
		return 0;
	if (kf_nono_program_find(options->command[0], self.dir, ret_program, err) < 0)
		return -1;
	if (kf_vars_expand_env(&s->vars, &s->policy, err) < 0)
		return -1;
	if (kf_process_environment(&s->policy, environ, ret_env, err) < 0)
		return -1;
	return add_to_path(&s->policy, *ret_env, err);
}

/* Before the sandbox was on the program could be executed. */
static int explain_refusal(const struct start *s, const char *program, struct kf_err *err)
{
	struct stat st;

	if (stat(program, &st) == 0 && S_ISDIR(st.st_mode))
		return kf_fail(err, EISDIR, "cannot start '%s': Is a directory", program);
	return kf_fail(err, EACCES,
		       "cannot start '%s': Permission denied: profile '%s' does not let it, or "
		       "the interpreter that it names, be executed",
		       program, s->policy.name);
}

/* The guard waits for this descriptor to be closed by execve(2), or for a message. */
static void open_report(struct start *s)
{
	s->report = s->options->report_fd;
	if (s->report >= 0 && fcntl(s->report, F_SETFD, FD_CLOEXEC) < 0) {
		(void)close(s->report);
		s->report = -1;
	}
}

static int start_program(struct start *s, struct kf_err *err)
{
	char *const *command = s->options->command;
	const char *program;
	const struct kf_enter enter = {
		.scene = &s->scene,
		.needs = &s->needs,
		.domain = &s->domain,
		.domain_fd = s->options->policy_fd,
	};
	char **env;

	if (prepare_start(s, &program, &env, err) < 0)
		return -1;
	if (s->options->dry_run)
		return describe_start(s, STDOUT_FILENO, err);
	if (s->options->verbose && describe_start(s, STDERR_FILENO, err) < 0)
		return -1;
	/* No rule grants it then, which is a volume. */
	if (!s->needs.volumes && !s->domain.head.decided)
		s->log = open_log();
	if (kf_enter_sandbox(&enter, err) < 0 || kf_process_limits(&s->policy, err) < 0)
		return -1;
	/* Ours must not outlive us; everything else is the workload's. */
	if (s->domain_fd >= 0)
		(void)close(s->domain_fd);
	tell_hints(&s->policy, command);
	if (enter_policy(s, err) < 0)
		return -1;
	(void)execve(program, command, env);
	if (errno == EACCES)
		return explain_refusal(s, program, err);
	s->executing = true;
	return kf_fail_sys(err, "cannot start '%s'", program);
}

int kf_nono_wrap(char **argv)
{
	static struct start start = {.domain_fd = -1, .log = -1, .report = -1};
	struct kf_nono_options options;
	struct kf_err err;

	if (kf_nono_options_parse(KF_NONO_WRAP, argv, &options, &err) < 0)
		return kf_nono_usage(&err);
	if (options.help)
		return kf_nono_help();
	if (!options.command[0] && !options.dry_run) {
		kf_err_set(&err, EINVAL, "wrap: no program to run");
		return kf_nono_usage(&err);
	}
	start.options = &options;
	open_report(&start);
	return start_program(&start, &err) < 0 ? tell_failure(&err, &start) : 0;
}

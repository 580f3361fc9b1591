/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/path.h"
#include "nono/command.h"
#include "nono/grants.h"
#include "nono/options.h"
#include "nono/program.h"
#include "nono/report.h"
#include "nono/rt.h"
#include "nono/source.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the kubelet looks for a container's last words, when its log may be gone. */
#define TERMINATION_LOG "/dev/termination-log"

struct landlock_sink {
	struct kf_grant_sink sink;
	struct kf_landlock ll;
};

/* What the policy's rules that are not about files amount to. */
struct needs {
	struct kf_landlock_want landlock;
	struct kf_filter filter;
	bool log; /* to be opened before: no rule grants volumes, of which it is one */
};

static int open_log(void)
{
	return kf_open(AT_FDCWD, TERMINATION_LOG, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
}

/* Say why on stderr and in the termination log, @log if that is open already. */
static __attribute__((noinline)) int fail(const struct kf_err *err, int log)
{
	KF_UNINIT char line[KF_ERR_MSG_MAX + 8];
	struct stat st;
	size_t n;

	(void)snprintf(line, sizeof(line), "nono: %s\n", err->msg);
	n = strlen(line);
	(void)!write(STDERR_FILENO, line, n);
	if (log < 0)
		log = open_log();
	if (log >= 0 && fstat(log, &st) == 0 && S_ISREG(st.st_mode))
		(void)!write(log, line, n);
	return KF_EXIT_FAILED;
}

static void find_needs(const struct kf_policy *policy, const struct kf_options *options,
		       struct needs *ret)
{
	bool tcp = false;

	*ret = (struct needs){.filter = {.block = options->block_net}, .log = true};
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		switch (rule->kind) {
		case KF_RULE_FS_VOLUMES:
			ret->log = false;
			break;
		case KF_RULE_NET_BLOCK:
			ret->filter.block = true;
			break;
		case KF_RULE_NET_CONNECT:
			ret->landlock.connect = tcp = true;
			break;
		case KF_RULE_NET_BIND:
			ret->landlock.bind = tcp = true;
			break;
		case KF_RULE_SCOPE:
			if (strcmp(rule->verb, "signal") == 0)
				ret->landlock.signal = true;
			else
				ret->landlock.abstract = true;
			break;
		default:
			break;
		}
	}
	if (options->block_net) {
		ret->landlock.connect = ret->landlock.bind = tcp = false;
	} else if (ret->filter.block && tcp) {
		ret->landlock.connect = ret->landlock.bind = true;
		ret->filter.tcp = true;
	}
	/* Abstract unix sockets belong to the network namespace, the node's with hostNetwork. */
	ret->landlock.abstract_if_can = ret->filter.block;
	ret->filter.restrict_connect = ret->landlock.connect;
	/* Only a policy as it is written is recognised again, without additions. */
	ret->filter.mark = !options->ngrants && !options->block_net;
	ret->filter.policy = policy->id;
}

static int landlock_grant(struct kf_grant_sink *sink, const struct kf_grant *grant,
			  struct kf_err *err)
{
	const struct kf_landlock *ll = &((const struct landlock_sink *)sink)->ll;

	if (grant->access & KF_GRANT_LIST)
		return kf_landlock_allow_list(ll, grant->fd, err);
	return kf_landlock_allow(ll, grant->fd, grant->place, grant->access, err);
}

static int allow_ports(const struct kf_policy *policy, const struct kf_landlock *ll,
		       struct kf_err *err)
{
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if ((rule->kind == KF_RULE_NET_CONNECT || rule->kind == KF_RULE_NET_BIND) &&
		    kf_landlock_allow_port(ll, rule->kind == KF_RULE_NET_BIND, rule->port, err) < 0)
			return -1;
	}
	return 0;
}

static int enter(const struct kf_policy *policy, const struct kf_options *options,
		 const struct kf_vars *vars, const struct needs *needs, struct kf_err *err)
{
	struct landlock_sink sink = {.sink = {.grant = landlock_grant}};
	int ret;

	if (kf_landlock_open(&needs->landlock, &sink.ll, err) < 0)
		return -1;
	ret = kf_grants_walk(policy, options, vars, &sink.sink, err);
	if (ret == 0 && !options->block_net)
		ret = allow_ports(policy, &sink.ll, err);
	if (ret == 0)
		ret = kf_landlock_enforce(&sink.ll, err);
	(void)close(sink.ll.fd);
	if (ret == 0 &&
	    (needs->filter.block || needs->filter.restrict_connect || needs->filter.mark))
		ret = kf_filter_install(&needs->filter, err);
	return ret;
}

static int describe(const struct kf_policy *policy, const struct kf_options *options,
		    const struct kf_vars *vars, int out, struct kf_err *err)
{
	struct kf_report report;

	kf_report_init(&report, out, options->verbose > 0);
	kf_print(out, "profile %s\n", policy->name);
	if (kf_grants_walk(policy, options, vars, &report.sink, err) < 0)
		return -1;
	kf_report_rules(policy, options->block_net, out);
	return 0;
}

/* Ours must not outlive us; everything else is the workload's. */
static void close_own(const struct kf_self *self, int policy_fd)
{
	if (policy_fd >= 0)
		(void)close(policy_fd);
	if (self->exec_fd >= 0)
		(void)close(self->exec_fd);
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
			kf_print(STDERR_FILENO, "nono: %s\n", text + 1);
	}
}

static int run(const struct kf_options *options, int *log, struct kf_err *err)
{
	static struct kf_self self;
	static struct kf_vars vars;
	const char *program;
	struct stat st;
	struct kf_policy policy;
	struct needs needs;
	char **env;

	if (kf_self_find(&self, err) < 0 ||
	    kf_source_policy(&self, options->profile, options->policy_fd, &policy, err) < 0)
		return -1;
	close_own(&self, options->policy_fd);
	if (options->workdir && chdir(options->workdir) < 0)
		return kf_fail_sys(err, "--workdir '%s'", options->workdir);
	if (kf_vars_init(&vars, err) < 0)
		return -1;
	if (options->dry_run)
		return describe(&policy, options, &vars, STDOUT_FILENO, err);
	if (kf_program_find(options->command[0], self.dir, &program, err) < 0)
		return -1;
	if (options->verbose && describe(&policy, options, &vars, STDERR_FILENO, err) < 0)
		return -1;
	if (kf_process_environment(&policy, environ, &env, err) < 0)
		return -1;
	find_needs(&policy, options, &needs);
	if (needs.log)
		*log = open_log();
	if (!(needs.filter.mark && kf_filter_marked(policy.id)) &&
	    enter(&policy, options, &vars, &needs, err) < 0)
		return -1;
	if (kf_process_limits(&policy, err) < 0)
		return -1;
	tell_hints(&policy, options->command);
	(void)execve(program, options->command, env);
	if (errno == EACCES && stat(program, &st) == 0 && S_ISDIR(st.st_mode))
		errno = EISDIR;
	return kf_fail_sys(err, "cannot start '%s'", program);
}

int kf_command_wrap(char **argv)
{
	struct kf_options options;
	struct kf_err err;
	int log = -1;

	if (kf_options_parse(KF_OPTIONS_WRAP, argv, &options, &err) < 0)
		return kf_command_usage(&err);
	if (!options.command[0] && !options.dry_run) {
		kf_err_set(&err, EINVAL, "wrap: no program to run");
		return kf_command_usage(&err);
	}
	return run(&options, &log, &err) < 0 ? fail(&err, log) : 0;
}

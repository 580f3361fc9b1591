/* SPDX-License-Identifier: Apache-2.0 */
/* nono-runc: stands in front of a real OCI runtime and sees to it that nothing
 * it starts is outside the sandbox.  One exec, no daemon. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "nono-runc/cmdline.h"
#include "nono-runc/domain.h"
#include "nono-runc/egress.h"
#include "nono-runc/errlog.h"
#include "nono-runc/guard.h"
#include "nono-runc/node.h"
#include "nono-runc/outcome.h"
#include "nono-runc/readonly.h"
#include "nono-runc/record.h"
#include "nono-runc/review.h"
#include "nono-runc/started.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As runc and crun end if they could not do what they were asked. */
#define EXIT_REFUSED	     1
#define EXIT_REFUSED_TO_EXEC 255

/* Ours, and only if nothing else is asked for: neither runc nor crun has such a flag, and their
 * own --version is theirs to answer. */
#define VERSION_FLAG	     "--kubefence-version"

static void print_error(const struct kf_cmdline *cmd, const struct kf_err *err)
{
	kf_errlog(cmd->value[KF_FLAG_LOG], cmd->value[KF_FLAG_LOG_FORMAT], err);
}

static int refuse_restore(struct kf_guard *guard, struct kf_err *err)
{
	(void)guard;
	return kf_fail(err, EPERM,
		       "restore: the kernel cannot restore a sandboxed process into its sandbox; "
		       "start a new container");
}

static int (*const prepare[])(struct kf_guard *guard, struct kf_err *err) = {
	[KF_VERB_OTHER] = kf_guard_pass,    [KF_VERB_CREATE] = kf_guard_create,
	[KF_VERB_DELETE] = kf_guard_pass,   [KF_VERB_EXEC] = kf_guard_exec,
	[KF_VERB_RESTORE] = refuse_restore, [KF_VERB_RUN] = kf_guard_create,
	[KF_VERB_START] = kf_guard_start,
};

static int run_runtime(const struct kf_guard *guard, struct kf_err *err)
{
	(void)execv(guard->runtime, guard->argv);
	return kf_fail_sys(err, "run '%s'", guard->runtime);
}

static int exit_refused(const struct kf_cmdline *cmd)
{
	return cmd->verb == KF_VERB_EXEC ? EXIT_REFUSED_TO_EXEC : EXIT_REFUSED;
}

static void drop_files(const char *root, const char *id)
{
	kf_outcome_drop(root, id);
	kf_domain_drop(root, id);
	kf_guard_record_drop(root, id);
	kf_guard_egress_drop(root, id);
	kf_guard_review_drop(root, id);
}

/* Run the runtime as a child.  Comes back only if it succeeded, or with *err if that cannot be
 * told; else this process ends as the runtime did. */
static int run_and_wait(const struct kf_guard *guard, struct kf_err *err)
{
	pid_t parent = getpid(), child = fork();
	int status;

	if (child < 0)
		return kf_fail_sys(err, "fork");
	if (child == 0) {
		/* Whoever kills us means the runtime. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			(void)run_runtime(guard, err);
		print_error(guard->cmd, err);
		_exit(exit_refused(guard->cmd));
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "wait for '%s'", guard->runtime);
	if (WIFSIGNALED(status)) {
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)raise(WTERMSIG(status));
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_REFUSED);
	return 0;
}

/* The record goes when the container has gone, and not if the runtime refuses
 * because it is still running. */
static int delete_container(const struct kf_guard *guard, struct kf_err *err)
{
	const char *root = guard->cmd->value[KF_FLAG_ROOT], *id = guard->cmd->id;

	if (run_and_wait(guard, err) < 0)
		return -1;
	kf_readonly_release(root, id);
	drop_files(root, id);
	exit(0);
}

/* A "run" that failed leaves no container. */
static void delete_failed(struct kf_guard *guard)
{
	const struct kf_cmdline *cmd = guard->cmd;
	const char *const args[] = {"delete", "--force", cmd->id, NULL};
	struct kf_err err;

	memcpy(guard->argv + cmd->verb_at, args, sizeof(args));
	if (run_and_wait(guard, &err) == 0) {
		kf_readonly_release(cmd->value[KF_FLAG_ROOT], cmd->id);
		drop_files(cmd->value[KF_FLAG_ROOT], cmd->id);
	}
}

/* The runtime has started the launcher, and that is its success; ours is that the launcher has
 * started the program. */
static int start_program(struct kf_guard *guard, struct kf_err *err)
{
	if (run_and_wait(guard, err) < 0)
		return -1;
	kf_started_later(guard->cmd);
	if (guard->outcome_write >= 0)
		(void)close(guard->outcome_write);
	if (kf_outcome_read(guard->outcome, err) == 0)
		exit(0);
	if (guard->cmd->verb == KF_VERB_RUN) {
		print_error(guard->cmd, err);
		delete_failed(guard);
		exit(EXIT_REFUSED);
	}
	return -1;
}

static int print_version(void)
{
	static const char text[] = "nono-runc " KF_VERSION "\n";

	return kf_write_all(STDOUT_FILENO, text, sizeof(text) - 1, KF_ERR_IGNORED) < 0;
}

int main(int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_guard_node node;
	struct kf_cmdline cmd = {0};
	struct kf_guard guard = {.node = &node, .cmd = &cmd, .outcome = -1, .outcome_write = -1};

	/* As a hook that we put into a config.json: no runtime calls us by a bare name. */
	if (argc > 0 && strcmp(argv[0], KF_READONLY_HOOK) == 0)
		return kf_readonly_hook(argc, argv);
	if (argc == 2 && strcmp(argv[1], VERSION_FLAG) == 0)
		return print_version();
	kf_arena_init(&guard.arena, KF_LIMIT_REQUEST_MEMORY);
	if (argc > 0 && kf_cmdline_parse(argc, argv, &cmd, &err) == 0 &&
	    kf_guard_node_init(argv[0], &node, &err) == 0 && prepare[cmd.verb](&guard, &err) == 0) {
		guard.argv[0] = guard.runtime;
		if (cmd.verb == KF_VERB_DELETE)
			(void)delete_container(&guard, &err);
		else if (guard.outcome >= 0)
			(void)start_program(&guard, &err);
		else
			(void)run_runtime(&guard, &err);
	}
	print_error(&cmd, &err);
	return exit_refused(&cmd);
}

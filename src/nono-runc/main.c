/* SPDX-License-Identifier: Apache-2.0 */
/* nono-runc: stands in front of a real OCI runtime and sees to it that nothing
 * it starts is outside the sandbox.  One exec, no daemon. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "nono-runc/cmdline.h"
#include "nono-runc/domain.h"
#include "nono-runc/errlog.h"
#include "nono-runc/guard.h"
#include "nono-runc/node.h"
#include "nono-runc/readonly.h"
#include "nono-runc/record.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_REFUSED 1

static void fail(const struct kf_cmdline *cmd, const struct kf_err *err)
{
	kf_errlog(cmd->value[KF_FLAG_LOG], cmd->value[KF_FLAG_LOG_FORMAT], err);
}

static int restore(struct kf_guard *guard, struct kf_err *err)
{
	(void)guard;
	return kf_fail(err, EPERM,
		       "restore: the kernel cannot restore a sandboxed process into its sandbox; "
		       "start a new container");
}

static int (*const prepare[])(struct kf_guard *guard, struct kf_err *err) = {
	[KF_VERB_OTHER] = kf_guard_pass,  [KF_VERB_CREATE] = kf_guard_create,
	[KF_VERB_DELETE] = kf_guard_pass, [KF_VERB_EXEC] = kf_guard_exec,
	[KF_VERB_RESTORE] = restore,	  [KF_VERB_RUN] = kf_guard_create,
	[KF_VERB_START] = kf_guard_start,
};

static int run(const struct kf_guard *guard, struct kf_err *err)
{
	(void)execv(guard->runtime, guard->argv);
	return kf_fail_sys(err, "run '%s'", guard->runtime);
}

static void drop(const char *root, const char *id)
{
	kf_domain_drop(root, id);
	kf_record_drop(root, id);
}

/* The record goes when the container has gone, and not if the runtime refuses
 * because it is still running.  Therefore the one fork. */
static int delete_(const struct kf_guard *guard, struct kf_err *err)
{
	pid_t parent = getpid(), child = fork();
	int status;

	if (child < 0)
		return kf_fail_sys(err, "fork");
	if (child == 0) {
		/* Whoever kills us means the runtime. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			(void)run(guard, err);
		fail(guard->cmd, err);
		_exit(EXIT_REFUSED);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "wait for '%s'", guard->runtime);
	if (WIFSIGNALED(status)) {
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)raise(WTERMSIG(status));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		kf_readonly_release(guard->cmd->value[KF_FLAG_ROOT], guard->cmd->id);
		drop(guard->cmd->value[KF_FLAG_ROOT], guard->cmd->id);
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_REFUSED);
}

int main(int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_node node;
	struct kf_cmdline cmd = {0};
	struct kf_guard guard = {.node = &node, .cmd = &cmd};

	/* As a hook that we put into a config.json: no runtime calls us by a bare name. */
	if (argc > 0 && strcmp(argv[0], KF_READONLY_HOOK) == 0)
		return kf_readonly_hook(argc, argv);
	kf_arena_init(&guard.arena, KF_LIMIT_REQUEST_MEMORY);
	if (argc > 0 && kf_cmdline_parse(argc, argv, &cmd, &err) == 0 &&
	    kf_node_init(argv[0], &node, &err) == 0 && prepare[cmd.verb](&guard, &err) == 0) {
		guard.argv[0] = guard.runtime;
		if (cmd.verb == KF_VERB_DELETE)
			(void)delete_(&guard, &err);
		else
			(void)run(&guard, &err);
	}
	fail(&cmd, &err);
	return EXIT_REFUSED;
}

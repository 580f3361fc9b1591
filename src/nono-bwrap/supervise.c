/* SPDX-License-Identifier: Apache-2.0 */
/* What a PID namespace does about the end of processes, without one.  Two processes outside of the
 * inner sandbox look after the program: the caller's own, and below it a keeper.  Both are
 * subreapers, so everything that the program starts stays below them; the keeper ends it all when
 * the program or the caller's process has ended, and the caller's process does if the keeper was
 * killed. */
#include "nono-bwrap/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN "/proc/thread-self/children"
/* A list of children is read in parts. */
#define PART_MAX 4096

static int status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* SIGKILL to each child.  Those of a child that has died are ours by then, or will be. */
static void kill_children(void)
{
	char part[PART_MAX + 1];
	int fd = open(CHILDREN, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	/* What is cut at the end of a part is read in the next round. */
	n = read(fd, part, PART_MAX);
	(void)close(fd);
	if (n <= 0)
		return;
	part[n] = '\0';
	for (char *at = part, *end; *at; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			return;
		if (pid > 1 && *end)
			(void)kill((pid_t)pid, SIGKILL);
		end += *end == ' ';
	}
}

/* End what is left below this process; return when nothing is. */
static void end_all(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	for (;;) {
		pid_t pid;

		kill_children();
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return;
		/* A process that was killed needs a moment to be gone. */
		(void)nanosleep(&moment, NULL);
	}
}

/* Die with @parent, by @signal; false if it has died already. */
static bool bind_to(pid_t parent, int signal)
{
	return prctl(PR_SET_PDEATHSIG, (unsigned long)signal, 0UL, 0UL, 0UL) == 0 &&
	       getppid() == parent;
}

/* Wait until @program or @parent has ended; what to exit with. */
static int keep_program(pid_t program, pid_t parent, const sigset_t *signals)
{
	while (getppid() == parent) {
		int status;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == program)
				return status_of(status);
		(void)sigwaitinfo(signals, NULL);
	}
	return 128 + SIGKILL;
}

static void become_keeper(pid_t parent, const sigset_t *signals, pid_t program)
{
	int status = keep_program(program, parent, signals);

	end_all();
	_exit(status);
}

/* In the keeper: start the program's process.  Returns only in that. */
static int start_keeper(pid_t caller, const sigset_t *before, struct kf_err *err)
{
	const pid_t keeper = getpid();
	sigset_t signals;
	pid_t program;

	/* A terminal's signals are the program's business. */
	(void)sigfillset(&signals);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) < 0)
		return kf_fail_sys(err, "PR_SET_CHILD_SUBREAPER");
	if (!bind_to(caller, SIGTERM))
		_exit(128 + SIGKILL);
	program = fork();
	if (program < 0)
		return kf_fail_sys(err, "fork");
	if (program > 0)
		become_keeper(caller, &signals, program);
	if (!bind_to(keeper, SIGKILL))
		_exit(128 + SIGKILL);
	return sigprocmask(SIG_SETMASK, before, NULL) < 0 ? kf_fail_sys(err, "sigprocmask") : 1;
}

int kf_bwrap_supervise(bool die_with_parent, int *ret_status, struct kf_err *err)
{
	const pid_t caller = getpid(), parent = getppid();
	int status = 0;
	sigset_t before;
	pid_t keeper, pid;

	if (access(CHILDREN, R_OK) < 0)
		return kf_fail_sys(err, "Can't tell what a program starts: " CHILDREN
					" (the kernel's CONFIG_PROC_CHILDREN)");
	if (die_with_parent && !bind_to(parent, SIGKILL))
		return kf_fail(err, ESRCH, "the parent has ended");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) < 0 ||
	    sigprocmask(SIG_SETMASK, NULL, &before) < 0)
		return kf_fail_sys(err, "PR_SET_CHILD_SUBREAPER");
	keeper = fork();
	if (keeper < 0)
		return kf_fail_sys(err, "fork");
	if (keeper == 0) {
		int r = start_keeper(caller, &before, err);

		return r;
	}
	do
		pid = waitpid(-1, &status, 0);
	while (pid != keeper && (pid > 0 || errno == EINTR));
	end_all();
	*ret_status = status_of(status);
	return 0;
}

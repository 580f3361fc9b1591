/* SPDX-License-Identifier: Apache-2.0 */
/* Running a program of the host's in a chroot of its root, with a time limit and a limit on its
 * output. systemctl is called in unit.c. */
#include "host/run.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127
/* What a program says on stderr; its last line is for the message. */
#define ERRORS_MAX	 (64 * 1024)

static const char *const base_environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C",
	"HOME=/root",
	"SYSTEMD_IGNORE_CHROOT=1", /* otherwise systemctl refuses to work in a chroot */
	"SYSTEMD_PAGER=",
};

static _Noreturn void run_child(const struct kf_host *host, const char *variable,
				const char *const *argv, int null, int out, int errors)
{
	const char *environment[KF_ARRAY_SIZE(base_environment) + 2] = {NULL};
	sigset_t none;

	memcpy(environment, base_environment, sizeof(base_environment));
	environment[KF_ARRAY_SIZE(base_environment)] = variable;

	(void)setsid();
	(void)umask(022);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0)
		_exit(EXIT_NOT_STARTED);
	if (!host->here && (fchdir(host->fd) < 0 || chroot(".") < 0)) {
		dprintf(2, "chroot to '%s': %s", host->root, strerror(errno));
		_exit(EXIT_NOT_STARTED);
	}
	if (chdir("/") == 0)
		(void)execve(argv[0], (char *const *)(uintptr_t)argv,
			     (char *const *)(uintptr_t)environment);
	dprintf(2, "%s: %s", argv[0], strerror(errno));
	_exit(EXIT_NOT_STARTED);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Read what has arrived at @p; close it at its end. */
static void drain_pipe(struct pollfd *p, struct kf_buf *buf)
{
	char chunk[16 * 1024];
	ssize_t n = read(p->fd, chunk, sizeof(chunk));

	if (n > 0) {
		kf_buf_add(buf, chunk, (size_t)n);
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		(void)close(p->fd);
		p->fd = -1;
	}
}

/* Collect both streams until they end.  0, ETIMEDOUT or E2BIG. */
static int collect_output(struct pollfd p[static 2], struct kf_buf *out, struct kf_buf *errors,
			  int64_t deadline)
{
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int64_t left = deadline - now_ms();

		if (left <= 0)
			return ETIMEDOUT;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return errno;
		if (p[0].fd >= 0 && p[0].revents)
			drain_pipe(&p[0], out);
		if (p[1].fd >= 0 && p[1].revents)
			drain_pipe(&p[1], errors);
		if (out->failed)
			return E2BIG;
		if (errors->failed) /* too much of it: only its end is used */
			kf_buf_reset(errors);
	}
	return 0;
}

/* Wait for @pid until @deadline. */
static bool wait_child(pid_t pid, int *ret_status, int64_t deadline)
{
	const struct timespec pause = {.tv_nsec = 2 * 1000 * 1000};

	for (;;) {
		pid_t got = waitpid(pid, ret_status, WNOHANG);

		if (got == pid)
			return true;
		if ((got < 0 && errno != EINTR) || now_ms() >= deadline)
			return false;
		(void)nanosleep(&pause, NULL);
	}
}

/* Copy the last line of @s into @why; a long one is cut at its end. */
static void last_line(const struct kf_buf *s, char why[static KF_RUN_WHY])
{
	const char *p = s->p ? s->p : "", *start;
	size_t n = s->n;

	while (n && strchr(" \t\r\n", p[n - 1]))
		n--;
	for (start = p + n; start > p && start[-1] != '\n'; start--)
		;
	n = (size_t)(p + n - start);
	(void)snprintf(why, KF_RUN_WHY, "%.*s%s", (int)(n < KF_RUN_WHY ? n : KF_RUN_WHY - 4), start,
		       n < KF_RUN_WHY ? "" : "...");
}

static int finish_child(pid_t pid, int failed, const char *name, unsigned timeout_ms,
			int64_t deadline, int *ret_status, struct kf_err *err)
{
	int status;

	if (!failed && wait_child(pid, &status, deadline)) {
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		return 0;
	}
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (failed && failed != ETIMEDOUT)
		return kf_fail(err, failed, "%s: %s", name,
			       failed == E2BIG ? "says too much" : strerror(failed));
	return kf_fail(err, ETIMEDOUT, "%s: not done after %u s, stopped it", name,
		       timeout_ms / 1000);
}

int kf_run_host(const struct kf_host *host, const char *const *argv, unsigned timeout_ms,
		size_t max, struct kf_run *ret, struct kf_err *err)
{
	return kf_run_host_with(host, NULL, argv, timeout_ms, max, ret, err);
}

int kf_run_host_with(const struct kf_host *host, const char *variable, const char *const *argv,
		     unsigned timeout_ms, size_t max, struct kf_run *ret, struct kf_err *err)
{
	KF_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kf_buf out = KF_BUF_INIT(max), errors = KF_BUF_INIT(ERRORS_MAX);
	int64_t deadline = now_ms() + timeout_ms;
	struct kf_run run = {0};
	int o[2], e[2], r;
	pid_t pid;

	if (null < 0 || pipe2(o, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "run '%s'", argv[0]);
	if (pipe2(e, O_CLOEXEC) < 0) {
		(void)close(o[0]);
		(void)close(o[1]);
		return kf_fail_sys(err, "run '%s'", argv[0]);
	}
	pid = fork();
	if (pid == 0)
		run_child(host, variable, argv, null, o[1], e[1]);
	(void)close(o[1]);
	(void)close(e[1]);
	struct pollfd p[2] = {{.fd = o[0], .events = POLLIN}, {.fd = e[0], .events = POLLIN}};
	if (pid < 0)
		r = kf_fail_sys(err, "fork");
	else
		r = finish_child(pid, collect_output(p, &out, &errors, deadline), argv[0],
				 timeout_ms, deadline, &run.status, err);
	for (unsigned i = 0; i < 2; i++)
		if (p[i].fd >= 0)
			(void)close(p[i].fd);
	if (r == 0) {
		last_line(&errors, run.why);
		run.n = out.n;
		run.out = kf_buf_take(&out);
		if (!run.out)
			r = kf_fail_nomem(err, argv[0]);
		else if (run.status == EXIT_NOT_STARTED && !run.n)
			r = kf_fail(err, ENOEXEC, "cannot run '%s': %s", argv[0], run.why);
	}
	kf_buf_done(&out);
	kf_buf_done(&errors);
	if (r == 0)
		*ret = run;
	else
		free(run.out);
	return r;
}

void kf_run_done(struct kf_run *run)
{
	free(run->out);
	*run = (struct kf_run){0};
}

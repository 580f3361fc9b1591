/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/job.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	/* As a container's first process we inherit what programs of the host's leave behind. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void release(struct kf_job *job)
{
	event_free(job->event);
	(void)close(job->fd);
	free(job->result);
	*job = (struct kf_job){0};
}

static void on_result(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_job *job = ctx, ended;
	ssize_t n = read((int)fd, (char *)job->result + job->have, job->size - job->have);

	(void)what;
	if (n > 0)
		job->have += (size_t)n;
	if ((n > 0 && job->have < job->size) || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	reap(job->pid);
	/* done() may start the next one. */
	ended = *job;
	ended.result = KF_STEAL(job->result);
	release(job);
	ended.done(ended.ctx, ended.have == ended.size ? ended.result : NULL);
	free(ended.result);
}

static _Noreturn void child(int fd, size_t size, void (*work)(void *ctx, void *result), void *ctx)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	void *result = calloc(1, size);
	struct kf_err err;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < KF_ARRAY_SIZE(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	if (!result)
		_exit(1);
	work(ctx, result);
	_exit(kf_write_all(fd, result, size, &err) < 0);
}

int kf_job_start(struct kf_job *job, struct event_base *base, size_t size,
		 void (*work)(void *ctx, void *result), void (*done)(void *ctx, const void *result),
		 void *ctx, struct kf_err *err)
{
	struct kf_job j = {.size = size, .done = done, .ctx = ctx, .result = calloc(1, size)};
	int p[2];

	if (!j.result)
		return kf_fail_nomem(err, "job");
	if (pipe2(p, O_CLOEXEC) < 0) {
		free(j.result);
		return kf_fail_sys(err, "job: pipe");
	}
	j.fd = p[0];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	j.event = event_new(base, p[0], EV_READ | EV_PERSIST, on_result, job);
	j.pid = j.event ? fork() : -1;
	if (j.pid == 0)
		child(p[1], size, work, ctx);
	(void)close(p[1]);
	if (j.pid < 0 || event_add(j.event, NULL) < 0) {
		kf_err_set_sys(err, "job");
		if (j.pid > 0) {
			(void)kill(j.pid, SIGKILL);
			reap(j.pid);
		}
		if (j.event)
			event_free(j.event);
		(void)close(p[0]);
		free(j.result);
		return -1;
	}
	*job = j;
	return 0;
}

void kf_job_stop(struct kf_job *job)
{
	if (!job->pid)
		return;
	(void)kill(job->pid, SIGKILL);
	reap(job->pid);
	release(job);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in processes of their own for a daemon with an event loop: the process that starts them,
 * what it is told, and the loop's side.  What the jobs do is given by the daemon. */
#include "event/job.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDER_MAX (64 * 1024)

KF_CALLS(kf_job_calls, KF_CALL(pipe2), KF_CALL(sendmsg), KF_CALL(wait4));

/* ---- the process that starts jobs, and the jobs ---- */

/* A message to the process that starts jobs: the kind of the job and its order.  The descriptor
 * that the result is written to travels beside it. */
struct message {
	uint32_t kind;
	alignas(max_align_t) char order[ORDER_MAX];
};

#define MESSAGE_HEAD offsetof(struct message, order)

static _Noreturn void do_job(const struct kf_job_kind *kind, const void *ctx, const void *order,
			     int fd)
{
	void *result = calloc(1, kind->result);

	(void)signal(SIGCHLD, SIG_DFL);
	if (!result)
		_exit(1);
	kind->work(ctx, order, result);
	_exit(kf_write_all(fd, result, kind->result, KF_ERR_IGNORED) < 0);
}

/* What the process that starts jobs is told. */
struct starter {
	const struct kf_job_kind *kinds;
	size_t nkinds;
	const void *ctx;
};

static void start_jobs(const void *starter, int fd)
{
	static struct message m;
	const struct starter *s = starter;
	const pid_t self = getpid();
	ssize_t n;
	int to;

	/* Nobody waits for a job: the end of its result says that it ended. */
	(void)signal(SIGCHLD, SIG_IGN);
	while ((n = kf_child_receive(fd, &m, sizeof(m), 0, &to)) > 0 && to >= 0) {
		const struct kf_job_kind *kind = m.kind < s->nkinds ? &s->kinds[m.kind] : NULL;

		/* If a job cannot be started, its result is empty. */
		if (kind && (size_t)n == MESSAGE_HEAD + kind->order && fork() == 0) {
			kf_child_bind(self);
			(void)close(fd);
			do_job(kind, s->ctx, m.order, to);
		}
		(void)close(to);
	}
	/* The jobs end with this process. */
}

/* ---- the loop's side ---- */

int kf_jobs_start(const struct kf_job_kind *kinds, size_t nkinds, const void *ctx,
		  struct kf_jobs *ret, struct kf_err *err)
{
	const struct starter starter = {kinds, nkinds, ctx};
	struct kf_jobs jobs = {.kinds = kinds, .nkinds = nkinds};

	for (size_t i = 0; i < nkinds; i++)
		if (kinds[i].order > ORDER_MAX)
			return kf_fail(err, E2BIG, "job %zu: its orders are too large", i);
	if (kf_child_start(SOCK_SEQPACKET, start_jobs, &starter, &jobs.starter, err) < 0)
		return kf_fail_wrap(err, "jobs");
	*ret = jobs;
	return 0;
}

void kf_jobs_stop(struct kf_jobs *jobs)
{
	(void)kf_child_stop(&jobs->starter);
}

static void job_done(struct kf_job *job)
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
	/* As a container's first process the daemon inherits the host's orphans; collect them. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	/* done() may use @job again for the next one. */
	ended = *job;
	ended.result = KF_STEAL(job->result);
	job_done(job);
	ended.done(ended.ctx, ended.have == ended.size ? ended.result : NULL);
	free(ended.result);
}

static int send_order(const struct kf_jobs *jobs, size_t kind, const void *order, int to,
		      struct kf_err *err)
{
	char head[MESSAGE_HEAD] = {0};
	const struct iovec parts[] = {{head, sizeof(head)},
				      {(void *)(uintptr_t)order, jobs->kinds[kind].order}};
	const uint32_t number = (uint32_t)kind;

	memcpy(head, &number, sizeof(number));
	if (kf_child_send(jobs->starter.fd, parts, KF_ARRAY_SIZE(parts), to) < 0)
		return kf_fail_sys(err, "job: the process that starts jobs");
	return 0;
}

int kf_job_start(const struct kf_jobs *jobs, size_t kind, const void *order, struct kf_job *job,
		 struct event_base *base, void (*done)(void *ctx, const void *result), void *ctx,
		 struct kf_err *err)
{
	const size_t size = jobs->kinds[kind].result;
	struct kf_job j = {
		.running = true, .size = size, .done = done, .ctx = ctx, .result = calloc(1, size)};
	KF_CLOSE int to = -1;
	int p[2];

	if (!j.result)
		return kf_fail_nomem(err, "job");
	if (pipe2(p, O_CLOEXEC) < 0) {
		free(j.result);
		return kf_fail_sys(err, "job: pipe");
	}
	j.fd = p[0];
	to = p[1];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	j.event = event_new(base, p[0], EV_READ | EV_PERSIST, on_result, job);
	if (j.event && event_add(j.event, NULL) == 0) {
		if (send_order(jobs, kind, order, to, err) == 0) {
			*job = j;
			return 0;
		}
	} else {
		(void)kf_fail_nomem(err, "job");
	}
	if (j.event)
		event_free(j.event);
	(void)close(p[0]);
	free(j.result);
	return -1;
}

void kf_job_drop(struct kf_job *job)
{
	if (job->running)
		job_done(job);
}

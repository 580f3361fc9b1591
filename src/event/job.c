/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in processes of their own for a daemon with an event loop: the process that starts them, the
 * messages to it, and the loop's side.  What the jobs do is given by the daemon. */
#include "event/job.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
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

union job_control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Read one message into *@m.  Returns the descriptor for the result, or -1 if no more messages
 * come. */
static int receive_order(int fd, struct message *m, size_t *ret_n)
{
	union job_control control;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;
	int got;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)) ||
	    msg.msg_flags & MSG_TRUNC)
		return -1;
	memcpy(&got, CMSG_DATA(c), sizeof(got));
	*ret_n = (size_t)n;
	return got;
}

/* End this process when @parent ends. */
static void bind_life(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

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

static _Noreturn void start_jobs(int fd, const struct kf_job_kind *kinds, size_t nkinds,
				 const void *ctx)
{
	static struct message m;
	const pid_t self = getpid();
	size_t n;
	int to;

	(void)signal(
		SIGCHLD,
		SIG_IGN); /* nobody waits for a job: the end of its result says that it ended */
	while ((to = receive_order(fd, &m, &n)) >= 0) {
		const struct kf_job_kind *kind = m.kind < nkinds ? &kinds[m.kind] : NULL;

		/* If a job cannot be started, its result is empty. */
		if (kind && n == MESSAGE_HEAD + kind->order && fork() == 0) {
			bind_life(self);
			(void)close(fd);
			do_job(kind, ctx, m.order, to);
		}
		(void)close(to);
	}
	_exit(0); /* the jobs end with this process */
}

/* ---- the loop's side ---- */

int kf_jobs_start(const struct kf_job_kind *kinds, size_t nkinds, const void *ctx,
		  struct kf_jobs *ret, struct kf_err *err)
{
	const pid_t parent = getpid();
	int pair[2];
	pid_t pid;

	for (size_t i = 0; i < nkinds; i++)
		if (kinds[i].order > ORDER_MAX)
			return kf_fail(err, E2BIG, "job %zu: its orders are too large", i);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return kf_fail_sys(err, "jobs: socketpair");
	pid = fork();
	if (pid == 0) {
		bind_life(parent);
		(void)close(pair[0]);
		start_jobs(pair[1], kinds, nkinds, ctx);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)kf_fail_sys(err, "jobs: fork");
		(void)close(pair[0]);
		return -1;
	}
	*ret = (struct kf_jobs){.kinds = kinds, .nkinds = nkinds, .fd = pair[0], .pid = pid};
	return 0;
}

void kf_jobs_stop(struct kf_jobs *jobs)
{
	if (jobs->fd < 0)
		return;
	(void)close(jobs->fd);
	jobs->fd = -1;
	while (waitpid(jobs->pid, NULL, 0) < 0 && errno == EINTR)
		;
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
	union job_control control = {.room = {0}};
	struct iovec iov[2] = {{head, sizeof(head)},
			       {(void *)(uintptr_t)order, jobs->kinds[kind].order}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const uint32_t number = (uint32_t)kind;

	memcpy(head, &number, sizeof(number));
	control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
					.cmsg_level = SOL_SOCKET,
					.cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.head), &to, sizeof(to));
	if (sendmsg(jobs->fd, &msg, MSG_NOSIGNAL) < 0)
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

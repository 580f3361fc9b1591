/* SPDX-License-Identifier: Apache-2.0 */
/* A process of a daemon's own and the socket to it, over which descriptors go as well.  What such
 * processes do is said in job.c, and by the daemons. */
#include "event/child.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

void kf_child_bind(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

int kf_child_start(int type, void (*run)(const void *ctx, int fd), const void *ctx,
		   struct kf_child *ret, struct kf_err *err)
{
	const pid_t parent = getpid();
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return kf_fail_sys(err, "socketpair");
	pid = fork();
	if (pid == 0) {
		kf_child_bind(parent);
		(void)close(pair[0]);
		run(ctx, pair[1]);
		_exit(0);
	}
	(void)close(pair[1]);
	if (pid < 0) {
		(void)kf_fail_sys(err, "fork");
		(void)close(pair[0]);
		return -1;
	}
	*ret = (struct kf_child){.fd = pair[0], .pid = pid};
	return 0;
}

int kf_child_stop(struct kf_child *child)
{
	int status = 0;

	if (child->fd < 0)
		return 0;
	(void)close(child->fd);
	child->fd = -1;
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

ssize_t kf_child_send(int to, const struct iovec *parts, size_t n, int fd)
{
	union control control = {.room = {0}};
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n};

	if (fd >= 0) {
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL);
}

ssize_t kf_child_receive(int from, void *data, size_t size, int flags, int *ret_fd)
{
	union control control;
	struct iovec iov = {data, size};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	*ret_fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	if (n <= 0 || !(msg.msg_flags & MSG_TRUNC))
		return n;
	kf_cleanup_close(ret_fd);
	*ret_fd = -1;
	return 0;
}

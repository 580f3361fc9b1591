/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that a daemon starts to do for it what it may not do itself, or what blocks, and the
 * socket between the two. */
#ifndef KF_EVENT_CHILD_H
#define KF_EVENT_CHILD_H

#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct kf_child {
	int fd; /* of this process's end of the socket; negative: there is no such process */
	pid_t pid;
};

/* Fork a process that does @run with @ctx and its end of a socket pair of @type; it ends when @run
 * returns, and is killed when this process ends. */
int kf_child_start(int type, void (*run)(const void *ctx, int fd), const void *ctx,
		   struct kf_child *ret, struct kf_err *err);
/* Close the socket, which is the process's reason to end, and wait for that.  Returns how it has
 * ended, as wait(2) has it; 0 also if there was none. */
int kf_child_stop(struct kf_child *child);
/* In a process that was forked: end it when @parent ends. */
void kf_child_bind(pid_t parent);

/* As sendmsg() of @n @parts (at most two), with descriptor @fd if that is not negative. */
ssize_t kf_child_send(int to, const struct iovec *parts, size_t n, int fd);
/* As recvmsg() of at most @size bytes.  *ret_fd: the descriptor that came with them, or -1.  A
 * message that was cut off is none: 0. */
ssize_t kf_child_receive(int from, void *data, size_t size, int flags, int *ret_fd);

#endif

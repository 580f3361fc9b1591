/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink to the kernel's audit log.  What the records mean is in audit.c and feed.c. */
#include "denial/kernel.h"

#include "base/cleanup.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
/* Records that are read at once, and one record: the kernel's longest and its head. */
#define BATCH	     64
#define BATCHES	     8
#define RECORD_SIZE  (8970 + NLMSG_HDRLEN + 1)
/* As much as may wait to be read; the kernel gives what net.core.rmem_max allows, to CAP_NET_ADMIN
 * all of it. */
#define RECEIVE_SIZE (8 * 1024 * 1024)
#define ANSWER_MS    5000
/* So much may wait to be sent by the kernel.  A task that finds it full goes on at once, and the
 * record is counted as lost: nobody in the node waits for us. */
#define BACKLOG	     8192

static int open_netlink(struct kf_err *err)
{
	const struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	KF_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	if (fd < 0 && errno == EPROTONOSUPPORT)
		return kf_fail(err, EPROTONOSUPPORT,
			       "this kernel has no audit log: it was booted with audit=0, which "
			       "has to go from its command line, or built without CONFIG_AUDIT");
	if (fd < 0)
		return kf_fail_sys(err, "the audit log is not allowed here");
	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		return kf_fail_sys(err, "bind to the audit log");
	return kf_steal_fd(&fd);
}

int kf_audit_open(int *ret_fd, struct kf_err *err)
{
	const int group = AUDIT_NLGRP_READLOG, size = RECEIVE_SIZE;
	KF_CLOSE int fd = open_netlink(err);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return errno == EPERM
			       ? kf_fail(err, EPERM,
					 "the audit log may not be read: it needs the capability "
					 "CAP_AUDIT_READ in the node's user namespace")
			       : kf_fail_sys(err, "read the audit log");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

/* The records of one datagram. */
static void take_message(char *data, size_t n, kf_audit_fn *fn, void *ctx)
{
	struct nlmsghdr head;

	if (n < NLMSG_HDRLEN)
		return;
	memcpy(&head, data, sizeof(head));
	data[n] = '\0';
	fn(ctx, head.nlmsg_type, data + NLMSG_HDRLEN);
}

int kf_audit_read(int fd, kf_audit_fn *fn, void *ctx, bool *ret_overrun, struct kf_err *err)
{
	static char data[BATCH][RECORD_SIZE];
	struct sockaddr_nl from[BATCH];
	struct iovec vectors[BATCH];
	struct mmsghdr messages[BATCH];

	*ret_overrun = false;
	for (unsigned round = 0; round < BATCHES; round++) {
		int n;

		for (unsigned i = 0; i < BATCH; i++) {
			vectors[i] = (struct iovec){data[i], RECORD_SIZE - 1};
			messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
								   .msg_namelen = sizeof(from[i]),
								   .msg_iov = &vectors[i],
								   .msg_iovlen = 1}};
		}
		n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ENOBUFS)
			*ret_overrun = true;
		else if (n < 0 && errno == EAGAIN)
			return 0;
		else if (n < 0 && errno != EINTR)
			return kf_fail_sys(err, "read the audit log");
		for (int i = 0; i < n; i++)
			if (from[i].nl_pid == 0) /* from the kernel */
				take_message(data[i], messages[i].msg_len, fn, ctx);
		if (n >= 0 && n < BATCH)
			return 0;
	}
	return 1;
}

/* ---- asking, and turning it on ---- */

/* Send a request of @type and wait for its acknowledgement; an answer of the same type is copied to
 * @ret. */
static int ask_kernel(unsigned short type, const void *body, size_t n, void *ret, size_t size,
		      struct kf_err *err)
{
	KF_CLOSE int fd = open_netlink(err);
	union {
		struct nlmsghdr head;
		char data[8192];
	} m = {.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(n),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
			.nlmsg_seq = 1}};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	bool answered = !ret, acknowledged = false;

	if (fd < 0)
		return -1;
	if (n)
		memcpy(NLMSG_DATA(&m.head), body, n);
	if (sendto(fd, &m, m.head.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) <
	    0)
		return kf_fail_sys(err, "ask the audit log");
	while (!answered || !acknowledged) {
		ssize_t got;

		if (poll(&poll_fd, 1, ANSWER_MS) <= 0)
			return kf_fail(err, ETIMEDOUT,
				       "the kernel's audit log does not answer: it answers only in "
				       "the node's namespaces");
		got = recv(fd, &m, sizeof(m), 0);
		if (got < (ssize_t)sizeof(m.head))
			return kf_fail_sys(err, "ask the audit log");
		if (m.head.nlmsg_type == type && ret) {
			got -= NLMSG_HDRLEN;
			memcpy(ret, NLMSG_DATA(&m.head), (size_t)got < size ? (size_t)got : size);
			answered = true;
		} else if (m.head.nlmsg_type == NLMSG_ERROR) {
			errno = -((struct nlmsgerr *)NLMSG_DATA(&m.head))->error;
			if (errno)
				return kf_fail_sys(err, "ask the audit log");
			acknowledged = true;
		}
	}
	return 0;
}

int kf_audit_status(struct kf_audit_status *ret, struct kf_err *err)
{
	struct audit_status status = {0};

	if (ask_kernel(AUDIT_GET, NULL, 0, &status, sizeof(status), err) < 0)
		return -1;
	*ret = (struct kf_audit_status){.enabled = status.enabled,
					.pid = status.pid,
					.backlog_limit = status.backlog_limit,
					.lost = status.lost};
	return 0;
}

int kf_audit_turn(bool on, bool *ret_changed, struct kf_err *err)
{
	struct audit_status set = {.mask = AUDIT_STATUS_ENABLED, .enabled = on};
	struct kf_audit_status status;

	if (kf_audit_status(&status, err) < 0)
		return -1;
	*ret_changed = status.enabled != (on ? 1 : 0) && status.enabled != KF_AUDIT_LOCKED;
	if (status.enabled == KF_AUDIT_LOCKED && !on)
		return kf_fail(err, EPERM,
			       "the audit log is locked until the next boot (auditctl -e 2)");
	if (!*ret_changed)
		return 0;
	if (on && !status.pid) {
		set.mask |= AUDIT_STATUS_BACKLOG_LIMIT | AUDIT_STATUS_BACKLOG_WAIT_TIME;
		set.backlog_limit = status.backlog_limit > BACKLOG ? status.backlog_limit : BACKLOG;
		set.backlog_wait_time = 0;
	}
	return ask_kernel(AUDIT_SET, &set, sizeof(set), NULL, 0, err);
}

KF_CALLS(kf_audit_calls, KF_CALL(recvmmsg));

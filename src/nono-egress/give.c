/* SPDX-License-Identifier: Apache-2.0 */
/* Giving sockets to a worker. */
#include "nono-egress/give.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

int kf_broker_socket(enum kf_egress_kind kind)
{
	const bool six = kind == KF_EGRESS_TCP6 || kind == KF_EGRESS_UDP6;
	const bool udp = kind == KF_EGRESS_UDP4 || kind == KF_EGRESS_UDP6;

	return socket(six ? AF_INET6 : AF_INET,
		      (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int send_fds(int control, struct kf_egress_given *given, const int *fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(KF_EGRESS_GIVEN_MAX * sizeof(int))];
	} rights = {.space = {0}};
	struct iovec iov = {given, sizeof(*given)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	if (given->count) {
		rights.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(given->count * sizeof(int)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&rights.align), fds, given->count * sizeof(int));
		msg.msg_control = rights.space;
		msg.msg_controllen = CMSG_SPACE(given->count * sizeof(int));
	}
	do
		r = sendmsg(control, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -1 : 0;
}

int kf_broker_give(int control, int (*make)(void *ctx, enum kf_egress_kind kind), void *ctx,
		   struct kf_err *err)
{
	struct kf_egress_ask ask;
	struct kf_egress_given given = {0};
	int fds[KF_EGRESS_GIVEN_MAX], sent;
	ssize_t n = recv(control, &ask, sizeof(ask), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n <= 0)
		return 0;
	if (n != (ssize_t)sizeof(ask) || ask.kind >= KF_EGRESS_KINDS)
		return kf_fail(err, EPROTO, "a worker asked for something that there is not");
	given.kind = ask.kind;
	while (given.count < ask.count && given.count < KF_EGRESS_GIVEN_MAX) {
		int fd = make(ctx, (enum kf_egress_kind)ask.kind);

		if (fd < 0) {
			given.error = given.count ? 0 : (uint32_t)errno;
			break;
		}
		fds[given.count++] = fd;
	}
	sent = send_fds(control, &given, fds);
	for (unsigned i = 0; i < given.count; i++)
		(void)close(fds[i]);
	/* A worker that does not read is stopped, or dead: it gets nothing. */
	return sent < 0 && errno != EAGAIN ? 0 : 1;
}

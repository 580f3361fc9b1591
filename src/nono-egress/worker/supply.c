/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for sockets ahead, so that a connection does not wait for the parent. */
#include "nono-egress/worker/supply.h"

#include "base/cleanup.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

KF_CALLS(kf_worker_supply_calls, KF_CALL(sendmsg), KF_CALL(recvmsg), KF_CALL(sendto));

struct kf_worker_stock {
	int fds[KF_EGRESS_GIVEN_MAX];
	unsigned n, asked, ahead, waiting;
	TAILQ_HEAD(, kf_worker_waiter) waiters;
};

struct kf_worker_supply {
	struct event *event;
	int control;
	struct kf_worker_stock stocks[KF_EGRESS_KINDS];
	void (*lost)(void *ctx);
	void *ctx;
};

static void ask_more(struct kf_worker_supply *supply, enum kf_egress_kind kind)
{
	struct kf_worker_stock *s = &supply->stocks[kind];
	unsigned want = s->ahead + s->waiting, have = s->n + s->asked;
	struct kf_egress_ask ask = {.kind = kind};

	/* Asking for one at a time would be a packet for each connection. */
	if (have >= want || (!s->waiting && 2 * have > want))
		return;
	ask.count = want - have;
	if (ask.count > KF_EGRESS_GIVEN_MAX - s->n)
		ask.count = KF_EGRESS_GIVEN_MAX - s->n;
	if (ask.count && send(supply->control, &ask, sizeof(ask), MSG_NOSIGNAL | MSG_DONTWAIT) ==
				 (ssize_t)sizeof(ask))
		s->asked += ask.count;
}

static struct kf_worker_waiter *next_waiter(struct kf_worker_stock *s)
{
	struct kf_worker_waiter *waiter = TAILQ_FIRST(&s->waiters);

	if (waiter)
		kf_worker_supply_cancel(waiter);
	return waiter;
}

static void hand_out(struct kf_worker_stock *s, int fd)
{
	struct kf_worker_waiter *waiter = next_waiter(s);

	if (waiter)
		waiter->given(waiter->ctx, fd);
	else if (s->n < KF_EGRESS_GIVEN_MAX)
		s->fds[s->n++] = fd;
	else
		(void)close(fd);
}

/* The descriptors of a packet into @fds, how many. */
static unsigned received_fds(struct msghdr *msg, int fds[static KF_EGRESS_GIVEN_MAX])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

static void take_packet(struct kf_worker_supply *supply, const struct kf_egress_given *given,
			const int *fds, unsigned n)
{
	struct kf_worker_stock *s = &supply->stocks[given->kind];

	s->asked = n && s->asked > n ? s->asked - n : 0;
	for (unsigned i = 0; i < n; i++)
		hand_out(s, fds[i]);
	/* Nothing came: who waits would wait for ever. */
	for (unsigned i = n ? 0 : s->waiting; i; i--) {
		struct kf_worker_waiter *waiter = next_waiter(s);

		if (waiter)
			waiter->given(waiter->ctx, -1);
	}
	if (n)
		ask_more(supply, given->kind);
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_supply *supply = arg;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(KF_EGRESS_GIVEN_MAX * sizeof(int))];
	} control = {.space = {0}};
	struct kf_egress_given given;
	struct iovec iov = {&given, sizeof(given)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	int fds[KF_EGRESS_GIVEN_MAX];
	ssize_t r = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	unsigned n;

	(void)what;
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	n = r > 0 ? received_fds(&msg, fds) : 0;
	if (r != (ssize_t)sizeof(given) || given.kind >= KF_EGRESS_KINDS) {
		while (n)
			(void)close(fds[--n]);
		supply->lost(supply->ctx);
		return;
	}
	take_packet(supply, &given, fds, n);
}

int kf_worker_supply_new(struct event_base *base, int control, void (*lost)(void *ctx), void *ctx,
			 struct kf_worker_supply **ret, struct kf_err *err)
{
	struct kf_worker_supply *supply = calloc(1, sizeof(*supply));

	if (!supply)
		return kf_fail_nomem(err, "supply of sockets");
	*supply = (struct kf_worker_supply){.control = control, .lost = lost, .ctx = ctx};
	supply->stocks[KF_EGRESS_TCP4].ahead = 8;
	supply->stocks[KF_EGRESS_UDP4].ahead = 4;
	for (unsigned i = 0; i < KF_EGRESS_KINDS; i++)
		TAILQ_INIT(&supply->stocks[i].waiters);
	supply->event = event_new(base, control, EV_READ | EV_PERSIST, on_control, supply);
	if (!supply->event || event_add(supply->event, NULL) < 0) {
		kf_worker_supply_free(supply);
		return kf_fail_nomem(err, "supply of sockets");
	}
	*ret = supply;
	return 0;
}

void kf_worker_supply_free(struct kf_worker_supply *supply)
{
	if (!supply)
		return;
	for (unsigned i = 0; i < KF_EGRESS_KINDS; i++)
		while (supply->stocks[i].n)
			(void)close(supply->stocks[i].fds[--supply->stocks[i].n]);
	if (supply->event)
		event_free(supply->event);
	free(supply);
}

void kf_worker_supply_start(struct kf_worker_supply *supply)
{
	for (unsigned i = 0; i < KF_EGRESS_KINDS; i++)
		ask_more(supply, (enum kf_egress_kind)i);
}

int kf_worker_supply_take(struct kf_worker_supply *supply, enum kf_egress_kind kind,
			  struct kf_worker_waiter *waiter)
{
	struct kf_worker_stock *s = &supply->stocks[kind];
	int fd = s->n ? s->fds[--s->n] : -1;

	if (fd < 0) {
		waiter->stock = s;
		TAILQ_INSERT_TAIL(&s->waiters, waiter, entry);
		s->waiting++;
	}
	ask_more(supply, kind);
	return fd;
}

void kf_worker_supply_cancel(struct kf_worker_waiter *waiter)
{
	if (!waiter->stock)
		return;
	waiter->stock->waiting--;
	TAILQ_REMOVE(&waiter->stock->waiters, waiter, entry);
	waiter->stock = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dialling.  One address after the other, and none that the rules do not allow: what is checked is
 * what connect(2) is given, whatever the name said before or says later. */
#include "nono-egress/worker/dial.h"

#include "base/cleanup.h"
#include "egress/address.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#define ADDRESS_MS    5000
#define ADDRESSES_MAX 6 /* that are tried */

KF_CALLS(kf_worker_dial_calls, KF_CALL(connect), KF_CALL_IS(getsockopt, 1, SOL_SOCKET));

struct kf_worker_dial {
	const struct kf_worker_dialler *dialler;
	struct kf_worker_lookup *lookup;
	struct kf_worker_waiter waiter;
	struct event *socket, *timer;
	struct kf_worker_addresses addresses;
	unsigned at, tried;
	int fd;
	enum kf_egress_reason reason; /* if no address is left */
	const char *what;
	char address[INET6_ADDRSTRLEN];
	uint16_t port;
	void (*done)(void *ctx, const struct kf_worker_dialled *dialled);
	void *ctx;
};

static void drop_socket(struct kf_worker_dial *d)
{
	kf_worker_supply_cancel(&d->waiter);
	if (d->socket)
		event_free(d->socket);
	d->socket = NULL;
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

void kf_worker_dial_end(struct kf_worker_dial *dial)
{
	if (!dial)
		return;
	kf_worker_lookup_end(dial->lookup);
	drop_socket(dial);
	if (dial->timer)
		event_free(dial->timer);
	free(dial);
}

static void finish_dial(struct kf_worker_dial *d, enum kf_egress_reason reason)
{
	void (*done)(void *ctx, const struct kf_worker_dialled *dialled) = d->done;
	void *ctx = d->ctx;
	char address[INET6_ADDRSTRLEN];
	struct kf_worker_dialled dialled = {
		.fd = reason == KF_EGRESS_WHY_NONE ? kf_steal_fd(&d->fd) : -1,
		.reason = reason,
		.address = address,
		.what = reason == KF_EGRESS_WHY_ADDRESS ? d->what : NULL,
	};

	memcpy(address, d->address, sizeof(address));
	kf_worker_dial_end(d);
	done(ctx, &dialled);
}

static void set_timer(struct kf_worker_dial *d, unsigned ms)
{
	(void)event_add(d->timer, &(struct timeval){ms / 1000, ms % 1000 * 1000});
}

static void write_address(struct kf_worker_dial *d, const union kf_worker_address *a)
{
	(void)inet_ntop(a->any.sa_family,
			a->any.sa_family == AF_INET ? (const void *)&a->four.sin_addr
						    : (const void *)&a->six.sin6_addr,
			d->address, sizeof(d->address));
}

/* The next address that may be dialled; NULL: there is none. */
static const union kf_worker_address *next_address(struct kf_worker_dial *d)
{
	while (d->at < d->addresses.n && d->tried < ADDRESSES_MAX) {
		union kf_worker_address *a = &d->addresses.v[d->at++];
		const char *what;

		if (kf_egress_address_ok(d->dialler->rules, &a->any, &what)) {
			a->four.sin_port = htons(d->port); /* the same place in both */
			d->tried++;
			d->reason = KF_EGRESS_WHY_CONNECT;
			write_address(d, a);
			return a;
		}
		if (!d->tried) {
			d->reason = KF_EGRESS_WHY_ADDRESS;
			d->what = what;
			write_address(d, a);
		}
	}
	return NULL;
}

static void dial_next(struct kf_worker_dial *d);

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_dial *d = arg;
	socklen_t n = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error)
		finish_dial(d, KF_EGRESS_WHY_NONE);
	else
		dial_next(d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_dial *d = arg;

	(void)fd;
	(void)what;
	dial_next(d);
}

static bool use_socket(struct kf_worker_dial *d)
{
	const union kf_worker_address *a = &d->addresses.v[d->at - 1];
	const socklen_t n = a->any.sa_family == AF_INET ? sizeof(a->four) : sizeof(a->six);

	if (connect(d->fd, &a->any, n) < 0 && errno != EINPROGRESS)
		return false;
	d->socket = event_new(d->dialler->base, d->fd, EV_WRITE, on_socket, d);
	return d->socket && event_add(d->socket, NULL) == 0;
}

static void on_given(void *ctx, int fd)
{
	struct kf_worker_dial *d = ctx;

	d->fd = fd;
	if (fd < 0) {
		d->at = d->addresses.n;
		d->reason = KF_EGRESS_WHY_BUSY;
	}
	if (fd < 0 || !use_socket(d))
		set_timer(d, 0);
}

static void dial_next(struct kf_worker_dial *d)
{
	const union kf_worker_address *a;
	int fd;

	drop_socket(d);
	a = next_address(d);
	if (!a) {
		finish_dial(d, d->reason);
		return;
	}
	set_timer(d, ADDRESS_MS);
	fd = kf_worker_supply_take(d->dialler->supply,
				   a->any.sa_family == AF_INET ? KF_EGRESS_TCP4 : KF_EGRESS_TCP6,
				   &d->waiter);
	if (fd >= 0)
		on_given(d, fd);
}

static void on_resolved(void *ctx, const struct kf_worker_addresses *addresses)
{
	struct kf_worker_dial *d = ctx;

	d->lookup = NULL;
	d->addresses = *addresses;
	dial_next(d);
}

static void set_literal(struct kf_worker_dial *d, const char *name)
{
	union kf_worker_address *a = &d->addresses.v[0];

	if (inet_pton(AF_INET, name, &a->four.sin_addr) == 1)
		a->any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, name, &a->six.sin6_addr) == 1)
		a->any.sa_family = AF_INET6;
	d->addresses.n = a->any.sa_family != AF_UNSPEC;
}

struct kf_worker_dial *kf_worker_dial_new(
	const struct kf_worker_dialler *dialler, const char *name, bool literal, uint16_t port,
	void (*done)(void *ctx, const struct kf_worker_dialled *dialled), void *ctx)
{
	struct kf_worker_dial *d = calloc(1, sizeof(*d));
	bool now = true;

	if (!d)
		return NULL;
	*d = (struct kf_worker_dial){
		.dialler = dialler,
		.waiter = {.given = on_given, .ctx = d},
		.fd = -1,
		.reason = KF_EGRESS_WHY_RESOLVE,
		.port = port,
		.done = done,
		.ctx = ctx,
	};
	d->timer = evtimer_new(dialler->base, on_timer, d);
	if (!d->timer) {
		free(d);
		return NULL;
	}
	if (literal)
		set_literal(d, name);
	else
		now = kf_worker_resolve(dialler->resolver, name, on_resolved, d, &d->addresses,
					&d->lookup);
	if (now)
		set_timer(d, 0); /* dials from the loop */
	else if (!d->lookup) {
		kf_worker_dial_end(d);
		return NULL;
	}
	return d;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver: both questions of a name over one socket of its own, so that each has a port that
 * nobody can guess; by TCP if an answer is cut.  What was found is kept as long as it may be. */
#include "nono-egress/worker/resolve.h"

#include "base/cleanup.h"
#include "nono-egress/worker/end.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#define PORT_DNS   53
#define ATTEMPTS   3
#define ATTEMPT_MS 2000
#define OTHER_MS   100 /* that one family waits for the other */
#define CACHE_MAX  64
#define CACHE_TTL  60 /* seconds, at most */
#define TCP_LENGTH 2

KF_CALLS(kf_worker_resolve_calls, KF_CALL(connect), KF_CALL(sendto), KF_CALL(recvfrom));

struct cached {
	char name[KF_EGRESS_NAME_MAX + 1];
	time_t until;
	struct kf_worker_addresses addresses;
};

struct kf_worker_resolver {
	struct event_base *base;
	struct kf_worker_supply *supply;
	union kf_worker_address servers[KF_WORKER_SERVERS_MAX];
	unsigned nservers;
	struct cached *cache[CACHE_MAX];
	unsigned next; /* to be replaced */
};

enum { FOUR, SIX, FAMILIES };

struct kf_worker_lookup {
	struct kf_worker_resolver *resolver;
	struct kf_worker_waiter waiter;
	struct event *socket, *timer;
	int fd;
	bool tcp;
	unsigned attempt;
	uint16_t id[FAMILIES];
	bool answered[FAMILIES];
	struct kf_egress_dns_answer answers[FAMILIES];
	size_t have; /* of a message by TCP */
	uint8_t *message;
	void (*done)(void *ctx, const struct kf_worker_addresses *addresses);
	void *ctx;
	char name[KF_EGRESS_NAME_MAX + 1];
};

static const int families[FAMILIES] = {[FOUR] = AF_INET, [SIX] = AF_INET6};

/* ---- the servers ---- */

static int read_server(char *s, union kf_worker_address *ret, struct kf_err *err)
{
	char *close = *s == '[' ? strchr(s, ']') : NULL;
	char *colon = close ? close + 1 : strchr(s, ':');
	unsigned port = PORT_DNS;
	char rest;

	if (close) {
		*close = '\0';
		s++;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL; /* an IPv6 address alone */
	}
	if (colon && *colon &&
	    (*colon != ':' || sscanf(colon + 1, "%5u%c", &port, &rest) != 1 || !port ||
	     port > UINT16_MAX))
		return kf_fail(err, EINVAL, "'%s' is not a port of a name server", colon);
	if (colon && *colon)
		*colon = '\0';
	*ret = (union kf_worker_address){.any.sa_family = AF_UNSPEC};
	if (inet_pton(AF_INET, s, &ret->four.sin_addr) == 1) {
		ret->four.sin_family = AF_INET;
		ret->four.sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, s, &ret->six.sin6_addr) == 1) {
		ret->six.sin6_family = AF_INET6;
		ret->six.sin6_port = htons((uint16_t)port);
	} else {
		return kf_fail(err, EINVAL, "'%s' is not the address of a name server", s);
	}
	return 0;
}

int kf_worker_resolver_new(struct event_base *base, struct kf_worker_supply *supply,
			   const char *servers, struct kf_worker_resolver **ret, struct kf_err *err)
{
	KF_FREE struct kf_worker_resolver *resolver = calloc(1, sizeof(*resolver));
	KF_FREE char *copy = strdup(servers);

	if (!resolver || !copy)
		return kf_fail_nomem(err, "resolver");
	resolver->base = base;
	resolver->supply = supply;
	for (char *s = copy, *end; s; s = end) {
		end = strchr(s, ',');
		if (end)
			*end++ = '\0';
		if (resolver->nservers == KF_WORKER_SERVERS_MAX)
			break; /* as resolv.conf(5) has it */
		if (read_server(s, &resolver->servers[resolver->nservers++], err) < 0)
			return -1;
	}
	*ret = KF_STEAL(resolver);
	return 0;
}

void kf_worker_resolver_free(struct kf_worker_resolver *resolver)
{
	if (!resolver)
		return;
	for (unsigned i = 0; i < CACHE_MAX; i++)
		free(resolver->cache[i]);
	free(resolver);
}

unsigned kf_worker_resolver_ports(const struct kf_worker_resolver *resolver, uint16_t *ports)
{
	for (unsigned i = 0; i < resolver->nservers; i++)
		ports[i] = ntohs(resolver->servers[i].four.sin_port); /* the same place in both */
	return resolver->nservers;
}

/* ---- what is kept ---- */

static time_t now_s(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static const struct cached *find_cached(const struct kf_worker_resolver *resolver, const char *name)
{
	for (unsigned i = 0; i < CACHE_MAX; i++) {
		const struct cached *c = resolver->cache[i];

		if (c && c->until > now_s() && strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static void keep_found(struct kf_worker_resolver *resolver, const char *name, unsigned ttl,
		       const struct kf_worker_addresses *addresses)
{
	struct cached **place = &resolver->cache[resolver->next];

	if (!ttl || !addresses->n)
		return;
	if (!*place)
		*place = malloc(sizeof(**place));
	if (!*place)
		return;
	resolver->next = (resolver->next + 1) % CACHE_MAX;
	(*place)->until = now_s() + (ttl < CACHE_TTL ? ttl : CACHE_TTL);
	(*place)->addresses = *addresses;
	memcpy((*place)->name, name, strlen(name) + 1);
}

/* ---- one lookup ---- */

static void close_socket(struct kf_worker_lookup *l)
{
	kf_worker_supply_cancel(&l->waiter);
	if (l->socket)
		event_free(l->socket);
	l->socket = NULL;
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	l->have = 0;
}

void kf_worker_lookup_end(struct kf_worker_lookup *lookup)
{
	if (!lookup)
		return;
	close_socket(lookup);
	if (lookup->timer)
		event_free(lookup->timer);
	free(lookup->message);
	free(lookup);
}

static void collect_found(const struct kf_worker_lookup *l, struct kf_worker_addresses *ret)
{
	ret->n = 0;
	for (unsigned f = 0; f < FAMILIES; f++) {
		for (unsigned i = 0; i < l->answers[f].n; i++) {
			union kf_worker_address *a = &ret->v[ret->n++];

			*a = (union kf_worker_address){.any.sa_family = (sa_family_t)families[f]};
			if (f == FOUR)
				memcpy(&a->four.sin_addr, l->answers[f].addresses[i], 4);
			else
				memcpy(&a->six.sin6_addr, l->answers[f].addresses[i], 16);
		}
	}
}

static void finish_lookup(struct kf_worker_lookup *l)
{
	void (*done)(void *ctx, const struct kf_worker_addresses *addresses) = l->done;
	unsigned ttl = CACHE_TTL;
	struct kf_worker_addresses found;
	void *ctx = l->ctx;

	collect_found(l, &found);
	for (unsigned f = 0; f < FAMILIES; f++)
		if (l->answered[f] && l->answers[f].n && l->answers[f].ttl < ttl)
			ttl = l->answers[f].ttl;
	keep_found(l->resolver, l->name, ttl, &found);
	kf_worker_lookup_end(l);
	done(ctx, &found);
}

static void set_timer(struct kf_worker_lookup *l, unsigned ms)
{
	(void)event_add(l->timer, &(struct timeval){ms / 1000, ms % 1000 * 1000});
}

static void begin_attempt(struct kf_worker_lookup *l);

/* Ask again, maybe somebody else, or give up. */
static void next_attempt(struct kf_worker_lookup *l)
{
	close_socket(l);
	l->tcp = false;
	if (l->answered[FOUR] || l->answered[SIX] || ++l->attempt >= ATTEMPTS)
		finish_lookup(l);
	else
		begin_attempt(l);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	next_attempt(arg);
}

/* Take one message.  Returns 1 if the lookup is over, 2 if it must be done by TCP, 3 if by the next
 * server. */
static int take_message(struct kf_worker_lookup *l, const uint8_t *p, size_t n)
{
	for (unsigned f = 0; f < FAMILIES; f++) {
		if (l->answered[f])
			continue;
		switch (kf_egress_dns_read(p, n, l->id[f], l->name, families[f], &l->answers[f])) {
		case KF_EGRESS_DNS_OTHER:
			continue;
		case KF_EGRESS_DNS_CUT:
			return l->tcp ? 0 : 2;
		case KF_EGRESS_DNS_FOUND:
		case KF_EGRESS_DNS_MISSING:
			l->answered[f] = true;
			break;
		case KF_EGRESS_DNS_FAULT:
			if (l->attempt + 1 < l->resolver->nservers)
				return 3;
			l->answered[f] = true;
			break;
		}
		break;
	}
	if (l->answered[FOUR] && !l->answered[SIX] && l->answers[FOUR].n)
		set_timer(l, OTHER_MS);
	return l->answered[FOUR] && l->answered[SIX];
}

static void switch_to_tcp(struct kf_worker_lookup *l)
{
	close_socket(l);
	l->tcp = true;
	begin_attempt(l);
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_lookup *l = arg;

	(void)what;
	for (;;) {
		ssize_t n = recv(fd, kf_worker_scratch, KF_EGRESS_DNS_ANSWER_MAX, 0);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				next_attempt(l); /* nobody listens there */
			return;
		}
		r = take_message(l, kf_worker_scratch, (size_t)n);
		if (r == 1)
			finish_lookup(l);
		else if (r == 2)
			switch_to_tcp(l);
		else if (r == 3)
			next_attempt(l);
		if (r)
			return;
	}
}

/* Both questions, each behind its length. */
static bool send_tcp(const struct kf_worker_lookup *l)
{
	uint8_t out[FAMILIES * (TCP_LENGTH + KF_EGRESS_DNS_QUERY_MAX)];
	size_t n = 0;

	for (unsigned f = 0; f < FAMILIES; f++) {
		size_t part =
			kf_egress_dns_query(l->id[f], l->name, families[f], out + n + TCP_LENGTH);

		out[n] = (uint8_t)(part >> 8);
		out[n + 1] = (uint8_t)part;
		n += TCP_LENGTH + part;
	}
	return send(l->fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Take the messages that are complete; afterwards the lookup may be gone. */
static void take_stream(struct kf_worker_lookup *l)
{
	size_t at = 0;

	while (l->have - at >= TCP_LENGTH) {
		size_t n = (size_t)l->message[at] << 8 | l->message[at + 1];

		if (n > KF_EGRESS_DNS_ANSWER_MAX) {
			next_attempt(l);
			return;
		}
		if (l->have - at < TCP_LENGTH + n)
			break;
		switch (take_message(l, l->message + at + TCP_LENGTH, n)) {
		case 1:
			finish_lookup(l);
			return;
		case 3:
			next_attempt(l);
			return;
		}
		at += TCP_LENGTH + n;
	}
	l->have -= at;
	memmove(l->message, l->message + at, l->have);
}

static void on_tcp(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_lookup *l = arg;
	const size_t size = TCP_LENGTH + KF_EGRESS_DNS_ANSWER_MAX;
	ssize_t n;

	if (what & EV_WRITE) {
		if (!send_tcp(l) || event_del(l->socket) < 0 ||
		    event_assign(l->socket, l->resolver->base, fd, EV_READ | EV_PERSIST, on_tcp,
				 l) < 0 ||
		    event_add(l->socket, NULL) < 0)
			next_attempt(l);
		return;
	}
	if (!l->message)
		l->message = malloc(size);
	n = l->message ? recv(fd, l->message + l->have, size - l->have, 0) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		next_attempt(l);
		return;
	}
	l->have += (size_t)n;
	take_stream(l);
}

static bool send_udp(const struct kf_worker_lookup *l)
{
	for (unsigned f = 0; f < FAMILIES; f++) {
		uint8_t query[KF_EGRESS_DNS_QUERY_MAX];
		size_t n = kf_egress_dns_query(l->id[f], l->name, families[f], query);

		if (send(l->fd, query, n, MSG_NOSIGNAL) != (ssize_t)n)
			return false;
	}
	return true;
}

static bool use_socket(struct kf_worker_lookup *l)
{
	const union kf_worker_address *to =
		&l->resolver->servers[l->attempt % l->resolver->nservers];
	const socklen_t n = to->any.sa_family == AF_INET ? sizeof(to->four) : sizeof(to->six);

	/* A connected socket takes messages from that server only. */
	if (connect(l->fd, &to->any, n) < 0 && (!l->tcp || errno != EINPROGRESS))
		return false;
	if (!l->tcp && !send_udp(l))
		return false;
	l->socket = event_new(l->resolver->base, l->fd,
			      l->tcp ? EV_WRITE | EV_PERSIST : EV_READ | EV_PERSIST,
			      l->tcp ? on_tcp : on_udp, l);
	return l->socket && event_add(l->socket, NULL) == 0;
}

static void on_given(void *ctx, int fd)
{
	struct kf_worker_lookup *l = ctx;

	l->fd = fd;
	/* If it does not work at once, the timer begins another attempt. */
	if (fd >= 0 && !use_socket(l))
		set_timer(l, 1);
}

static void begin_attempt(struct kf_worker_lookup *l)
{
	const bool six =
		l->resolver->servers[l->attempt % l->resolver->nservers].any.sa_family == AF_INET6;
	const enum kf_egress_kind kind = l->tcp ? (six ? KF_EGRESS_TCP6 : KF_EGRESS_TCP4)
						: (six ? KF_EGRESS_UDP6 : KF_EGRESS_UDP4);
	int fd;

	set_timer(l, ATTEMPT_MS);
	(void)!getrandom(l->id, sizeof(l->id), 0);
	if (l->id[SIX] == l->id[FOUR])
		l->id[SIX]++;
	fd = kf_worker_supply_take(l->resolver->supply, kind, &l->waiter);
	if (fd >= 0)
		on_given(l, fd);
}

bool kf_worker_resolve(struct kf_worker_resolver *resolver, const char *name,
		       void (*done)(void *ctx, const struct kf_worker_addresses *addresses),
		       void *ctx, struct kf_worker_addresses *ret,
		       struct kf_worker_lookup **ret_lookup)
{
	const struct cached *c = find_cached(resolver, name);
	struct kf_worker_lookup *l;

	*ret_lookup = NULL;
	if (c) {
		*ret = c->addresses;
		return true;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return false;
	*l = (struct kf_worker_lookup){
		.resolver = resolver,
		.waiter = {.given = on_given, .ctx = l},
		.fd = -1,
		.done = done,
		.ctx = ctx,
	};
	memcpy(l->name, name, strlen(name) + 1);
	l->timer = evtimer_new(resolver->base, on_timer, l);
	if (!l->timer) {
		free(l);
		return false;
	}
	*ret_lookup = l;
	begin_attempt(l);
	return false;
}

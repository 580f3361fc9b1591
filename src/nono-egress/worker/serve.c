/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: accepted, a request read and decided about, the host dialled, then the
 * steps of tunnel.c and exchange.c, with a time for each stage. */
#include "nono-egress/worker/serve.h"

#include "base/cleanup.h"
#include "egress/decide.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ACCEPT_MAX 64 /* then other connections have their turn */
#define SWEEP_MS   1000
#define IDLE_MS	   (5 * 60 * 1000) /* between two requests */

KF_CALLS(kf_worker_serve_calls, KF_CALL(accept4), KF_CALL(poll));

/* How long a stage may go without a byte that passes; a head and a hello as a whole. */
static const int64_t patience[] = {
	[KF_WORKER_HEAD] = 10 * 1000,	     [KF_WORKER_HELLO] = 10 * 1000,
	[KF_WORKER_TUNNEL] = 60 * 60 * 1000, [KF_WORKER_EXCHANGE] = 10 * 60 * 1000,
	[KF_WORKER_CLOSING] = 2 * 1000,
};

struct server_listener {
	struct kf_worker_server *server;
	struct event *event;
	int fd;
};

struct kf_worker_server {
	struct kf_worker *worker;
	struct server_listener listeners[KF_WORKER_LISTENERS_MAX];
	size_t n;
	struct event *sweep;
	bool paused; /* there are too many connections, or no descriptor is left */
};

/* ---- a request ---- */

static enum kf_egress_reason set_name(struct kf_worker_conn *c, struct kf_egress_span host,
				      uint16_t port)
{
	enum kf_egress_name_form form = kf_egress_name_read(host.p, host.n, c->name);

	c->port = port;
	c->literal = form == KF_EGRESS_NAME_ADDRESS;
	if (form == KF_EGRESS_NAME_BAD)
		return KF_EGRESS_WHY_NAME_FORM;
	return form == KF_EGRESS_NAME_NUMBER ? KF_EGRESS_WHY_ADDRESS_FORM : KF_EGRESS_WHY_NONE;
}

/* Whether the field "Host", if there is one, names what the target names. */
static bool same_host(const struct kf_worker_conn *c, const struct kf_egress_head *head)
{
	char name[KF_EGRESS_NAME_MAX + 1];
	struct kf_egress_span host;
	uint16_t port = head->target == KF_EGRESS_AUTHORITY ? c->port : 80;

	if (!head->host_field.p)
		return true;
	if (!kf_egress_head_authority(head->host_field, &host, &port))
		return false;
	switch (kf_egress_name_read(host.p, host.n, name)) {
	case KF_EGRESS_NAME_HOST:
	case KF_EGRESS_NAME_ADDRESS:
		return strcmp(name, c->name) == 0 && port == c->port;
	default:
		return false;
	}
}

/* Whether that is the broker itself. */
static bool is_own_address(const struct kf_worker_conn *c, struct kf_egress_span host,
			   uint16_t port)
{
	if (!kf_egress_span_is(host, "127.0.0.1") && !kf_egress_span_is(host, "[::1]") &&
	    !kf_egress_span_case(host, "localhost"))
		return false;
	for (unsigned i = 0; i < c->worker->nports; i++)
		if (port == c->worker->ports[i])
			return true;
	return false;
}

/* Whether a route is asked by a program of the pod: not by a page in a browser there, which reaches
 * the loopback, too, by a name of its own or from another site. */
static bool is_own_client(const struct kf_worker_conn *c, const struct kf_egress_head *head)
{
	struct kf_egress_span host;
	uint16_t port = 80;
	bool own =
		!head->host_field.p || (kf_egress_head_authority(head->host_field, &host, &port) &&
					is_own_address(c, host, port));

	for (size_t i = 0; own && i < head->nfields; i++)
		if (kf_egress_span_case(head->fields[i].name, "sec-fetch-site"))
			own = kf_egress_span_is(head->fields[i].value, "none") ||
			      kf_egress_span_is(head->fields[i].value, "same-origin");
	return own;
}

static enum kf_egress_reason decide_origin(struct kf_worker_conn *c,
					   const struct kf_egress_head *head)
{
	struct kf_egress_span rest = head->path;
	size_t n;

	if (!is_own_client(c, head))
		return KF_EGRESS_WHY_ORIGIN;
	c->route = kf_egress_decide_route(&c->worker->rules, head->path);
	if (!c->route)
		return KF_EGRESS_WHY_ROUTE;
	n = strlen(c->route->path);
	rest = (struct kf_egress_span){rest.p + n, rest.n - n};
	if (!rest.n || *rest.p != '/')
		rest = (struct kf_egress_span){"/", 1};
	memcpy(c->name, c->route->host, strlen(c->route->host) + 1);
	c->port = c->route->port;
	return kf_egress_decide_routed(c->route, head->method, rest);
}

/* Decide about the request; sets the host. */
static enum kf_egress_reason decide_request(struct kf_worker_conn *c,
					    const struct kf_egress_head *head)
{
	enum kf_egress_reason reason;

	/* A client that does not follow NO_PROXY asks for a route by its whole URL. */
	if (head->target == KF_EGRESS_ORIGIN ||
	    (head->target == KF_EGRESS_ABSOLUTE && is_own_address(c, head->host, head->port))) {
		reason = decide_origin(c, head);
	} else {
		reason = set_name(c, head->host, head->port);
		if (reason == KF_EGRESS_WHY_NONE)
			reason = head->target == KF_EGRESS_AUTHORITY
					 ? kf_egress_decide_tunnel(&c->worker->rules, c->name,
								   c->port)
					 : kf_egress_decide_request(&c->worker->rules, c->name,
								    c->port, head->method,
								    head->path);
		if (reason == KF_EGRESS_WHY_NONE && !same_host(c, head)) {
			c->detail = "Host names another host than the target";
			return KF_EGRESS_WHY_HEAD;
		}
	}
	/* It answers with the request, keys and all. */
	if (reason == KF_EGRESS_WHY_NONE && kf_egress_span_is(head->method, "TRACE"))
		return KF_EGRESS_WHY_METHOD;
	return reason;
}

static void run_conn(struct kf_worker_conn *c);

static void on_ready(void *ctx, short what)
{
	struct kf_worker_conn *c = ctx;

	c->gone = c->gone || what & EV_CLOSED;
	run_conn(c);
}

/* Reach the host: by a connection that is open already, or by a new one. */
static enum kf_worker_step reach_host(struct kf_worker_conn *c, bool tunnel)
{
	struct kf_worker_end *host =
		tunnel ? NULL
		       : kf_worker_pool_take(&c->worker->pool, c->name, c->port, c->route != NULL,
					     c->address);

	c->stage = tunnel ? KF_WORKER_HELLO : KF_WORKER_EXCHANGE;
	c->reused = host != NULL;
	if (host) {
		kf_worker_conn_use(c, host);
		return KF_WORKER_STEP_AGAIN;
	}
	if (kf_worker_conn_dial(c) == 0)
		return KF_WORKER_STEP_WAIT;
	c->stage = KF_WORKER_HEAD;
	return kf_worker_conn_refuse(c, KF_EGRESS_WHY_BUSY);
}

static void clear_request(struct kf_worker_conn *c)
{
	c->name[0] = c->address[0] = '\0';
	c->port = 0;
	c->route = NULL;
	c->detail = NULL;
	c->gone = c->checked = c->hello_sent = c->reused = c->literal = false;
	c->begun = c->answered = c->to_head = c->abandoned = false;
	c->interim = 0;
}

static enum kf_worker_step take_request(struct kf_worker_conn *c)
{
	KF_UNINIT struct kf_egress_head head;
	enum kf_egress_reason reason;

	clear_request(c);
	if (kf_egress_head_request(c->in.p, c->in.n, &head, &c->detail) < 0)
		return kf_worker_conn_refuse(c, KF_EGRESS_WHY_HEAD);
	c->to_head = kf_egress_span_is(head.method, "HEAD");
	reason = decide_request(c, &head);
	if (reason != KF_EGRESS_WHY_NONE)
		return kf_worker_conn_refuse(c, reason);
	if (head.target == KF_EGRESS_AUTHORITY)
		kf_buf_done(&c->in);
	else
		c->head = c->in;
	c->in = (struct kf_buf)KF_BUF_INIT(KF_EGRESS_HEAD_MAX);
	c->seen = 0;
	return reach_host(c, head.target == KF_EGRESS_AUTHORITY);
}

static enum kf_worker_step step_head(struct kf_worker_conn *c)
{
	const bool idle = !c->in.n;
	int r;

	r = kf_worker_end_flush(c->client); /* the end of the last answer */
	if (r != 1)
		return r == KF_WORKER_WAIT ? KF_WORKER_STEP_WAIT : KF_WORKER_STEP_CLOSE;
	r = kf_worker_conn_read(c, c->client, KF_EGRESS_HEAD_MAX, kf_egress_head_end);
	if (idle && c->in.n)
		c->deadline = kf_worker_now() + patience[KF_WORKER_HEAD];
	switch (r) {
	case 1:
		return take_request(c);
	case KF_WORKER_WAIT:
		return KF_WORKER_STEP_WAIT;
	case KF_WORKER_MALFORMED:
	case KF_WORKER_TOO_LONG:
		clear_request(c);
		return kf_worker_conn_refuse(c, r == KF_WORKER_TOO_LONG ? KF_EGRESS_WHY_HEAD_SIZE
									: KF_EGRESS_WHY_HEAD);
	default:
		return KF_WORKER_STEP_CLOSE;
	}
}

/* ---- running ---- */

/* What is queued is written, then the client is to close: closing at once would reset the
 * connection before it has read the answer. */
static enum kf_worker_step step_closing(struct kf_worker_conn *c)
{
	int r = kf_worker_end_flush(c->client);

	if (r == KF_WORKER_WAIT)
		return KF_WORKER_STEP_WAIT;
	if (r != 1)
		return KF_WORKER_STEP_CLOSE;
	kf_worker_end_shut(c->client);
	for (;;) {
		ssize_t n = kf_worker_end_peek(c->client, kf_worker_scratch, KF_WORKER_SCRATCH);

		if (n == KF_WORKER_WAIT)
			return KF_WORKER_STEP_WAIT;
		if (n <= 0 || kf_worker_end_take(c->client, (size_t)n) < 0)
			return KF_WORKER_STEP_CLOSE;
	}
}

static enum kf_worker_step step_dialling(struct kf_worker_conn *c)
{
	/* Only the end of the client was waited for. */
	kf_worker_conn_record(c, KF_EGRESS_WHY_BROKEN);
	return KF_WORKER_STEP_CLOSE;
}

static void free_conn(struct kf_worker_conn *c)
{
	TAILQ_REMOVE(&c->worker->conns, c, entry);
	c->worker->nconns--;
	kf_worker_dial_end(c->dial);
	kf_worker_end_free(c->host);
	kf_worker_end_free(c->client);
	kf_buf_done(&c->in);
	kf_buf_done(&c->head);
	free(c);
}

static enum kf_worker_step (*const steps[])(struct kf_worker_conn *c) = {
	[KF_WORKER_HEAD] = step_head,
	[KF_WORKER_HELLO] = kf_worker_hello_step,
	[KF_WORKER_TUNNEL] = kf_worker_tunnel_step,
	[KF_WORKER_EXCHANGE] = kf_worker_exchange_step,
	[KF_WORKER_CLOSING] = step_closing,
};

/* Whether the stage's time begins anew. */
static void renew_deadline(struct kf_worker_conn *c, enum kf_worker_stage before, uint64_t moved)
{
	if (c->stage == KF_WORKER_HEAD && before != KF_WORKER_HEAD && !c->in.n)
		c->deadline = kf_worker_now() + IDLE_MS;
	else if (c->stage != before || moved != c->sent + c->received)
		c->deadline = kf_worker_now() + (c->dial ? KF_WORKER_DIAL_MS : patience[c->stage]);
}

static void run_conn(struct kf_worker_conn *c)
{
	const enum kf_worker_stage before = c->stage;
	const uint64_t moved = c->sent + c->received;
	enum kf_worker_step step;

	kf_worker_end_begin(c->client);
	if (c->host)
		kf_worker_end_begin(c->host);
	do
		step = c->dial ? step_dialling(c) : steps[c->stage](c);
	while (step == KF_WORKER_STEP_AGAIN);
	if (step == KF_WORKER_STEP_CLOSE || kf_worker_end_arm(c->client) < 0 ||
	    (c->host && kf_worker_end_arm(c->host) < 0)) {
		free_conn(c);
		return;
	}
	renew_deadline(c, before, moved);
	TAILQ_REMOVE(&c->worker->conns, c, entry);
	TAILQ_INSERT_TAIL(&c->worker->conns, c, entry);
}

/* ---- accepting ---- */

static void pause_server(struct kf_worker_server *s, bool paused)
{
	s->paused = paused;
	for (size_t i = 0; i < s->n; i++)
		(void)(paused ? event_del(s->listeners[i].event)
			      : event_add(s->listeners[i].event, NULL));
}

/* Close the connection that has waited for a request longest; false if there is none. */
static bool make_room(struct kf_worker *worker)
{
	struct kf_worker_conn *c;

	TAILQ_FOREACH(c, &worker->conns, entry)
	{
		if (c->stage == KF_WORKER_HEAD && !c->in.n) {
			free_conn(c);
			return true;
		}
	}
	return false;
}

static void add_conn(struct kf_worker *worker, int fd)
{
	struct kf_worker_conn *c = calloc(1, sizeof(*c));
	struct kf_worker_end *client = c ? kf_worker_end_new(worker->base, fd, NULL) : NULL;

	if (!client) {
		if (!c)
			(void)close(fd);
		free(c);
		return;
	}
	c->worker = worker;
	c->client = client;
	c->in = (struct kf_buf)KF_BUF_INIT(KF_EGRESS_HEAD_MAX);
	c->deadline = kf_worker_now() + patience[KF_WORKER_HEAD];
	client->ready = on_ready;
	client->ctx = c;
	TAILQ_INSERT_TAIL(&worker->conns, c, entry);
	worker->nconns++;
	run_conn(c); /* mostly the request has arrived already */
}

/* Whether somebody waits to be accepted. */
static bool is_pending(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0;
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
	struct server_listener *l = arg;
	struct kf_worker *worker = l->server->worker;

	(void)what;
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int client;

		if (worker->nconns >= worker->max) {
			if (!is_pending(fd))
				return;
			if (!make_room(worker)) {
				pause_server(l->server, true);
				return;
			}
		}
		client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			add_conn(worker, client);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			if (!make_room(worker))
				pause_server(l->server, true);
			return;
		}
		if (errno == EAGAIN)
			return;
	}
}

static enum kf_egress_reason late_reason(const struct kf_worker_conn *c)
{
	if (c->dial)
		return KF_EGRESS_WHY_CONNECT;
	switch (c->stage) {
	case KF_WORKER_HEAD:
	case KF_WORKER_HELLO:
		return KF_EGRESS_WHY_SLOW;
	default:
		return KF_EGRESS_WHY_TIMEOUT;
	}
}

static void expire_conn(struct kf_worker_conn *c)
{
	const bool idle = c->stage == KF_WORKER_HEAD && !c->in.n;
	enum kf_egress_reason reason;

	if (idle || c->stage == KF_WORKER_CLOSING) {
		free_conn(c);
		return;
	}
	if (c->stage == KF_WORKER_HEAD)
		clear_request(c);
	reason = late_reason(c);
	if (c->dial) {
		kf_worker_dial_end(KF_STEAL(c->dial));
		c->stage = KF_WORKER_HEAD;
	}
	if (kf_worker_conn_refuse(c, reason) == KF_WORKER_STEP_CLOSE)
		free_conn(c);
	else
		run_conn(c);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_server *s = arg;
	const int64_t now = kf_worker_now();
	struct kf_worker_conn *c, *next;

	(void)fd;
	(void)what;
	for (c = TAILQ_FIRST(&s->worker->conns); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->deadline <= now)
			expire_conn(c);
	}
	kf_worker_pool_sweep(&s->worker->pool, now);
	if (s->paused && s->worker->nconns < s->worker->max)
		pause_server(s, false);
}

static int add_listener(struct kf_worker_server *s, int fd, struct kf_err *err)
{
	struct server_listener *l = &s->listeners[s->n++];
	union kf_worker_address address = {.any.sa_family = AF_UNSPEC};
	socklen_t n = sizeof(address);

	if (getsockname(fd, &address.any, &n) < 0)
		return kf_fail_sys(err, "listener");
	s->worker->ports[s->worker->nports++] = ntohs(address.four.sin_port); /* so in both */
	*l = (struct server_listener){.server = s, .fd = fd};
	l->event = event_new(s->worker->base, fd, EV_READ | EV_PERSIST, on_listener, l);
	if (!l->event || event_add(l->event, NULL) < 0)
		return kf_fail_nomem(err, "listener");
	return 0;
}

int kf_worker_serve(struct kf_worker *worker, const int *listeners, size_t n,
		    struct kf_worker_server **ret, struct kf_err *err)
{
	struct kf_worker_server *s = calloc(1, sizeof(*s));

	if (!s)
		return kf_fail_nomem(err, "server");
	s->worker = worker;
	TAILQ_INIT(&worker->conns);
	for (size_t i = 0; i < n; i++) {
		if (add_listener(s, listeners[i], err) < 0) {
			kf_worker_serve_end(s);
			return -1;
		}
	}
	s->sweep = event_new(worker->base, -1, EV_PERSIST, on_sweep, s);
	if (!s->sweep || event_add(s->sweep, &(struct timeval){SWEEP_MS / 1000, 0}) < 0) {
		kf_worker_serve_end(s);
		return kf_fail_nomem(err, "server");
	}
	*ret = s;
	return 0;
}

void kf_worker_serve_end(struct kf_worker_server *server)
{
	if (!server)
		return;
	while (!TAILQ_EMPTY(&server->worker->conns))
		free_conn(TAILQ_FIRST(&server->worker->conns));
	for (size_t i = 0; i < server->n; i++)
		if (server->listeners[i].event)
			event_free(server->listeners[i].event);
	if (server->sweep)
		event_free(server->sweep);
	free(server);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server for probes, Prometheus and people: connections, limits and answers.  Each
 * connection has one request and is closed then.  The table of connections is the limit: if it is
 * full, the oldest is closed, so that whoever asks is answered even while others only hold
 * connections.  A daemon has something better to do than to serve these: each call of the event
 * loop is short, and has the lowest priority.  Requests are parsed in http_request.c. */
#include "observe/http.h"

#include "base/cleanup.h"
#include "observe/http_request.h"

#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define ACCEPT_MAX	2	    /* then the event loop handles other events */
#define PAGES_MAX	8	    /* answers that are made in parts, at a time */
#define BACKLOG		4096	    /* Linux's own default limit */
#define DEADLINE	5000	    /* milliseconds from accept to the last byte */
#define GRACE		50	    /* milliseconds for a new connection to ask */
#define PAUSE		1000	    /* milliseconds without accepting when that fails */
#define TELL_AGAIN	(60 * 1000) /* milliseconds between two messages about that */
/* What we take of a CPU at most, in milliseconds and microseconds: a daemon may be given a fifth of
 * one by its cgroup, and is stopped when that is used up, whatever else it has to do. */
#define WINDOW		100
#define BUDGET		10000
#define IGNORED_MAX	(64 * 1024) /* bytes behind a request that are dropped */
/* All metrics, about a hundred lines, with the largest numbers. */
#define METRICS_MAX	(256 * 1024)
/* "not ready: " and a reason, and what the connection to the runtime offers. */
#define READYZ_MAX	(4 * 1024)
/* A body and the headers before it. */
#define ANSWER_MAX	(METRICS_MAX + 1024)
#define ADDRESS_MAX	64

struct connection {
	struct kf_http *http;
	struct event *event;
	int fd;
	int64_t since;
	bool near;	       /* over the loopback or a unix socket */
	struct kf_buf request; /* as much as has arrived */
	bool asked;	       /* the request is complete */
	bool waits;	       /* for the next window */
	struct kf_buf answer;  /* of a page, a part at a time */
	size_t sent, ignored;
	const struct kf_http_page *page;
	void *rest; /* of the page's answer; NULL: there is none */
};

struct kf_http {
	struct event_base *base;
	struct event *listener, *timer;
	int fd;
	int64_t paused_until, told;
	int64_t window_end, spent; /* milliseconds; microseconds */
	size_t nwaiting;	   /* connections */
	struct kf_http_source source;
	struct connection *open[CONNECTIONS_MAX]; /* oldest first */
	size_t nopen, npages;			  /* ... and those whose answer has a rest */
};

static int64_t now_us(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return now_us() / 1000;
}

/* ---- answers ---- */

struct http_answer {
	int code;
	const char *reason, *type, *text;
	size_t n;
};

/* A header that a code needs. */
static const char *header_of(int code)
{
	return code == 405 ? "Allow: GET, HEAD\r\n" : code == 503 ? "Retry-After: 1\r\n" : "";
}

static void add_reply(struct kf_buf *out, bool head, const struct http_answer *a)
{
	kf_buf_addf(out,
		    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
		    "Connection: close\r\n\r\n",
		    a->code, a->reason, a->type, a->n, header_of(a->code));
	if (!head)
		kf_buf_add(out, a->text, a->n);
}

static void reply_text(struct kf_buf *out, bool head, int code, const char *reason,
		       const char *text)
{
	add_reply(out, head,
		  &(struct http_answer){code, reason, "text/plain; charset=utf-8", text,
					strlen(text)});
}

static void on_healthz(const struct kf_http *http, bool head, struct kf_buf *out)
{
	(void)http;
	reply_text(out, head, 200, "OK", "ok\n");
}

static void on_readyz(const struct kf_http *http, bool head, struct kf_buf *out)
{
	const char *why = http->source.not_ready(http->source.ctx);
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(READYZ_MAX);

	if (why)
		kf_buf_addf(&text, "not ready: %s\n", why);
	else
		kf_buf_adds(&text, "ok\n");
	http->source.connection(http->source.ctx, &text);
	if (text.failed)
		reply_text(out, head, 500, "Internal Server Error", "out of memory\n");
	else
		reply_text(out, head, why ? 503 : 200, why ? "Service Unavailable" : "OK", text.p);
}

static void on_metrics(const struct kf_http *http, bool head, struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(METRICS_MAX);

	http->source.metrics(http->source.ctx, &text);
	if (text.failed)
		reply_text(out, head, 500, "Internal Server Error", "out of memory\n");
	else
		add_reply(out, head,
			  &(struct http_answer){200, "OK",
						"text/plain; version=0.0.4; charset=utf-8",
						text.p ? text.p : "", text.n});
}

static void on_index(const struct kf_http *http, bool head, struct kf_buf *out)
{
	(void)http;
	reply_text(out, head, 200, "OK", "/healthz\n/readyz\n/metrics\n");
}

static const struct {
	const char *path;
	void (*answer)(const struct kf_http *http, bool head, struct kf_buf *out);
} paths[] = {
	{"/", on_index},
	{"/healthz", on_healthz},
	{"/readyz", on_readyz},
	{"/metrics", on_metrics},
};

static const struct {
	int code;
	const char *reason, *text;
} refusals[] = {
	{403, "Forbidden",
	 "only for who comes over the loopback and asks for localhost or an address: "
	 "kubectl port-forward leads there\n"},
	{405, "Method Not Allowed", "only GET and HEAD are answered\n"},
	{413, "Content Too Large", "a request with a body is not answered\n"},
	{431, "Request Header Fields Too Large", "the headers are too long\n"},
	{503, "Service Unavailable", "too many ask for this at the same time\n"},
	{400, "Bad Request",
	 "that is no HTTP/1.1 request\n"}, /* the last one stands for all others */
};

static void refuse_request(struct kf_buf *out, bool head, int status)
{
	size_t i = 0;

	while (i + 1 < KF_ARRAY_SIZE(refusals) && refusals[i].code != status)
		i++;
	reply_text(out, head, refusals[i].code, refusals[i].reason, refusals[i].text);
}

static bool has_path(const struct kf_http_request *request, const char *path)
{
	return strlen(path) == request->npath && memcmp(path, request->path, request->npath) == 0;
}

static bool may_see_pages(const struct connection *c, const struct kf_http_request *request)
{
	const enum kf_http_audience audience = c->http->source.audience;

	return audience == KF_HTTP_ALL ||
	       (audience == KF_HTTP_LOOPBACK && c->near && kf_http_request_by_address(request));
}

/* The head of a page's answer, whose end is that of the connection; the parts follow. */
static void begin_page(struct connection *c, const struct kf_http_page *page, bool head)
{
	struct kf_http *http = c->http;

	if (!head && http->npages < PAGES_MAX)
		c->rest = page->begin(http->source.ctx);
	if (!head && !c->rest) {
		refuse_request(&c->answer, false, 503);
		return;
	}
	http->npages += c->rest != NULL;
	c->page = page;
	kf_buf_addf(&c->answer,
		    "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
		    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
		    "Connection: close\r\n\r\n",
		    page->type, page->headers ? page->headers : "");
}

static void answer_request(struct connection *c, int status, const struct kf_http_request *request)
{
	const struct kf_http_source *source = &c->http->source;
	bool hidden = false;

	if (status != 200) {
		refuse_request(&c->answer, false, status);
		return;
	}
	for (size_t i = 0; i < source->npages && source->audience != KF_HTTP_NOBODY; i++) {
		if (!has_path(request, source->pages[i].path))
			continue;
		hidden = !may_see_pages(c, request);
		if (!hidden) {
			begin_page(c, &source->pages[i], request->head);
			return;
		}
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(paths); i++) {
		if (has_path(request, paths[i].path)) {
			paths[i].answer(c->http, request->head, &c->answer);
			return;
		}
	}
	if (hidden)
		refuse_request(&c->answer, request->head, 403);
	else
		reply_text(&c->answer, request->head, 404, "Not Found",
			   "not found; / lists what there is\n");
}

/* ---- connections ---- */

static void end_page(struct connection *c)
{
	if (!c->rest)
		return;
	c->page->end(c->rest);
	c->rest = NULL;
	c->http->npages--;
}

static void remove_at(struct kf_http *http, size_t at)
{
	struct connection *c = http->open[at];

	end_page(c);
	http->nwaiting -= c->waits;
	http->nopen--;
	memmove(http->open + at, http->open + at + 1, (http->nopen - at) * sizeof(http->open[0]));
	if (c->event)
		event_free(c->event);
	(void)close(c->fd);
	kf_buf_done(&c->request);
	kf_buf_done(&c->answer);
	free(c);
}

static void remove_connection(struct connection *c)
{
	for (size_t i = 0; i < c->http->nopen; i++) {
		if (c->http->open[i] == c) {
			remove_at(c->http, i);
			return;
		}
	}
}

static bool is_answered(const struct connection *c)
{
	return c->asked && c->sent == c->answer.n && !c->rest;
}

/* Stop accepting for @ms; other clients wait in the backlog.  The listener stays readable, so it
 * must not be watched meanwhile. */
static bool pause_listener(struct kf_http *http, int64_t ms)
{
	(void)event_del(http->listener);
	http->paused_until = now_ms() + ms;
	return false;
}

/* Close a connection to make room: one that has its answer, or the oldest if it had time to ask.
 * If none can be closed, the listener pauses until one can; returns false then. */
static bool make_room(struct kf_http *http)
{
	int64_t left = PAUSE;

	for (size_t i = 0; i < http->nopen; i++) {
		if (is_answered(http->open[i])) {
			remove_at(http, i);
			return true;
		}
	}
	if (http->nopen)
		left = http->open[0]->since + GRACE - now_ms();
	if (left > 0)
		return pause_listener(http, left);
	remove_at(http, 0);
	return true;
}

/* The client has taken a part, and has as long for each as others have for all: make the next one.
 */
static int make_part(struct connection *c)
{
	struct kf_http *http = c->http;
	size_t i = 0;

	while (http->open[i] != c)
		i++;
	memmove(http->open + i, http->open + i + 1, (http->nopen - i - 1) * sizeof(http->open[0]));
	http->open[http->nopen - 1] = c;
	c->since = now_ms();
	kf_buf_reset(&c->answer);
	c->sent = 0;
	if (!c->page->next(c->rest, &c->answer))
		end_page(c);
	return c->answer.failed ? -1 : 0;
}

/* 0: wait for more; else the connection is over. */
static int send_some(struct connection *c)
{
	if (c->rest && c->sent == c->answer.n && make_part(c) < 0)
		return -1;
	while (c->sent < c->answer.n) {
		ssize_t n = send(c->fd, c->answer.p + c->sent, c->answer.n - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->sent += (size_t)n;
	}
	/* One part in each turn of the loop, however fast the client takes it. */
	if (c->rest)
		return 0;
	/* Closing at once would reset the connection before the client has read the answer. */
	return shutdown(c->fd, SHUT_WR);
}

/* 0: wait for more; else the connection is over. */
static int receive_some(struct connection *c)
{
	struct kf_http_request request;
	char piece[KF_HTTP_REQUEST_MAX];
	int status;
	ssize_t n;

	do
		n = recv(c->fd, piece, sizeof(piece) - c->request.n, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	if (c->asked) { /* bytes behind the request are dropped */
		c->ignored += (size_t)n;
		return c->ignored <= IGNORED_MAX ? 0 : -1;
	}
	kf_buf_add(&c->request, piece, (size_t)n);
	if (c->request.failed)
		return -1;
	status = kf_http_request_parse(c->request.p, c->request.n, &request);
	if (!status)
		return 0;
	c->asked = true;
	answer_request(c, status, &request);
	kf_buf_done(&c->request);
	return c->answer.failed ? -1 : send_some(c);
}

/* At the lowest priority that there is: where the daemon gives none, all are the same. */
static struct event *new_event(const struct kf_http *http, int fd, short what,
			       event_callback_fn call, void *ctx)
{
	const short kept = fd < 0 ? 0 : EV_PERSIST; /* a timer is set anew each time */
	struct event *event = event_new(http->base, fd, (short)(what | kept), call, ctx);

	if (event)
		(void)event_priority_set(event, event_base_get_npriorities(http->base) - 1);
	return event;
}

static int watch_connection(struct connection *c);

static void set_timer(struct kf_http *http);

/* Whether something may be done in this window. */
static bool may_work(struct kf_http *http)
{
	const int64_t now = now_ms();

	if (now >= http->window_end) {
		http->window_end = now + WINDOW;
		http->spent = 0;
	}
	return http->spent < BUDGET;
}

static void serve_connection(struct connection *c)
{
	bool sending = c->asked && !is_answered(c);
	int r = sending ? send_some(c) : receive_some(c);

	if (r == 0 && sending != (c->asked && !is_answered(c)))
		r = watch_connection(c);
	if (r < 0)
		remove_connection(c);
}

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct connection *c = ctx;
	struct kf_http *http = c->http;
	const int64_t start = now_us();

	(void)fd;
	(void)what;
	if (may_work(http)) {
		serve_connection(c);
		http->spent += now_us() - start;
		return;
	}
	(void)event_del(c->event);
	c->waits = true;
	http->nwaiting++;
	set_timer(http);
}

/* Watch the connection for reading or writing, whichever comes next. */
static int watch_connection(struct connection *c)
{
	const short what = c->asked && !is_answered(c) ? EV_WRITE : EV_READ;

	if (c->event)
		event_free(c->event);
	c->event = new_event(c->http, c->fd, what, on_connection, c);
	return c->event ? event_add(c->event, NULL) : -1;
}

static void set_timer(struct kf_http *http)
{
	int64_t at = http->paused_until, left;

	if (http->nopen && (!at || http->open[0]->since + DEADLINE < at))
		at = http->open[0]->since + DEADLINE;
	if (http->nwaiting && http->window_end < at)
		at = http->window_end;
	if (!at)
		return;
	left = at - now_ms();
	left = left > 0 ? left : 0;
	(void)event_add(http->timer, &(struct timeval){left / 1000, left % 1000 * 1000});
}

static void wake_connections(struct kf_http *http)
{
	for (size_t i = 0; i < http->nopen; i++) {
		struct connection *c = http->open[i];

		if (c->waits)
			(void)event_add(c->event, NULL);
		c->waits = false;
	}
	http->nwaiting = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_http *http = ctx;
	const int64_t now = now_ms();

	(void)fd;
	(void)what;
	/* A few at a time: the timer comes again at once while there are more. */
	for (unsigned i = 0;
	     i < ACCEPT_MAX && http->nopen && http->open[0]->since + DEADLINE <= now; i++)
		remove_at(http, 0);
	if (http->nwaiting && http->window_end <= now)
		wake_connections(http);
	if (http->paused_until && http->paused_until <= now) {
		http->paused_until = 0;
		(void)event_add(http->listener, NULL);
	}
	set_timer(http);
}

/* A client over the loopback, "::ffff:127.0.0.1" included, or a unix socket. */
static bool is_near(const struct sockaddr_storage *from)
{
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;

	if (from->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (from->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
			v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	return from->ss_family == AF_UNIX;
}

static void add_connection(struct kf_http *http, int fd, bool near)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)close(fd);
		return;
	}
	*c = (struct connection){.http = http,
				 .fd = fd,
				 .since = now_ms(),
				 .near = near,
				 .request = KF_BUF_INIT(KF_HTTP_REQUEST_MAX),
				 .answer = KF_BUF_INIT(ANSWER_MAX)};
	http->open[http->nopen++] = c;
	if (watch_connection(c) < 0)
		remove_connection(c);
	else
		serve_connection(c); /* mostly the request has arrived already */
}

/* No descriptor or no memory: accepting will fail again unless we close a connection. */
static bool cannot_accept(struct kf_http *http)
{
	const int64_t now = now_ms();
	struct kf_err err;

	(void)kf_fail_sys(&err, "cannot accept a connection while %zu are open", http->nopen);
	if (!http->told || now - http->told >= TELL_AGAIN) {
		http->told = now;
		http->source.trouble(http->source.ctx, &err);
	}
	return make_room(http);
}

/* Accept one connection.  Returns whether to accept more. */
static bool accept_one(struct kf_http *http)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof(from);
	int c;

	if (http->nopen == CONNECTIONS_MAX && !make_room(http))
		return false;
	c = accept4(http->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c >= 0) {
		add_connection(http, c, is_near(&from));
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return cannot_accept(http);
	default:
		return true; /* an error of that one connection, see accept(2) */
	}
}

static void on_listener(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_http *http = ctx;
	const int64_t start = now_us();

	(void)fd;
	(void)what;
	if (may_work(http))
		for (unsigned i = 0; i < ACCEPT_MAX && accept_one(http); i++)
			;
	else
		(void)pause_listener(http, http->window_end - now_ms());
	http->spent += now_us() - start;
	set_timer(http);
}

/* ---- listening ---- */

static int bind_socket(const struct sockaddr *to, socklen_t n, const char *name, int *ret,
		       struct kf_err *err)
{
	KF_CLOSE int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, to, n) < 0 || listen(fd, BACKLOG) < 0)
		return kf_fail_sys(err, "cannot listen on '%.150s'", name);
	*ret = kf_steal_fd(&fd);
	return 0;
}

/* Listen on a unix socket.  Only root can enter its directory, so its mode does not matter.  A
 * socket that an earlier process left is removed; the caller knows that none runs. */
static int bind_path(const char *path, int *ret, struct kf_err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(to.sun_path))
		return kf_fail(err, ENAMETOOLONG, "'%.150s': too long for a socket", path);
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	(void)unlink(path);
	return bind_socket((struct sockaddr *)&to, sizeof(to), path, ret, err);
}

static int bind_to(const char *address, int *ret, struct kf_err *err)
{
	struct sockaddr_storage to = {0};
	char text[ADDRESS_MAX];
	int n = sizeof(to);

	(void)snprintf(text, sizeof(text), "%s%s", address[0] == ':' ? "0.0.0.0" : "", address);
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&to, &n) < 0 ||
	    !(to.ss_family == AF_INET ? ((struct sockaddr_in *)&to)->sin_port
				      : ((struct sockaddr_in6 *)&to)->sin6_port))
		return kf_fail(err, EINVAL,
			       "'%.60s' is not ADDRESS:PORT, such as 127.0.0.1:9464 or :9464",
			       address);
	return bind_socket((struct sockaddr *)&to, (socklen_t)n, address, ret, err);
}

int kf_http_listen(struct event_base *base, const char *address,
		   const struct kf_http_source *source, struct kf_http **ret, struct kf_err *err)
{
	struct kf_http *http = calloc(1, sizeof(*http));

	if (!http)
		return kf_fail_nomem(err, "HTTP server");
	*http = (struct kf_http){.base = base, .fd = -1, .source = *source};
	if ((address[0] == '/' ? bind_path(address, &http->fd, err)
			       : bind_to(address, &http->fd, err)) < 0) {
		kf_http_free(http);
		return -1;
	}
	http->timer = new_event(http, -1, 0, on_timer, http);
	http->listener = new_event(http, http->fd, EV_READ, on_listener, http);
	if (!http->timer || !http->listener || event_add(http->listener, NULL) < 0) {
		kf_http_free(http);
		return kf_fail_nomem(err, "HTTP server");
	}
	*ret = http;
	return 0;
}

void kf_http_free(struct kf_http *http)
{
	if (!http)
		return;
	while (http->nopen)
		remove_at(http, 0);
	if (http->listener)
		event_free(http->listener);
	if (http->timer)
		event_free(http->timer);
	if (http->fd >= 0)
		(void)close(http->fd);
	free(http);
}

/* The listening sockets exist already when the filter is installed. */
KF_CALLS(kf_http_calls, KF_CALL(accept4), KF_CALL(recvfrom), KF_CALL(sendto), KF_CALL(shutdown));

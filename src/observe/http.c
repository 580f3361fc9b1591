/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/http.h"

#include "base/cleanup.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADERS_MAX  (8 * 1024)
#define BODY_MAX     0
#define TIMEOUT	     5 /* seconds, also of an idle connection */
#define METRICS_MAX  (256 * 1024)
#define ADDRESS_MAX  64
#define LISTEN_FLAGS (LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE)

struct kf_http {
	struct evhttp *server;
	struct kf_http_source source;
};

static void reply(struct evhttp_request *req, int code, const char *reason, const char *type,
		  const char *text, size_t n)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *body = evhttp_request_get_output_buffer(req);

	(void)evhttp_add_header(headers, "Content-Type", type);
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)evbuffer_add(body, text, n);
	evhttp_send_reply(req, code, reason, NULL);
}

static void reply_text(struct evhttp_request *req, int code, const char *reason, const char *text)
{
	reply(req, code, reason, "text/plain; charset=utf-8", text, strlen(text));
}

static void on_healthz(struct evhttp_request *req, void *ctx)
{
	(void)ctx;
	reply_text(req, HTTP_OK, "OK", "ok\n");
}

static void on_readyz(struct evhttp_request *req, void *ctx)
{
	const struct kf_http *http = ctx;
	const char *why = http->source.not_ready(http->source.ctx);
	char text[512];

	if (!why) {
		reply_text(req, HTTP_OK, "OK", "ok\n");
		return;
	}
	(void)snprintf(text, sizeof(text), "not ready: %s\n", why);
	reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", text);
}

static void on_metrics(struct evhttp_request *req, void *ctx)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(METRICS_MAX);
	const struct kf_http *http = ctx;

	http->source.metrics(http->source.ctx, &text);
	if (text.failed)
		reply_text(req, HTTP_INTERNAL, "Internal Server Error", "out of memory\n");
	else
		reply(req, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", text.p,
		      text.n);
}

static void on_index(struct evhttp_request *req, void *ctx)
{
	(void)ctx;
	reply_text(req, HTTP_OK, "OK", "/healthz\n/readyz\n/metrics\n");
}

static void on_other(struct evhttp_request *req, void *ctx)
{
	(void)ctx;
	reply_text(req, HTTP_NOTFOUND, "Not Found", "not found; / lists what there is\n");
}

static const struct {
	const char *path;
	void (*answer)(struct evhttp_request *req, void *ctx);
} paths[] = {
	{"/", on_index},
	{"/healthz", on_healthz},
	{"/readyz", on_readyz},
	{"/metrics", on_metrics},
};

/* A socket in a directory that only root enters, so its mode does not matter.  What a
 * predecessor left is in the way; that none runs is the caller's to know. */
static struct evconnlistener *bind_path(struct event_base *base, const char *path,
					struct kf_err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct evconnlistener *listener;

	if (strlen(path) >= sizeof(to.sun_path)) {
		(void)kf_fail(err, ENAMETOOLONG, "'%.150s': too long for a socket", path);
		return NULL;
	}
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	(void)unlink(path);
	listener = evconnlistener_new_bind(base, NULL, NULL, LISTEN_FLAGS, -1,
					   (struct sockaddr *)&to, sizeof(to));
	if (!listener)
		(void)kf_fail_sys(err, "cannot listen on '%s'", path);
	return listener;
}

static struct evconnlistener *bind_to(struct event_base *base, const char *address,
				      struct kf_err *err)
{
	struct sockaddr_storage to = {0};
	struct evconnlistener *listener;
	char text[ADDRESS_MAX];
	int n = sizeof(to);

	(void)snprintf(text, sizeof(text), "%s%s", address[0] == ':' ? "0.0.0.0" : "", address);
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&to, &n) < 0 ||
	    !(to.ss_family == AF_INET ? ((struct sockaddr_in *)&to)->sin_port
				      : ((struct sockaddr_in6 *)&to)->sin6_port)) {
		(void)kf_fail(err, EINVAL,
			      "'%.60s' is not ADDRESS:PORT, such as 127.0.0.1:9464 or :9464",
			      address);
		return NULL;
	}
	listener = evconnlistener_new_bind(base, NULL, NULL, LISTEN_FLAGS, -1,
					   (struct sockaddr *)&to, n);
	if (!listener)
		(void)kf_fail_sys(err, "cannot listen on '%.60s'", address);
	return listener;
}

int kf_http_listen(struct event_base *base, const char *address,
		   const struct kf_http_source *source, struct kf_http **ret, struct kf_err *err)
{
	struct evconnlistener *listener;
	struct kf_http *http = calloc(1, sizeof(*http));

	if (http)
		http->server = evhttp_new(base);
	if (!http || !http->server) {
		kf_http_free(http);
		return kf_fail_nomem(err, "HTTP server");
	}
	http->source = *source;
	evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http->server, HEADERS_MAX);
	evhttp_set_max_body_size(http->server, BODY_MAX);
	evhttp_set_timeout(http->server, TIMEOUT);
	evhttp_set_gencb(http->server, on_other, http);
	for (unsigned i = 0; i < KF_ARRAY_SIZE(paths); i++)
		(void)evhttp_set_cb(http->server, paths[i].path, paths[i].answer, http);
	listener = address[0] == '/' ? bind_path(base, address, err) : bind_to(base, address, err);
	if (!listener) {
		kf_http_free(http);
		return -1;
	}
	if (!evhttp_bind_listener(http->server, listener)) {
		evconnlistener_free(listener);
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
	if (http->server)
		evhttp_free(http->server);
	free(http);
}

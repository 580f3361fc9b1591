/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server of a daemon, for probes and Prometheus. */
#ifndef KF_OBSERVE_HTTP_H
#define KF_OBSERVE_HTTP_H

#include "base/buf.h"
#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;

/* A further path, for people, whose answer may be long: it is made in parts, each when the client
 * has taken the one before, so that neither time nor memory depends on its length. */
struct kf_http_page {
	const char *path, *type;
	const char *headers; /* further ones, each with its line end; NULL: none */
	/* Begin an answer; NULL: not now, the client is told to come again. */
	void *(*begin)(void *ctx);
	/* Append the next part, of about KF_HTTP_PART bytes.  False: it was the last one. */
	bool (*next)(void *answer, struct kf_buf *out);
	void (*end)(void *answer);
};

#define KF_HTTP_PART	  (16 * 1024)

/* Who is answered on the pages' paths: nobody; who comes over the loopback, or a unix socket, and
 * calls us by an address or "localhost", so that no other site's page asks for a browser's user;
 * everybody. */
#define KF_HTTP_AUDIENCES "nobody|loopback|all"
enum kf_http_audience { KF_HTTP_NOBODY, KF_HTTP_LOOPBACK, KF_HTTP_ALL };

/* Where the server's answers come from. */
struct kf_http_source {
	/* NULL if ready, otherwise the reason. */
	const char *(*not_ready)(void *ctx);
	/* Append lines about our connection to the answer of /readyz. */
	void (*connection)(void *ctx, struct kf_buf *out);
	/* Append the metrics in Prometheus' text format. */
	void (*metrics)(void *ctx, struct kf_buf *out);
	/* Called at most once a minute while no connection can be accepted, for lack of descriptors
	 * or memory. */
	void (*trouble)(void *ctx, const struct kf_err *err);
	void *ctx;
	/* Pages, which outlive the server, and who sees them. */
	const struct kf_http_page *pages;
	size_t npages;
	enum kf_http_audience audience;
};

struct kf_http;

/* Serve /healthz (alive), /readyz, /metrics, the pages of @source and, where none is at /, a list
 * of these there, on @address: "127.0.0.1:9464", "[::1]:9464", ":9464" for all addresses, or the
 * path of a unix socket, which replaces an existing file.  Read-only.  Each connection has one
 * small request and a few seconds for it.  The number of connections is fixed; those that ask
 * nothing are closed first.  Each turn of the loop does little for it, and at the lowest priority
 * that @base has: what else there is to do comes first.  @source is copied. */
int kf_http_listen(struct event_base *base, const char *address,
		   const struct kf_http_source *source, struct kf_http **ret, struct kf_err *err);
/* The system calls of the server once it listens. */
extern const struct kf_calls kf_http_calls;
/* NULL is fine. */
void kf_http_free(struct kf_http *http);

#endif

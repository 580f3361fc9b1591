/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server of a daemon, for probes and Prometheus. */
#ifndef KF_OBSERVE_HTTP_H
#define KF_OBSERVE_HTTP_H

#include "base/buf.h"
#include "base/calls.h"
#include "base/err.h"

struct event_base;

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
};

struct kf_http;

/* Serve /healthz (alive), /readyz, /metrics and a list of these at / on @address: "127.0.0.1:9464",
 * "[::1]:9464", ":9464" for all addresses, or the path of a unix socket, which replaces an existing
 * file.  Read-only.  Each connection has one small request and a few seconds for it.  The number of
 * connections is fixed; those that ask nothing are closed first.  @source is copied. */
int kf_http_listen(struct event_base *base, const char *address,
		   const struct kf_http_source *source, struct kf_http **ret, struct kf_err *err);
/* The system calls of the server once it listens. */
extern const struct kf_calls kf_http_calls;
/* NULL is fine. */
void kf_http_free(struct kf_http *http);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OBSERVE_HTTP_H
#define KF_OBSERVE_HTTP_H

#include "base/buf.h"
#include "base/calls.h"
#include "base/err.h"

struct event_base;

/* What the server tells. */
struct kf_http_source {
	/* NULL if ready, else why not. */
	const char *(*not_ready)(void *ctx);
	/* Append to what /readyz says lines about what we are connected to. */
	void (*connection)(void *ctx, struct kf_buf *out);
	/* Append the metrics in Prometheus' text format. */
	void (*metrics)(void *ctx, struct kf_buf *out);
	/* No connection can be accepted, for want of descriptors or memory; at most once a minute.
	 */
	void (*trouble)(void *ctx, const struct kf_err *err);
	void *ctx;
};

struct kf_http;

/* Serve /healthz (alive), /readyz, /metrics and a list of these at / on @address:
 * "127.0.0.1:9464", "[::1]:9464", ":9464" for all addresses, or the path of a unix socket, which
 * replaces what is there.  Read-only, one small request for a connection, a few seconds for it, and
 * a fixed number of connections: those that ask nothing make room.  @source is copied. */
int kf_http_listen(struct event_base *base, const char *address,
		   const struct kf_http_source *source, struct kf_http **ret, struct kf_err *err);
/* What it needs once it listens. */
extern const struct kf_calls kf_http_calls;
/* NULL is fine. */
void kf_http_free(struct kf_http *http);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: socket, trunk and the two ttrpc streams on it.  Both ends are
 * alike: each serves one stream and calls on the other. */
#ifndef KF_NRI_LINK_H
#define KF_NRI_LINK_H

#include "base/buf.h"
#include "nri/trunk.h"
#include "nri/ttrpc.h"

#include <nri/nri.h>

#include <stdbool.h>

struct event;
struct event_base;
struct iovec;

#define NRI_SERVICE_PLUGIN  "nri.pkg.api.v1alpha1.Plugin"
#define NRI_SERVICE_RUNTIME "nri.pkg.api.v1alpha1.Runtime"

/* All may call nri_link_close(), none may release the link. */
struct nri_link_ops {
	/* To be answered, now or later, by nri_link_reply() or nri_link_reply_error(). */
	void (*request)(void *ctx, uint32_t stream, const struct nri_ttrpc_request *req);
	/* @resp is NULL if the answer was malformed or too large. */
	void (*response)(void *ctx, uint32_t stream, const struct nri_ttrpc_response *resp);
	/* Closed by the peer or for its mistake, not by nri_link_close(). */
	void (*closed)(void *ctx, const struct nri_error *why);
};

struct nri_link {
	struct event_base *base;
	const struct nri_link_ops *ops;
	void *ctx;
	uint32_t served; /* connection whose requests we answer; the other is the one we call on */
	int fd;		 /* -1: closed */
	struct event *readable, *writable;
	struct nri_trunk trunk;
	struct nri_ttrpc in[2]; /* of connections 1 and 2 */
	bool slow;		/* the message at hand does not come in one go */
	uint32_t last_request;	/* highest stream number seen, to find reused ones */
	uint32_t next_stream;	/* for our next call */
	struct kf_buf out;	/* what the socket did not take yet, from @out_sent */
	size_t out_sent;
	uint8_t *buffer; /* for reading */
};

void nri_link_init(struct nri_link *link, struct event_base *base, uint32_t served,
		   const struct nri_link_ops *ops, void *ctx);
/* Start with the connected socket @fd, which the link owns on success. */
int nri_link_open(struct nri_link *link, int fd, struct nri_error *err);
static inline bool nri_link_is_open(const struct nri_link *link)
{
	return link->fd >= 0;
}
/* Without a callback.  Messages being handled stay valid. */
void nri_link_close(struct nri_link *link);
void nri_link_done(struct nri_link *link);

/* Send a request; the answer comes with *ret_stream.  If the connection breaks the callback
 * "closed" tells, not the result. */
int nri_link_request(struct nri_link *link, const char *service, const char *method,
		     const void *payload, size_t n, unsigned timeout_ms, uint32_t *ret_stream,
		     struct nri_error *err);
void nri_link_reply(struct nri_link *link, uint32_t stream, const void *payload, size_t n);
void nri_link_reply_error(struct nri_link *link, uint32_t stream, const struct nri_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the body of an HTTP/1 message ends. */
#ifndef KF_EGRESS_BODY_H
#define KF_EGRESS_BODY_H

#include "egress/head.h"

/* A copy of it is another place in the same body: bytes that could not be passed on yet are scanned
 * again from there. */
struct kf_egress_body {
	enum kf_egress_framing framing;
	bool strict; /* a request's: no chunk extensions, no trailers */
	bool done;
	uint8_t state, digits;
	uint16_t line; /* bytes of a line of extensions or trailers */
	uint64_t left; /* of the length or of a chunk */
};

void kf_egress_body_begin(struct kf_egress_body *body, const struct kf_egress_head *head,
			  bool strict);
/* Go over the next @n bytes: how many of them are the body's, with its frame; -1 if they are
 * framed wrongly. */
ssize_t kf_egress_body_scan(struct kf_egress_body *body, const char *p, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc: calls over a byte stream.
 *
 *	u32be length | u32be stream | u8 type | u8 flags | data
 */
#ifndef KF_NRI_TTRPC_H
#define KF_NRI_TTRPC_H

#include "nri/wire.h"

#include <nri/nri.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NRI_TTRPC_HEADER   10
/* ttrpc's own limit for a message's data. */
#define NRI_TTRPC_DATA_MAX (4 * 1024 * 1024)

enum nri_ttrpc_type { NRI_TTRPC_REQUEST = 1, NRI_TTRPC_RESPONSE = 2, NRI_TTRPC_DATA = 3 };

struct nri_ttrpc_message {
	uint32_t stream;
	uint8_t type, flags;
	bool too_large;	     /* over NRI_TTRPC_DATA_MAX: skipped, @n is 0 */
	const uint8_t *data; /* valid during the call, never NULL */
	size_t n;
};

/* Puts the messages of one stream together. */
struct nri_ttrpc {
	uint8_t header[NRI_TTRPC_HEADER];
	size_t nheader;
	size_t want, have; /* data of the current message */
	uint8_t *data;	   /* what came in earlier pieces */
	size_t cap;
};

/* Return -1 to stop. */
typedef int nri_ttrpc_fn(void *ctx, const struct nri_ttrpc_message *msg);

/* Take @n bytes of the stream and hand on each message that is complete.  Memory grows with
 * what arrives, not with what a header claims.  Start with a zeroed @in, end with
 * nri_ttrpc_done().  -1 if memory runs out (*err set) or @fn stopped (*err untouched). */
int nri_ttrpc_feed(struct nri_ttrpc *in, const uint8_t *data, size_t n, nri_ttrpc_fn *fn, void *ctx,
		   struct nri_error *err);
/* Whether a message has come in part. */
static inline bool nri_ttrpc_begun(const struct nri_ttrpc *in)
{
	return in->nheader > 0;
}
void nri_ttrpc_done(struct nri_ttrpc *in);

void nri_ttrpc_header(uint8_t out[static NRI_TTRPC_HEADER], uint32_t n, uint32_t stream,
		      enum nri_ttrpc_type type);

/* A string that is not NUL-terminated, borrowed from the message. */
struct nri_slice {
	const uint8_t *p;
	size_t n;
};

bool nri_slice_equal(struct nri_slice slice, const char *s);

struct nri_ttrpc_request {
	struct nri_slice service, method, payload;
};

struct nri_ttrpc_response {
	uint32_t code; /* 0: success */
	struct nri_slice message, payload;
};

/* False: malformed. */
bool nri_ttrpc_parse_request(const uint8_t *data, size_t n, struct nri_ttrpc_request *ret);
bool nri_ttrpc_parse_response(const uint8_t *data, size_t n, struct nri_ttrpc_response *ret);

/* Encode all of an envelope but its payload of @n bytes, which follows.  They
 * return the bytes written to @out. */
#define NRI_TTRPC_NAME_MAX     128
#define NRI_TTRPC_ENVELOPE_MAX (2 * NRI_TTRPC_NAME_MAX + 64)
/* @service and @method have at most NRI_TTRPC_NAME_MAX bytes. */
size_t nri_ttrpc_put_request(uint8_t out[static NRI_TTRPC_ENVELOPE_MAX], const char *service,
			     const char *method, uint64_t timeout_nano, size_t n);
size_t nri_ttrpc_put_response(uint8_t out[static NRI_TTRPC_ENVELOPE_MAX], size_t n);
/* A whole response that says @err; what is not UTF-8 in the message becomes '?'. */
#define NRI_TTRPC_ERROR_MAX (NRI_ERROR_MAX + 64)
size_t nri_ttrpc_put_error(uint8_t out[static NRI_TTRPC_ERROR_MAX], const struct nri_error *err);

#endif

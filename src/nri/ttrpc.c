/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc: takes messages out of a stream of bytes, and reads and writes their envelopes. */
#include "nri/ttrpc.h"

#include "base/utf8.h"
#include "nri/trunk.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Buffers up to this size stay for the next message. */
#define KEEP (64 * 1024)

/* Keep @n bytes until the rest of the message comes. */
static int store_bytes(struct nri_ttrpc *in, const uint8_t *data, size_t n, struct nri_error *err)
{
	size_t need = in->have + n, cap = in->cap ? in->cap : 4096;
	uint8_t *p;

	if (need > in->cap) {
		while (cap < need)
			cap *= 2;
		p = realloc(in->data, cap);
		if (!p)
			return nri_fail(err, NRI_RESOURCE_EXHAUSTED,
					"message of %zu bytes: out of memory", in->want);
		in->data = p;
		in->cap = cap;
	}
	memcpy(in->data + in->have, data, n);
	in->have = need;
	return 0;
}

static void forget_message(struct nri_ttrpc *in)
{
	in->nheader = 0;
	in->have = 0;
	if (in->cap <= KEEP)
		return;
	nri_ttrpc_done(in);
#ifdef __GLIBC__
	/* Large messages are rare, and malloc would keep what they took for ever. */
	malloc_trim(0);
#endif
}

int nri_ttrpc_feed(struct nri_ttrpc *in, const uint8_t *data, size_t n, nri_ttrpc_fn *fn, void *ctx,
		   struct nri_error *err)
{
	for (;;) {
		struct nri_ttrpc_message msg = {0};
		size_t k;
		int stop;

		if (in->nheader < NRI_TTRPC_HEADER) {
			k = nri_min(n, NRI_TTRPC_HEADER - in->nheader);
			if (k)
				memcpy(in->header + in->nheader, data, k);
			in->nheader += k;
			data += k;
			n -= k;
			if (in->nheader < NRI_TTRPC_HEADER)
				return 0;
			in->want = nri_get_be32(in->header);
			in->have = 0;
		}
		msg.stream = nri_get_be32(in->header + 4);
		msg.type = in->header[8];
		msg.flags = in->header[9];
		msg.too_large = in->want > NRI_TTRPC_DATA_MAX;
		k = nri_min(n, in->want - in->have);
		if (k < in->want - in->have) {
			if (msg.too_large)
				in->have += k;
			else if (k && store_bytes(in, data, k, err) < 0)
				return -1;
			return 0;
		}
		/* Complete.  Usually all of it is in one piece and stays where it is. */
		if (!msg.too_large && in->have && k && store_bytes(in, data, k, err) < 0)
			return -1;
		msg.data = in->have && !msg.too_large ? in->data : data;
		msg.n = msg.too_large ? 0 : in->want;
		data += k;
		n -= k;
		stop = fn(ctx, &msg);
		forget_message(in);
		if (stop < 0)
			return -1;
		if (!n)
			return 0;
	}
}

void nri_ttrpc_done(struct nri_ttrpc *in)
{
	free(in->data);
	*in = (struct nri_ttrpc){0};
}

void nri_ttrpc_header(uint8_t out[static NRI_TTRPC_HEADER], uint32_t n, uint32_t stream,
		      enum nri_ttrpc_type type)
{
	nri_put_be32(out, n);
	nri_put_be32(out + 4, stream);
	out[8] = (uint8_t)type;
	out[9] = 0;
}

bool nri_slice_equal(struct nri_slice slice, const char *s)
{
	size_t n = strlen(s);

	return slice.n == n && (!n || memcmp(slice.p, s, n) == 0);
}

static struct nri_slice slice_of(const struct nri_field *f)
{
	return (struct nri_slice){f->data, f->n};
}

bool nri_ttrpc_parse_request(const uint8_t *data, size_t n, struct nri_ttrpc_request *ret)
{
	struct nri_ttrpc_request req = {0};
	const uint8_t *end = data + n;
	struct nri_field f;
	int more;

	while ((more = nri_wire_next(&data, end, &f)) > 0) {
		if (f.type != NRI_WIRE_BYTES)
			continue;
		switch (f.number) {
		case 1:
			req.service = slice_of(&f);
			break;
		case 2:
			req.method = slice_of(&f);
			break;
		case 3:
			req.payload = slice_of(&f);
			break;
		}
	}
	if (more < 0)
		return false;
	*ret = req;
	return true;
}

static bool parse_status(const struct nri_field *status, struct nri_ttrpc_response *resp)
{
	const uint8_t *p = status->data, *end = status->data + status->n;
	struct nri_field f;
	int more;

	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		if (f.number == 1 && f.type == NRI_WIRE_VARINT)
			resp->code = (uint32_t)f.varint;
		else if (f.number == 2 && f.type == NRI_WIRE_BYTES)
			resp->message = slice_of(&f);
	}
	return more == 0;
}

bool nri_ttrpc_parse_response(const uint8_t *data, size_t n, struct nri_ttrpc_response *ret)
{
	struct nri_ttrpc_response resp = {0};
	struct nri_field f;
	const uint8_t *end = data + n;
	int more;

	/* An empty answer may be no bytes at all. */
	while ((more = nri_wire_next(&data, end, &f)) > 0) {
		if (f.type != NRI_WIRE_BYTES)
			continue;
		if (f.number == 1 && !parse_status(&f, &resp))
			return false;
		if (f.number == 2)
			resp.payload = slice_of(&f);
	}
	if (more < 0)
		return false;
	*ret = resp;
	return true;
}

static size_t put_string(uint8_t *out, uint32_t number, const char *s)
{
	size_t n = strlen(s), used = nri_wire_put_key(out, number, n);

	memcpy(out + used, s, n);
	return used + n;
}

size_t nri_ttrpc_put_request(uint8_t out[static NRI_TTRPC_ENVELOPE_MAX], const char *service,
			     const char *method, uint64_t timeout_nano, size_t n)
{
	size_t used = put_string(out, 1, service);

	used += put_string(out + used, 2, method);
	used += nri_wire_put_varint(out + used, 4 << 3 | NRI_WIRE_VARINT);
	used += nri_wire_put_varint(out + used, timeout_nano);
	return used + nri_wire_put_key(out + used, 3, n);
}

size_t nri_ttrpc_put_response(uint8_t out[static NRI_TTRPC_ENVELOPE_MAX], size_t n)
{
	return n ? nri_wire_put_key(out, 2, n) : 0;
}

size_t nri_ttrpc_put_error(uint8_t out[static NRI_TTRPC_ERROR_MAX], const struct nri_error *err)
{
	char text[NRI_ERROR_MAX];
	uint8_t code[NRI_VARINT_MAX], key[2 * NRI_VARINT_MAX];
	size_t n = strnlen(err->message, sizeof(text) - 1), ncode, nkey, used;

	memcpy(text, err->message, n);
	text[n] = '\0';
	for (size_t i = 0, len; i < n; i += len) {
		len = kf_utf8_sequence(text + i, n - i);
		if (!len) {
			text[i] = '?';
			len = 1;
		}
	}
	ncode = nri_wire_put_varint(code, (uint32_t)(err->code ? err->code : NRI_UNKNOWN));
	nkey = nri_wire_put_key(key, 2, n);
	used = nri_wire_put_key(out, 1, 1 + ncode + nkey + n);
	out[used++] = 1 << 3 | NRI_WIRE_VARINT;
	memcpy(out + used, code, ncode);
	used += ncode;
	memcpy(out + used, key, nkey);
	used += nkey;
	memcpy(out + used, text, n);
	return used + n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's stream -> messages, the same whatever pieces it comes in; and messages ->
 * envelopes, whose parts lie within and survive being written and read again.  The
 * first byte of the input is the size of the pieces. */
#include "nri/ttrpc.h"

#include "nri/trunk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct digest {
	uint64_t hash;
	size_t messages;
};

static void mix(struct digest *d, const void *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		d->hash = (d->hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
}

static void check_slice(struct nri_slice s, const uint8_t *data, size_t n)
{
	if (s.n && (s.p < data || s.p + s.n > data + n))
		abort();
}

static void check_request(const uint8_t *data, size_t n)
{
	uint8_t head[NRI_TTRPC_ENVELOPE_MAX], *again;
	char service[NRI_TTRPC_NAME_MAX + 1] = "", method[NRI_TTRPC_NAME_MAX + 1] = "";
	struct nri_ttrpc_request req, copy;
	size_t nhead;

	if (!nri_ttrpc_parse_request(data, n, &req))
		return;
	check_slice(req.service, data, n);
	check_slice(req.method, data, n);
	check_slice(req.payload, data, n);
	if (req.service.n > NRI_TTRPC_NAME_MAX || req.method.n > NRI_TTRPC_NAME_MAX)
		return;
	if (req.service.n)
		memcpy(service, req.service.p, req.service.n);
	if (req.method.n)
		memcpy(method, req.method.p, req.method.n);
	nhead = nri_ttrpc_put_request(head, service, method, UINT64_MAX, req.payload.n);
	if (nhead > sizeof(head))
		abort();
	again = malloc(nhead + req.payload.n);
	if (!again)
		return;
	memcpy(again, head, nhead);
	if (req.payload.n)
		memcpy(again + nhead, req.payload.p, req.payload.n);
	if (!nri_ttrpc_parse_request(again, nhead + req.payload.n, &copy) ||
	    !nri_slice_equal(copy.service, service) || !nri_slice_equal(copy.method, method) ||
	    copy.payload.n != req.payload.n)
		abort();
	free(again);
}

static void check_response(const uint8_t *data, size_t n)
{
	uint8_t again[NRI_TTRPC_ERROR_MAX];
	struct nri_ttrpc_response resp, copy;
	struct nri_error err = {0};
	size_t k;

	if (!nri_ttrpc_parse_response(data, n, &resp))
		return;
	check_slice(resp.message, data, n);
	check_slice(resp.payload, data, n);
	if (resp.code == NRI_OK)
		return;
	err.code = (int)resp.code;
	k = nri_min(resp.message.n, NRI_ERROR_MAX - 1);
	if (k)
		memcpy(err.message, resp.message.p, k);
	if (!nri_ttrpc_parse_response(again, nri_ttrpc_put_error(again, &err), &copy) ||
	    copy.code != resp.code || copy.message.n != strlen(err.message))
		abort();
}

static int message(void *ctx, const struct nri_ttrpc_message *msg)
{
	struct digest *d = ctx;

	d->messages++;
	mix(d, &msg->stream, sizeof(msg->stream));
	mix(d, &msg->type, 1);
	mix(d, &msg->flags, 1);
	mix(d, msg->data, msg->n);
	if (!msg->data || (msg->too_large && msg->n))
		abort();
	check_request(msg->data, msg->n);
	check_response(msg->data, msg->n);
	return 0;
}

static void feed(const uint8_t *data, size_t n, size_t piece, struct digest *ret)
{
	struct nri_ttrpc in = {0};
	struct nri_error err;

	*ret = (struct digest){0};
	while (n) {
		size_t k = nri_min(n, piece);

		if (nri_ttrpc_feed(&in, data, k, message, ret, &err) < 0)
			abort();
		data += k;
		n -= k;
	}
	nri_ttrpc_done(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct digest whole, pieces;

	if (!n)
		return 0;
	feed(data + 1, n - 1, SIZE_MAX, &whole);
	feed(data + 1, n - 1, (size_t)data[0] + 1, &pieces);
	if (memcmp(&whole, &pieces, sizeof(whole)) != 0)
		abort();
	check_request(data + 1, n - 1);
	check_response(data + 1, n - 1);
	return 0;
}

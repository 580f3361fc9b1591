/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a socket -> streams of connections: the same whatever pieces they come in.
 * The first byte of the input is the size of the pieces. */
#include "nri/trunk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct digest {
	uint64_t hash[4]; /* of connections 0, 1, 2 and all others */
	size_t bytes;
};

static int digest(void *ctx, uint32_t conn, const uint8_t *data, size_t n)
{
	struct digest *d = ctx;
	uint64_t *h = &d->hash[conn < 3 ? conn : 3];

	if (!n)
		abort();
	for (size_t i = 0; i < n; i++)
		*h = (*h ^ data[i] ^ conn) * UINT64_C(0x100000001b3);
	d->bytes += n;
	return 0;
}

static int feed(const uint8_t *data, size_t n, size_t piece, struct digest *ret)
{
	struct nri_trunk trunk = {0};
	struct nri_error err = {0};

	*ret = (struct digest){0};
	while (n) {
		size_t k = nri_min(n, piece);

		if (nri_trunk_feed(&trunk, data, k, digest, ret, &err) < 0) {
			if (err.code == NRI_OK || !*err.message)
				abort();
			return -1;
		}
		data += k;
		n -= k;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct digest whole, pieces;

	if (!n)
		return 0;
	if (feed(data + 1, n - 1, SIZE_MAX, &whole) !=
		    feed(data + 1, n - 1, (size_t)data[0] + 1, &pieces) ||
	    memcmp(&whole, &pieces, sizeof(whole)) != 0 || whole.bytes > n)
		abort();
	return 0;
}

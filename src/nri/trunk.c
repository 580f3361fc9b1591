/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the two connections that share a socket apart: frames of NRI's multiplexer. */
#include "nri/trunk.h"

#include <string.h>

int nri_trunk_feed(struct nri_trunk *trunk, const uint8_t *data, size_t n, nri_trunk_fn *fn,
		   void *ctx, struct nri_error *err)
{
	while (n) {
		size_t k;

		if (!trunk->left) {
			k = nri_min(n, NRI_TRUNK_HEADER - trunk->nheader);
			memcpy(trunk->header + trunk->nheader, data, k);
			trunk->nheader += k;
			data += k;
			n -= k;
			if (trunk->nheader < NRI_TRUNK_HEADER)
				return 0;
			trunk->nheader = 0;
			trunk->conn = nri_get_be32(trunk->header);
			trunk->left = nri_get_be32(trunk->header + 4);
			if (trunk->left > NRI_TRUNK_FRAME_MAX)
				return nri_fail(err, NRI_INTERNAL,
						"frame of %zu bytes, more than the protocol's %d",
						trunk->left, NRI_TRUNK_FRAME_MAX);
			continue;
		}
		k = nri_min(n, trunk->left);
		trunk->left -= k;
		if (fn(ctx, trunk->conn, data, k) < 0)
			return -1;
		data += k;
		n -= k;
	}
	return 0;
}

void nri_trunk_header(uint8_t out[static NRI_TRUNK_HEADER], uint32_t conn, uint32_t n)
{
	nri_put_be32(out, conn);
	nri_put_be32(out + 4, n);
}

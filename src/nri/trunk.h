/* SPDX-License-Identifier: Apache-2.0 */
/* NRI's multiplexer: one socket carries frames of several byte streams.
 *
 *	u32be connection | u32be length | bytes
 *
 * Frames are not messages: a message may span frames and a frame may hold several.
 */
#ifndef KF_NRI_TRUNK_H
#define KF_NRI_TRUNK_H

#include <nri/nri.h>

#include <stddef.h>
#include <stdint.h>

#define NRI_TRUNK_HEADER	  8
/* Longest frame that a peer writes: a whole ttrpc message with its header. */
#define NRI_TRUNK_FRAME_MAX	  (10 + 4 * 1024 * 1024)
/* The first frame of a message may not be longer: Go's peer reads through a
 * buffer of this size and gives the connection up when a frame does not fit. */
#define NRI_TRUNK_FIRST_MAX	  4096
/* The plugin serves the first, the runtime the second. */
#define NRI_TRUNK_PLUGIN_SERVICE  1
#define NRI_TRUNK_RUNTIME_SERVICE 2

struct nri_trunk {
	uint8_t header[NRI_TRUNK_HEADER];
	size_t nheader;
	uint32_t conn;
	size_t left; /* of the current frame */
};

/* Bytes of @conn's stream; return -1 to stop. */
typedef int nri_trunk_fn(void *ctx, uint32_t conn, const uint8_t *data, size_t n);

/* Take @n bytes off the socket and hand on what they hold, as soon as it is there.  Start with a
 * zeroed @trunk.  Returns -1 if a frame is too long (*err set) or @fn stopped (*err untouched). */
int nri_trunk_feed(struct nri_trunk *trunk, const uint8_t *data, size_t n, nri_trunk_fn *fn,
		   void *ctx, struct nri_error *err);

void nri_trunk_header(uint8_t out[static NRI_TRUNK_HEADER], uint32_t conn, uint32_t n);

static inline size_t nri_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline void nri_put_be32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

static inline uint32_t nri_get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif

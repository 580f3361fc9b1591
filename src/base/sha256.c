/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 in little code, since the launcher links no library.  It is small rather
 * than fast. */
#include "base/sha256.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* FIPS 180-4 section 4.2.2. */
static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static void hash_block(uint32_t state[static 8], const unsigned char *p)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];

	for (size_t i = 0; i < 64; i++) {
		uint32_t t1, t2;

		if (i < 16) {
			memcpy(&w[i], p + 4 * i, 4);
			w[i] = be32toh(w[i]);
		} else {
			t1 = w[i - 15];
			t2 = w[i - 2];
			w[i] = w[i - 16] + (rotate_right(t1, 7) ^ rotate_right(t1, 18) ^ t1 >> 3) +
			       w[i - 7] + (rotate_right(t2, 17) ^ rotate_right(t2, 19) ^ t2 >> 10);
		}
		t1 = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
		     ((e & f) ^ (~e & g)) + k[i] + w[i];
		t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
		     ((a & b) ^ (a & c) ^ (b & c));
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void kf_sha256_init(struct kf_sha256 *sum)
{
	*sum = (struct kf_sha256){
		.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
			  0x1f83d9ab, 0x5be0cd19},
	};
}

void kf_sha256_add(struct kf_sha256 *sum, const void *data, size_t n)
{
	const unsigned char *p = data;
	const size_t begun = sum->n % 64, room = 64 - begun;

	sum->n += n;
	if (begun && n >= room) {
		memcpy(sum->block + begun, p, room);
		hash_block(sum->state, sum->block);
		p += room;
		n -= room;
	} else if (begun) {
		memcpy(sum->block + begun, p, n);
		return;
	}
	for (; n >= 64; n -= 64, p += 64)
		hash_block(sum->state, p);
	if (n)
		memcpy(sum->block, p, n);
}

void kf_sha256_end(struct kf_sha256 *sum, char ret[static KF_SHA256_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";
	const size_t rest = sum->n % 64, end = rest < 56 ? 64 : 128;
	const uint64_t bits = sum->n * 8;
	unsigned char tail[128] = {0};

	memcpy(tail, sum->block, rest);
	tail[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		tail[end - 1 - i] = (unsigned char)(bits >> (8 * i));
	for (size_t i = 0; i < end; i += 64)
		hash_block(sum->state, tail + i);
	for (size_t i = 0; i < 64; i++)
		ret[i] = hex[sum->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
	ret[64] = '\0';
}

void kf_sha256_hex(const void *data, size_t n, char ret[static KF_SHA256_HEX + 1])
{
	static const char hex[] = "0123456789abcdef";
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	unsigned char tail[128] = {0};
	const unsigned char *p = data;
	uint64_t bits = (uint64_t)n * 8;
	size_t rest, end;

	for (rest = n; rest >= 64; rest -= 64, p += 64)
		hash_block(h, p);
	if (rest)
		memcpy(tail, p, rest);
	tail[rest] = 0x80;
	end = rest < 56 ? 64 : 128;
	for (size_t i = 0; i < 8; i++)
		tail[end - 1 - i] = (unsigned char)(bits >> (8 * i));
	for (size_t i = 0; i < end; i += 64)
		hash_block(h, tail + i);
	for (size_t i = 0; i < 64; i++)
		ret[i] = hex[h[i / 8] >> (28 - 4 * (i % 8)) & 15];
	ret[64] = '\0';
}

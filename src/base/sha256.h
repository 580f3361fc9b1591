/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, for checksums of our own files. */
#ifndef KF_BASE_SHA256_H
#define KF_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define KF_SHA256_HEX 64

/* SHA-256 (FIPS 180-4) of the @n bytes at @data as lower-case hex with NUL.
 * Small rather than fast; the launcher links no library. */
void kf_sha256_hex(const void *data, size_t n, char ret[static KF_SHA256_HEX + 1]);

/* The same for data that comes in parts: init, add..., end. */
struct kf_sha256 {
	uint32_t state[8];
	uint64_t n;
	unsigned char block[64];
};
void kf_sha256_init(struct kf_sha256 *sum);
void kf_sha256_add(struct kf_sha256 *sum, const void *data, size_t n);
void kf_sha256_end(struct kf_sha256 *sum, char ret[static KF_SHA256_HEX + 1]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, for checksums of our own files. */
#ifndef KF_BASE_SHA256_H
#define KF_BASE_SHA256_H

#include <stddef.h>

#define KF_SHA256_HEX 64

/* SHA-256 (FIPS 180-4) of the @n bytes at @data as lower-case hex with NUL.
 * Small rather than fast; the launcher links no library. */
void kf_sha256_hex(const void *data, size_t n, char ret[static KF_SHA256_HEX + 1]);

#endif

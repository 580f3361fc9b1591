/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed UTF-8, as RFC 3629 defines it. */
#ifndef KF_BASE_UTF8_H
#define KF_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed UTF-8 sequence (RFC 3629: no surrogates, no
 * overlong forms, at most U+10FFFF) at the start of the @n bytes at @s; 0 if
 * there is none. */
size_t kf_utf8_sequence(const char *s, size_t n);
/* Whether the @n bytes at @s are well-formed UTF-8 (Go's proto3 requirement). */
bool kf_utf8_valid(const char *s, size_t n);

#endif

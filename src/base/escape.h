/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_ESCAPE_H
#define KF_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Strings that others wrote - pods, images, nodes, runtimes - made safe for people to read.
 *
 * kf_escape_next() returns the length of the first character of the @n (not 0) bytes at @s.
 * *ret_plain tells whether it can be shown as it is.  Not plain are control characters and line
 * ends, characters that turn or hide the text around them (directions, zero widths), and bytes that
 * are not UTF-8. */
size_t kf_escape_next(const char *s, size_t n, bool *ret_plain);

/* Copy the @n bytes at @s into the @size (not 0) bytes at @out, NUL-terminated; each byte of a
 * character that is not plain becomes "\xNN".  Returns the length of the whole result without NUL;
 * if that is @size or more, the copy was cut between two characters.  Text that is escaped already
 * stays as it is.  Uses no heap and no stdio. */
size_t kf_escape(char *out, size_t size, const char *s, size_t n);

#endif

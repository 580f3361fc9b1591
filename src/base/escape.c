/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters are dangerous for the person who reads them, and how they are written instead.
 * JSON strings are written by kf_buf_add_json() in buf.c, which asks here. */
#include "base/escape.h"

#include "base/utf8.h"

#include <string.h>

/* Whether the well-formed sequence of @len (2 to 4) bytes at @u hides or turns text. */
static bool is_hidden(const unsigned char *u, size_t len)
{
	/* U+2000 to U+206F: zero-width spaces, directions, line and paragraph ends. */
	if (len == 3 && u[0] == 0xe2 && (u[1] == 0x80 || u[1] == 0x81))
		return u[1] == 0x80
			       ? (u[2] >= 0x8b && u[2] <= 0x8f) || (u[2] >= 0xa8 && u[2] <= 0xae)
			       : u[2] >= 0xa0 && u[2] <= 0xaf;
	/* C1, soft hyphen, Arabic letter mark, byte order mark. */
	return (len == 2 && u[0] == 0xc2 && (u[1] < 0xa0 || u[1] == 0xad)) ||
	       (len == 2 && u[0] == 0xd8 && u[1] == 0x9c) ||
	       (len == 3 && u[0] == 0xef && u[1] == 0xbb && u[2] == 0xbf) ||
	       /* Tags, which are invisible: U+E0000 to U+E0FFF. */
	       (len == 4 && u[0] == 0xf3 && u[1] == 0xa0);
}

size_t kf_escape_next(const char *s, size_t n, bool *ret_plain)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t len = u[0] < 0x80 ? 1 : kf_utf8_sequence(s, n);

	*ret_plain = len == 1 ? u[0] >= 0x20 && u[0] != 0x7f : len && !is_hidden(u, len);
	return len ? len : 1;
}

size_t kf_escape(char *out, size_t size, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t put = 0, need = 0;

	while (n) {
		bool plain;
		size_t len = kf_escape_next(s, n, &plain), takes = plain ? len : 4 * len;

		/* After a character that did not fit, only the length is counted. */
		if (put == need && takes < size - put) {
			for (size_t i = 0; i < len && !plain; i++) {
				out[put++] = '\\';
				out[put++] = 'x';
				out[put++] = hex[(unsigned char)s[i] >> 4];
				out[put++] = hex[s[i] & 15];
			}
			if (plain) {
				memcpy(out + put, s, len);
				put += len;
			}
		}
		need += takes;
		s += len;
		n -= len;
	}
	out[put] = '\0';
	return need;
}

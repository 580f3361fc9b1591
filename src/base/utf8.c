/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes are well-formed UTF-8.  Which characters are fit for a terminal is decided in
 * escape.c. */
#include "base/utf8.h"

size_t kf_utf8_sequence(const char *s, size_t n)
{
	/* Well-formed byte ranges, Unicode 15 table 3-7: first byte, then the
	 * range of the second; the rest are always 80..BF. */
	static const struct {
		unsigned char first_lo, first_hi, second_lo, second_hi, len;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const unsigned char *u = (const unsigned char *)s;

	if (n && u[0] < 0x80)
		return 1;
	for (size_t i = 0; n && i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = forms[i].len;

		if (u[0] < forms[i].first_lo || u[0] > forms[i].first_hi)
			continue;
		if (len > n)
			return 0;
		if (len > 1 && (u[1] < forms[i].second_lo || u[1] > forms[i].second_hi))
			return 0;
		for (size_t k = 2; k < len; k++)
			if (u[k] < 0x80 || u[k] > 0xbf)
				return 0;
		return len;
	}
	return 0;
}

bool kf_utf8_valid(const char *s, size_t n)
{
	while (n) {
		size_t len = kf_utf8_sequence(s, n);

		if (!len)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

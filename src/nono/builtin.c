/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/builtin.h"

#include "base/limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

char *kf_builtin_text(const char *name, const char **ret_id)
{
	const char *s = kf_builtin_lines, *p = (const char *)kf_builtin_policies;
	const unsigned char *number, *last;
	char *text, *end;
	bool found;
	size_t at = 0;

	do {
		if (!*p)
			return NULL;
		found = strcmp(p, name) == 0;
		*ret_id = p + strlen(p) + 1;
		number = (const unsigned char *)*ret_id + KF_BUILTIN_ID_DIGITS;
		last = number + *number;
		p = (const char *)last + 1;
	} while (!found);
	/* Lines are numbered in the order in which policies first use them, so most
	 * of the time the next one needed is the next one there. */
	end = text = malloc(KF_LIMIT_POLICY_TEXT);
	while (text && ++number <= last) {
		size_t len;

		if (*number < at) {
			s = kf_builtin_lines;
			at = 0;
		}
		for (; at < *number; at++)
			s += strlen(s) + 1;
		len = strlen(s);
		memcpy(end, s, len);
		end[len] = '\n';
		end += len + 1;
		s += len + 1;
		at++;
	}
	if (!text)
		return NULL;
	*end++ = '\0';
	return realloc(text, (size_t)(end - text));
}

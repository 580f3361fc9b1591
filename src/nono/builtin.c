/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/builtin.h"

#include "base/limits.h"
#include "base/sha256.h"

#include <stdlib.h>
#include <string.h>

static const char *line_text(unsigned number)
{
	const char *s = kf_builtin_lines;

	while (number--)
		s += strlen(s) + 1;
	return s;
}

char *kf_builtin_text(const char *name, size_t *ret_n)
{
	const struct kf_builtin_numbers *p = kf_builtin_policies;
	char *text, *end;

	for (; p < kf_builtin_policies + kf_builtin_npolicies; p++)
		if (strcmp(p->name, name) == 0)
			break;
	if (p == kf_builtin_policies + kf_builtin_npolicies)
		return NULL;
	end = text = malloc(KF_LIMIT_POLICY_TEXT);
	for (size_t i = 0; text && i < p->n; i++) {
		const char *s = line_text(p->line[i]);
		size_t len = strlen(s);

		memcpy(end, s, len);
		end[len] = '\n';
		end += len + 1;
	}
	/* The last line is "sum " and what only the launcher need not store. */
	if (text) {
		kf_sha256_hex(text, (size_t)(end - text) - 5, end - 1);
		end += KF_SHA256_HEX;
		end[-1] = '\n';
	}
	*ret_n = text ? (size_t)(end - text) : 0;
	return text;
}

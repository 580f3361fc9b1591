/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/builtin.h"

#include "base/limits.h"
#include "base/sha256.h"

#include <stdlib.h>
#include <string.h>

char *kf_builtin_text(const char *name, size_t *ret_n)
{
	const struct kf_builtin_numbers *p = kf_builtin_policies;
	const char *s = kf_builtin_lines;
	char *text, *end;

	for (; p < kf_builtin_policies + kf_builtin_npolicies; p++)
		if (strcmp(p->name, name) == 0)
			break;
	if (p == kf_builtin_policies + kf_builtin_npolicies)
		return NULL;
	/* Lines are numbered in the order in which policies first use them, so most
	 * of the time the next one needed is the next one there. */
	end = text = malloc(KF_LIMIT_POLICY_TEXT);
	for (size_t i = 0, at = 0; text && i < p->n; i++, at++) {
		size_t len;

		if (p->line[i] < at) {
			s = kf_builtin_lines;
			at = 0;
		}
		for (; at < p->line[i]; at++)
			s += strlen(s) + 1;
		len = strlen(s);

		memcpy(end, s, len);
		end[len] = '\n';
		end += len + 1;
		s += len + 1;
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

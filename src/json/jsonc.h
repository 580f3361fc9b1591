/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_JSON_JSONC_H
#define KF_JSON_JSONC_H

#include "base/arena.h"
#include "text/diag.h"

#include <stdbool.h>
#include <stdint.h>

/* JSON with comments and trailing commas (JSONC) as a tree that knows where everything was written;
 * json-c's objects do not.  The structure is scanned here, strings and numbers are decoded by
 * json-c. */

enum kf_jsonc_kind {
	KF_JSONC_NULL,
	KF_JSONC_BOOL,
	KF_JSONC_NUMBER,
	KF_JSONC_STRING,
	KF_JSONC_ARRAY,
	KF_JSONC_OBJECT,
};

struct kf_jsonc {
	enum kf_jsonc_kind kind;
	struct kf_origin at;
	const char *key; /* in an object; NULL elsewhere */
	struct kf_origin key_at;
	const char *s; /* STRING: decoded, without NUL inside */
	bool b;	       /* BOOL */
	bool is_uint;  /* NUMBER: an integer from 0 to UINT64_MAX, in @u */
	uint64_t u;
	struct kf_jsonc *child, *last, *next, *parent;
	size_t nchildren;
};

/* Parse @n bytes at @text; @file is for messages.  All is allocated in @arena.
 * NULL if it is not JSON or over a limit; the reason is in @diags. */
const struct kf_jsonc *kf_jsonc_parse(const char *text, size_t n, const char *file,
				      struct kf_arena *arena, struct kf_diags *diags);

/* "a string", "an object", ... for messages. */
const char *kf_jsonc_kind_name(enum kf_jsonc_kind kind);

#endif

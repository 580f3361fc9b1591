/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_POLICY_JSON_H
#define KF_POLICY_JSON_H

#include "base/arena.h"
#include "policy/diag.h"

#include <stdbool.h>
#include <stdint.h>

/* JSON with comments and trailing commas (JSONC) as a tree that knows where
 * everything was written, which json-c's objects do not.  The structure is
 * scanned here; what strings and numbers mean is json-c's to say. */

enum kf_json_kind {
	KF_JSON_NULL,
	KF_JSON_BOOL,
	KF_JSON_NUMBER,
	KF_JSON_STRING,
	KF_JSON_ARRAY,
	KF_JSON_OBJECT,
};

struct kf_json {
	enum kf_json_kind kind;
	struct kf_origin at;
	const char *key; /* in an object; NULL elsewhere */
	struct kf_origin key_at;
	const char *s; /* STRING: decoded, without NUL inside */
	bool b;	       /* BOOL */
	bool is_uint;  /* NUMBER: an integer from 0 to UINT64_MAX, in @u */
	uint64_t u;
	struct kf_json *child, *last, *next, *parent;
	size_t nchildren;
};

/* Parse @n bytes at @text; @file is for messages.  All is allocated in @arena.
 * NULL if it is not JSON or over a limit; the reason is in @diags. */
const struct kf_json *kf_json_parse(const char *text, size_t n, const char *file,
				    struct kf_arena *arena, struct kf_diags *diags);

/* "a string", "an object", ... for messages. */
const char *kf_json_kind_name(enum kf_json_kind kind);

#endif

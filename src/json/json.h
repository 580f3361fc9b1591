/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_JSON_JSON_H
#define KF_JSON_JSON_H

#include "base/arena.h"
#include "base/err.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* The JSON of OCI bundles, read so strictly that every other reader must understand it in the same
 * way.  The guard writes what it read, never the original bytes, so a runtime cannot see more than
 * the guard did. */

/* Parse the @n bytes at @text (text[n] is NUL) as one JSON object.  Refused are
 * keys that occur twice in an object, NUL characters in strings, numbers that
 * 64 bits cannot hold, NaN and Infinity, invalid UTF-8, and anything after the
 * object.  @name is for messages.  The caller owns *ret (json_object_put()). */
int kf_json_parse(const char *text, size_t n, const char *name, struct json_object **ret,
		  struct kf_err *err);

/* Text of @obj: compact, slashes not escaped.  Borrowed from @obj; NULL if out of
 * memory. */
const char *kf_json_text(struct json_object *obj, size_t *ret_n);

/* Whether Go's encoding/json takes key @a for field @b: equal but for case, with
 * U+017F for 's' and U+212A for 'k'. */
bool kf_json_key_folds(const char *a, const char *b);

/* Member @key of @obj: in *ret, or NULL if absent or null.  It is an error if
 * @obj also or only has a key that Go would take for @key, or if the member is
 * not of @type.  @where names @obj in messages. */
int kf_json_member(struct json_object *obj, const char *where, const char *key, enum json_type type,
		   struct json_object **ret, struct kf_err *err);

static inline void kf_json_put(struct json_object **obj)
{
	json_object_put(*obj);
}

/* The strings of @array (NULL is empty), NULL-terminated; @where and @key are for
 * messages. */
int kf_json_strings(struct json_object *array, const char *where, const char *key,
		    struct kf_arena *arena, const char *const **ret, size_t *ret_n,
		    struct kf_err *err);
/* New array of the @n strings @v, the caller's; NULL if out of memory. */
struct json_object *kf_json_strings_new(const char *const *v, size_t n);

/* Append @value, which may be NULL for want of memory and is taken in any case. */
bool kf_json_append(struct json_object *array, struct json_object *value);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_JSON_JSON_H
#define KF_JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The JSON of OCI bundles, read so strictly that every other reader must understand it in the same
 * way.  The guard writes what it read, never the original bytes, so a runtime cannot see more than
 * the guard did. */

enum kf_json_type {
	KF_JSON_NULL,
	KF_JSON_BOOL,
	KF_JSON_INT,  /* fits 64 bits, with sign or without */
	KF_JSON_REAL, /* any other number */
	KF_JSON_STRING,
	KF_JSON_LIST,
	KF_JSON_OBJECT,
};

/* A value.  It lives in an arena with all that belongs to it, and so do values that are made or
 * put into it later: in the same arena, or in one that lives as long. */
struct kf_json {
	enum kf_json_type type;
	unsigned n;	  /* values within */
	const char *key;  /* if it is a member of an object */
	const char *text; /* a string's, decoded, without NUL; all else as it was written */
	struct kf_json *first, *last, *next, *parent;
};

/* Parse the @n bytes at @text (text[n] is NUL) as one JSON object.  Refused are
 * keys that occur twice in an object, NUL characters in strings, numbers that
 * 64 bits cannot hold, invalid UTF-8, and whatever RFC 8259 does not know.  Half of a surrogate
 * pair becomes U+FFFD, as in Go.  @name is for messages. */
int kf_json_parse(const char *text, size_t n, const char *name, struct kf_arena *arena,
		  struct kf_json **ret, struct kf_err *err);

/* Append the text of @value: compact, numbers to the digit. */
void kf_json_write(const struct kf_json *value, struct kf_buf *out);

/* Whether Go's encoding/json takes key @a for field @b: equal but for case, with
 * U+017F for 's' and U+212A for 'k'. */
bool kf_json_key_folds(const char *a, const char *b);

/* Member @key of @obj: in *ret, or NULL if absent or null.  It is an error if
 * @obj also or only has a key that Go would take for @key, or if the member is
 * not of @type.  @where names @obj in messages. */
int kf_json_member(struct kf_json *obj, const char *where, const char *key, enum kf_json_type type,
		   struct kf_json **ret, struct kf_err *err);
/* Member @key of @obj; NULL if @obj is no object, or if it is absent or null. */
struct kf_json *kf_json_find(const struct kf_json *obj, const char *key);
/* The text of the string @value; NULL if it is none, or NULL. */
const char *kf_json_string(const struct kf_json *value);
/* An integer; what does not fit the type becomes its least or its most. */
int64_t kf_json_int(const struct kf_json *value);
uint64_t kf_json_uint(const struct kf_json *value);

/* The strings of @list (NULL is empty), NULL-terminated; @where and @key are for
 * messages. */
int kf_json_strings(const struct kf_json *list, const char *where, const char *key,
		    struct kf_arena *arena, const char *const **ret, size_t *ret_n,
		    struct kf_err *err);

/* New values, NULL if out of memory; the first is an empty list or object.  kf_json_append() and
 * kf_json_set() take a NULL for a failure, so that one check is enough. */
struct kf_json *kf_json_new(struct kf_arena *arena, enum kf_json_type type);
struct kf_json *kf_json_new_string(struct kf_arena *arena, const char *text);
struct kf_json *kf_json_new_strings(struct kf_arena *arena, const char *const *v, size_t n);
struct kf_json *kf_json_new_uint(struct kf_arena *arena, uint64_t number);
struct kf_json *kf_json_new_bool(struct kf_arena *arena, bool value);

/* Put @value, which is nowhere else, at the end of @list.  False if it is NULL. */
bool kf_json_append(struct kf_json *list, struct kf_json *value);
/* Make it member @key of @obj: in the place of the one that is there, else at the end.  @key is
 * borrowed. */
bool kf_json_set(struct kf_json *obj, const char *key, struct kf_json *value);
/* Take member @key out of @obj, if it is there. */
void kf_json_remove(struct kf_json *obj, const char *key);
/* Take all values out of @list; the first, the others follow by next. */
struct kf_json *kf_json_take_all(struct kf_json *list);

#endif

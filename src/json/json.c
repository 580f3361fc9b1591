/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON, with json-c, and the text of what was read.  JSON with comments, and with
 * places for messages, is in jsonc.c. */
#include "json/json.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <ctype.h>
#include <json-c/json_visit.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32 /* a runtime specification is 8 deep */

static int check_number(const char *s, const char *name, size_t *ret_len, struct kf_err *err)
{
	size_t n = strspn(s, "+-.0123456789eE");

	/* json-c keeps the text of other numbers, but cuts integers that are too large. */
	if (!memchr(s, '.', n) && !memchr(s, 'e', n) && !memchr(s, 'E', n)) {
		errno = 0;
		if (*s == '-')
			(void)strtoll(s, NULL, 10);
		else
			(void)strtoull(s, NULL, 10);
		if (errno)
			return kf_fail(err, ERANGE, "%s: number %.*s does not fit 64 bits", name,
				       n > 40 ? 40 : (int)n, s);
	}
	*ret_len = n;
	return 0;
}

/* Checks that json-c does not make.  Counts the members of all objects, duplicates included (in
 * valid JSON each has one ':' outside of strings).  Refuses NUL characters, numbers that are too
 * large, and NaN and Infinity, which json-c takes for numbers and other readers do not.  Whether
 * the text is valid JSON is left to json-c. */
static int scan_text(const char *text, size_t n, const char *name, size_t *ret_members,
		     struct kf_err *err)
{
	size_t members = 0;
	bool in_string = false;

	if (memchr(text, '\0', n))
		return kf_fail(err, EINVAL, "%s: holds a NUL character", name);
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\') {
				if (strncmp(text + i, "\\u0000", 6) == 0)
					return kf_fail(err, EINVAL, "%s: holds a NUL character",
						       name);
				i++;
			} else if (c == '"') {
				in_string = false;
			}
		} else if (c == '"') {
			in_string = true;
		} else if (c == ':') {
			members++;
		} else if (c == 'N' || c == 'I') {
			return kf_fail(err, EINVAL,
				       "%s: not JSON: unexpected character at byte %zu", name, i);
		} else if (c == '-' || isdigit((unsigned char)c)) {
			size_t len;

			if (check_number(text + i, name, &len, err) < 0)
				return -1;
			i += len - 1;
		}
	}
	*ret_members = members;
	return 0;
}

static int count_member(struct json_object *obj, int flags, struct json_object *parent,
			const char *key, size_t *index, void *count)
{
	(void)obj;
	(void)parent;
	(void)index;
	if (key && !(flags & JSON_C_VISIT_SECOND))
		(*(size_t *)count)++;
	return JSON_C_VISIT_RETURN_CONTINUE;
}

static void tokener_free(struct json_tokener **tok)
{
	if (*tok) /* unlike free(), it follows the pointer */
		json_tokener_free(*tok);
}

int kf_json_parse(const char *text, size_t n, const char *name, struct json_object **ret,
		  struct kf_err *err)
{
	KF_CLEANUP(tokener_free) struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	KF_CLEANUP(kf_json_put) struct json_object *obj = NULL;
	size_t members, distinct = 0, end;

	if (!tok)
		return kf_fail_nomem(err, name);
	if (n >= INT_MAX)
		return kf_fail(err, EFBIG, "%s: too large", name);
	if (!kf_utf8_valid(text, n))
		return kf_fail(err, EINVAL, "%s: not valid UTF-8", name);
	if (scan_text(text, n, name, &members, err) < 0)
		return -1;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	obj = json_tokener_parse_ex(tok, text, (int)n);
	end = json_tokener_get_parse_end(tok);
	if (!obj)
		return kf_fail(err, EINVAL, "%s: not JSON: %s at byte %zu", name,
			       json_tokener_error_desc(json_tokener_get_error(tok)), end);
	if (end < n && end + strspn(text + end, " \t\r\n") < n)
		return kf_fail(err, EINVAL, "%s: text after the JSON value at byte %zu", name, end);
	if (!json_object_is_type(obj, json_type_object))
		return kf_fail(err, EINVAL, "%s: not a JSON object", name);
	if (json_c_visit(obj, 0, count_member, &distinct) != 0 || members != distinct)
		return kf_fail(err, EINVAL,
			       "%s: an object has the same key twice; readers would disagree on it",
			       name);
	*ret = KF_STEAL(obj);
	return 0;
}

const char *kf_json_text(struct json_object *obj, size_t *ret_n)
{
	return json_object_to_json_string_length(
		obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_n);
}

/* Read one character of a key in lower case; the two characters that Go folds to ASCII are folded,
 * too. */
static int fold_character(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;

	if (p[0] == 0xc5 && p[1] == 0xbf) {
		*s += 2;
		return 's';
	}
	if (p[0] == 0xe2 && p[1] == 0x84 && p[2] == 0xaa) {
		*s += 3;
		return 'k';
	}
	(*s)++;
	return p[0] >= 'A' && p[0] <= 'Z' ? p[0] + ('a' - 'A') : p[0];
}

bool kf_json_key_folds(const char *a, const char *b)
{
	while (*a && *b)
		if (fold_character(&a) != fold_character(&b))
			return false;
	return *a == *b;
}

int kf_json_member(struct json_object *obj, const char *where, const char *key, enum json_type type,
		   struct json_object **ret, struct kf_err *err)
{
	struct json_object *found = NULL;

	json_object_object_foreach(obj, name, value)
	{
		if (!kf_json_key_folds(name, key))
			continue;
		if (strcmp(name, key) != 0)
			return kf_fail(err, EINVAL,
				       "%s: key '%.80s' is another spelling of '%s'; some runtimes "
				       "read it, others do not",
				       where, name, key);
		if (value && !json_object_is_type(value, type))
			return kf_fail(err, EINVAL, "%s.%s: not of type %s", where, key,
				       json_type_to_name(type));
		found = value;
	}
	*ret = found;
	return 0;
}

int kf_json_strings(struct json_object *array, const char *where, const char *key,
		    struct kf_arena *arena, const char *const **ret, size_t *ret_n,
		    struct kf_err *err)
{
	size_t n = array ? json_object_array_length(array) : 0;
	const char **v = kf_arena_calloc(arena, n + 1, sizeof(*v));

	if (!v)
		return kf_fail_nomem(err, where);
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (!json_object_is_type(item, json_type_string))
			return kf_fail(err, EINVAL, "%s.%s: element %zu is not a string", where,
				       key, i);
		v[i] = json_object_get_string(item);
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

bool kf_json_append(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

struct json_object *kf_json_strings_new(const char *const *v, size_t n)
{
	KF_CLEANUP(kf_json_put) struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < n; i++)
		if (!kf_json_append(array, json_object_new_string(v[i])))
			return NULL;
	return KF_STEAL(array);
}

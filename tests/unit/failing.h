/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for memory that fail when the test says so.  Each is put before the real one by the linker
 * (-Wl,--wrap, in meson.build).  What json-c calls inside succeeds, as it would in a library that
 * is shared: it does not tell its callers of all that failed. */
#ifndef KF_TESTS_FAILING_H
#define KF_TESTS_FAILING_H

#include "base/arena.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static unsigned long failing_left; /* calls until one fails; 0: none does */
static unsigned failing_inside;	   /* json-c's own calls, which succeed */
static bool failing_hit;

static inline bool fails_now(void)
{
	if (failing_inside || !failing_left || --failing_left)
		return false;
	failing_hit = true;
	return true;
}

#define FAILING(type, name, parameters, arguments, failure) \
	type __real_##name parameters;                      \
	type __wrap_##name parameters;                      \
	type __wrap_##name parameters                       \
	{                                                   \
		type ret;                                   \
                                                            \
		if (fails_now())                            \
			return (type)(failure);             \
		failing_inside++;                           \
		ret = __real_##name arguments;              \
		failing_inside--;                           \
		return ret;                                 \
	}

FAILING(void *, malloc, (size_t n), (n), NULL)
FAILING(void *, calloc, (size_t n, size_t size), (n, size), NULL)
FAILING(void *, realloc, (void *p, size_t n), (p, n), NULL)
FAILING(char *, strdup, (const char *s), (s), NULL)
FAILING(char *, strndup, (const char *s, size_t n), (s, n), NULL)
FAILING(void *, kf_arena_alloc, (struct kf_arena * a, size_t n), (a, n), NULL)
FAILING(void *, kf_arena_calloc, (struct kf_arena * a, size_t n, size_t size), (a, n, size), NULL)
FAILING(char *, kf_arena_strdup, (struct kf_arena * a, const char *s), (a, s), NULL)
FAILING(struct json_tokener *, json_tokener_new_ex, (int depth), (depth), NULL)
FAILING(struct json_object *, json_object_new_object, (void), (), NULL)
FAILING(struct json_object *, json_object_new_array, (void), (), NULL)
FAILING(struct json_object *, json_object_new_string, (const char *s), (s), NULL)
FAILING(struct json_object *, json_object_new_boolean, (json_bool b), (b), NULL)
FAILING(struct json_object *, json_object_new_int64, (int64_t i), (i), NULL)
FAILING(struct json_object *, json_object_new_uint64, (uint64_t i), (i), NULL)
FAILING(int, json_object_object_add,
	(struct json_object * o, const char *key, struct json_object *v), (o, key, v), -1)
FAILING(int, json_object_array_add, (struct json_object * o, struct json_object *v), (o, v), -1)
FAILING(int, json_object_array_put_idx, (struct json_object * o, size_t i, struct json_object *v),
	(o, i, v), -1)

FAILING(const char *, json_object_to_json_string_length,
	(struct json_object * o, int flags, size_t *n), (o, flags, n), NULL)

/* Whose failures cannot be told from others. */
struct json_object *__real_json_tokener_parse_ex(struct json_tokener *t, const char *s, int n);
struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *s, int n);
struct json_object *__wrap_json_tokener_parse_ex(struct json_tokener *t, const char *s, int n)
{
	struct json_object *ret;

	failing_inside++;
	ret = __real_json_tokener_parse_ex(t, s, n);
	failing_inside--;
	return ret;
}

/* Do @work again and again, with the first call for memory failing, then the second ..., until none
 * fails.  How often one did.  @work is told whether it may succeed (none has failed), and checks
 * what came of it. */
static inline unsigned long fail_each(void (*work)(void))
{
	for (unsigned long n = 1;; n++) {
		failing_hit = false;
		failing_left = n;
		work();
		failing_left = 0;
		if (!failing_hit)
			return n - 1;
	}
}

#endif

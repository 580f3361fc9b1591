/* SPDX-License-Identifier: Apache-2.0 */
/* src/json/json.c against json-c: what it takes means the same to both, what it writes too, and
 * what json-c refuses it refuses.  Texts are made at random and broken at random; KF_SEED=N repeats
 * a run. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "json/json.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS	 20000
#define TEXT_MAX (64 * 1024)

static struct kf_arena arena;
static struct kf_err err;
static uint64_t state_of_random;

static unsigned pick(unsigned n)
{
	uint64_t z = state_of_random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (unsigned)((z ^ (z >> 31)) % n);
}

static struct kf_json *read_text(const char *text)
{
	struct kf_json *root = NULL;

	err = (struct kf_err){0};
	return kf_json_parse(text, strlen(text), "it", &arena, &root, &err) < 0 ? NULL : root;
}

static void assert_written(const char *text, const char *want)
{
	struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_json *root = read_text(text);

	if (!root)
		fail_msg("%s: %s", text, err.msg);
	kf_json_write(root, &out);
	assert_string_equal(out.p, want);
	kf_buf_done(&out);
	kf_arena_reset(&arena);
}

static void what_is_read_is_written(void **state)
{
	static const char *const same[] = {
		"{}",
		"{\"a\":{},\"b\":[],\"c\":[[],{}],\"d\":null,\"e\":true,\"f\":false}",
		"{\"a\":[0,-1,18446744073709551615,-9223372036854775808,1.50e3,0.10,1E-2,-0.0]}",
		"{\"\":{\"\":{\"\":\"\"}}}",
		"{\"a\":\"\\\"\\\\/\\n\"}",
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(same); i++)
		assert_written(same[i], same[i]);
	assert_written(" { \"a\" :\t[ 1 , 2 ]\r\n} \n", "{\"a\":[1,2]}");
	assert_written("{\"a\":\"\\/\\b\\f\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"}",
		       "{\"a\":\"/\\u0008\\u000c\\u000d\\u0009A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
		       "\"}");
	/* Half of a pair, as Go reads it. */
	assert_written("{\"a\":[\"\\ud83d\",\"\\ude00x\",\"\\ud83dx\",\"\\ud83d\\u0041\"]}",
		       "{\"a\":[\"\xef\xbf\xbd\",\"\xef\xbf\xbdx\",\"\xef\xbf\xbdx\",\"\xef\xbf\xbd"
		       "A\"]}");
}

static void what_others_might_read_otherwise_is_refused(void **state)
{
	static const char *const texts[] = {
		"{\"a\":01}",
		"{\"a\":+1}",
		"{\"a\":.5}",
		"{\"a\":1.}",
		"{\"a\":1e}",
		"{\"a\":-}",
		"{\"a\":0x1}",
		"{\"a\":True}",
		"{\"a\":nul}",
		"{\"a\":NaN}",
		"{\"a\":'b'}",
		"{'a':1}",
		"{a:1}",
		"{\"a\":1,}",
		"{\"a\":[1,]}",
		"{\"a\" 1}",
		"{,}",
		"{\"a\":[,]}",
		"{\"a\":1]}",
		"{\"a\":[1}}",
		"{\"a\":1 2}",
		"{\"a\":\"\t\"}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u00g0\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"",
		"{\"a\":\"\\",
		"{\"a\":1}/**/",
		"//\n{}",
		"{\"a\":1}}",
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"\\u0061\":1}",
	};
	struct kf_buf many = KF_BUF_INIT(TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++) {
		if (read_text(texts[i]))
			fail_msg("taken: %s", texts[i]);
		assert_true(*err.msg);
	}
	kf_buf_adds(&many, "{\"k19\":0");
	for (unsigned i = 0; i < 20; i++)
		kf_buf_addf(&many, ",\"k%u\":%u", i, i);
	kf_buf_adds(&many, "}");
	assert_null(read_text(many.p));
	assert_non_null(strstr(err.msg, "twice"));
	/* The control: with another key in front. */
	many.p[2] = 'x';
	assert_non_null(read_text(many.p));
	kf_buf_done(&many);
	kf_arena_reset(&arena);
}

static void nesting_has_an_end(void **state)
{
	char text[256] = "{\"a\":";
	size_t n = strlen(text);

	(void)state;
	memset(text + n, '[', 31);
	memset(text + n + 31, ']', 31);
	text[n + 62] = '}';
	assert_non_null(read_text(text));
	memset(text + n, '[', 32);
	memset(text + n + 32, ']', 32);
	text[n + 64] = '}';
	assert_null(read_text(text));
	assert_non_null(strstr(err.msg, "nested too deep"));
	kf_arena_reset(&arena);
}

static void members_are_set_and_removed_in_their_places(void **state)
{
	struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_json *root = read_text("{\"a\":1,\"b\":null,\"c\":[1,2]}"), *list;

	(void)state;
	assert_null(kf_json_find(root, "b"));
	list = kf_json_find(root, "c");
	assert_true(kf_json_set(root, "b", kf_json_new_string(&arena, "x")));
	assert_true(kf_json_set(root, "d", kf_json_new_bool(&arena, true)));
	assert_true(kf_json_append(list, kf_json_new_uint(&arena, UINT64_MAX)));
	kf_json_remove(root, "a");
	kf_json_remove(root, "none");
	assert_int_equal(root->n, 3);
	kf_json_write(root, &out);
	assert_string_equal(out.p, "{\"b\":\"x\",\"c\":[1,2,18446744073709551615],\"d\":true}");
	kf_buf_reset(&out);
	kf_json_remove(root, "d");
	kf_json_remove(root, "b");
	assert_true(kf_json_set(root, "c", kf_json_new(&arena, KF_JSON_LIST)));
	assert_false(kf_json_set(root, "c", NULL));
	assert_true(kf_json_set(root, "e", kf_json_new_uint(&arena, 0)));
	kf_json_write(root, &out);
	assert_string_equal(out.p, "{\"c\":[],\"e\":0}");
	kf_buf_done(&out);
	kf_arena_reset(&arena);
}

/* Parts of JSON, and what is nearly one. */
static const char *const parts[] = {
	"{",	       "}",	   "[",
	"]",	       ",",	   ":",
	"\"a\"",       "\"b\"",	   "\"a\":",
	"\"c\":1",     "null",	   "true",
	"false",       "0",	   "-1",
	"1.5",	       "1e400",	   "007",
	"\"\"",	       " ",	   "\n",
	"\"\\u00e9\"", "\"\\\\\"", "\"\\\"\"",
	"\"\\ud800\"", "\"x\\",	   "\"\xc3\xa9\"",
	"\xff",	       "/",	   "Infinity",
	"1",	       "\"\\n\"",
};

static void add_random(struct kf_buf *out, unsigned depth)
{
	const unsigned n = pick(4);
	const bool object = pick(2);

	if (!depth || !pick(3)) {
		kf_buf_adds(out, parts[10 + pick(22)]);
		return;
	}
	kf_buf_adds(out, object ? "{" : "[");
	for (unsigned i = 0; i < n; i++) {
		if (object)
			kf_buf_addf(out, "%s\"%c\":", i ? "," : "", (char)('a' + pick(6)));
		else if (i)
			kf_buf_adds(out, ",");
		add_random(out, depth - 1);
	}
	kf_buf_adds(out, object ? "}" : "]");
}

/* An object whose parts are mostly in the right order. */
static void make_text(struct kf_buf *out)
{
	kf_buf_adds(out, "{\"r\":");
	add_random(out, 4);
	kf_buf_adds(out, "}");
	for (unsigned i = pick(4) ? 0 : pick(3); i; i--)
		out->p[pick((unsigned)out->n)] = parts[pick(KF_ARRAY_SIZE(parts))][0];
}

static struct json_object *parse_other(const char *text)
{
	struct json_tokener *tok = json_tokener_new_ex(64);
	struct json_object *obj;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	obj = json_tokener_parse_ex(tok, text, (int)strlen(text));
	json_tokener_free(tok);
	return obj;
}

static void assert_same_to_both(const struct kf_json *root, const char *text)
{
	struct json_object *before = parse_other(text), *after;
	struct kf_buf out = KF_BUF_INIT(TEXT_MAX);

	kf_json_write(root, &out);
	after = parse_other(out.p);
	if (!json_object_is_type(before, json_type_object) || !json_object_equal(before, after))
		fail_msg("%s\nwas written\n%s", text, out.p);
	json_object_put(before);
	json_object_put(after);
	kf_buf_done(&out);
}

static void random_texts_mean_the_same_to_another_reader(void **state)
{
	const char *seed = getenv("KF_SEED");
	unsigned taken = 0, refused = 0;

	(void)state;
	state_of_random = seed ? strtoull(seed, NULL, 10) : 1;
	print_message("# KF_SEED=%llu\n", (unsigned long long)state_of_random);
	for (unsigned i = 0; i < TEXTS; i++) {
		struct kf_buf text = KF_BUF_INIT(TEXT_MAX);
		const struct kf_json *root;

		make_text(&text);
		root = read_text(text.p);
		if (root)
			assert_same_to_both(root, text.p);
		*(root ? &taken : &refused) += 1;
		kf_buf_done(&text);
		kf_arena_reset(&arena);
	}
	assert_true(taken > TEXTS / 20 && refused > TEXTS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_written),
		cmocka_unit_test(what_others_might_read_otherwise_is_refused),
		cmocka_unit_test(nesting_has_an_end),
		cmocka_unit_test(members_are_set_and_removed_in_their_places),
		cmocka_unit_test(random_texts_mean_the_same_to_another_reader),
	};
	int failed;

	kf_arena_init(&arena, 1024 * 1024);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	kf_arena_done(&arena);
	return failed;
}

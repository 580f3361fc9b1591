/* SPDX-License-Identifier: Apache-2.0 */
/* src/toml/toml: the tree, its order and its positions; what is refused. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "kf_test.h"
#include "toml/toml.h"

#include <string.h>

static void parse(const char *text, struct kf_toml *ret)
{
	struct kf_err err = {0};

	if (kf_toml_parse(text, strlen(text), "x.toml", ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_refused(const char *text, size_t n, const char *message)
{
	struct kf_toml t = {0};
	struct kf_err err = {0};

	assert_int_equal(kf_toml_parse(text, n, "x.toml", &t, &err), -1);
	if (!strstr(err.msg, message))
		fail_msg("'%s' not in '%s'", message, err.msg);
	assert_null(t.root);
}

static void values_are_decoded(void **state)
{
	struct kf_toml t;
	const struct kf_toml_node *n;

	(void)state;
	parse("s = \"a\\u00e9\\n\"\ni = 0x1F\nf = 1.5\nb = true\nt = 1979-05-27\na = [1, 'x']\n",
	      &t);
	n = kf_toml_get(t.root, "s");
	assert_int_equal(n->kind, KF_TOML_STRING);
	assert_string_equal(n->string, "a\xC3\xA9\n");
	assert_int_equal(n->nstring, 4);
	assert_int_equal(kf_toml_get(t.root, "i")->integer, 31);
	assert_true(kf_toml_get(t.root, "f")->floating > 1.4);
	assert_true(kf_toml_get(t.root, "b")->boolean);
	assert_int_equal(kf_toml_get(t.root, "t")->kind, KF_TOML_TIME);
	n = kf_toml_get(t.root, "a");
	assert_int_equal(n->kind, KF_TOML_ARRAY);
	assert_int_equal(n->nchildren, 2);
	assert_false(n->is_tables);
	assert_string_equal(n->first_child->next->string, "x");
	assert_null(kf_toml_get(t.root, "none"));
	assert_null(kf_toml_get(kf_toml_get(t.root, "none"), "x"));
	assert_null(kf_toml_get(kf_toml_get(t.root, "i"), "x"));
	kf_toml_done(&t);
}

static void children_come_in_the_order_of_the_text(void **state)
{
	struct kf_toml t;
	const struct kf_toml_node *n;

	(void)state;
	parse("z = 1\na = 2\n[m]\nq = 1\nb = { y = 1, x = 2 }\n[[l]]\nk = 1\n[[l]]\n", &t);
	n = t.root->first_child;
	assert_string_equal(n->key, "z");
	n = n->next;
	assert_string_equal(n->key, "a");
	n = n->next;
	assert_string_equal(n->key, "m");
	assert_false(n->is_inline);
	assert_ptr_equal(n->parent, t.root);
	assert_string_equal(n->first_child->next->key, "b");
	assert_true(n->first_child->next->is_inline);
	assert_string_equal(n->first_child->next->first_child->key, "y");
	n = n->next;
	assert_string_equal(n->key, "l");
	assert_true(n->is_tables);
	assert_int_equal(n->nchildren, 2);
	assert_null(n->next);
	kf_toml_done(&t);
}

static void assert_span(const char *text, struct kf_toml_pos begin, struct kf_toml_pos end,
			const char *want)
{
	assert_int_equal(end.offset - begin.offset, strlen(want));
	assert_memory_equal(text + begin.offset, want, strlen(want));
}

static void positions_are_those_of_the_text(void **state)
{
	static const char text[] = "\xEF\xBB\xBF"
				   "version = 3\r\n"
				   "[a.'b.c'] # x\n"
				   "\xC3\xA9 = 1\n" /* not a bare key: see below */;
	static const char good[] = "\xEF\xBB\xBF"
				   "version = 3\r\n"
				   "[a.'b.c'] # x\r\n"
				   "\t'\xC3\xA9' = '\xC3\xA9\xC3\xA9' # y\n"
				   "m = \"\"\"one\ntwo\"\"\"\n"
				   "l = [ 1, # z\n 2 ]\n"
				   "d.e = 2020-01-01 00:00:00\n";
	const struct kf_toml_node *n, *b;
	struct kf_toml t;

	(void)state;
	assert_refused(text, strlen(text), "x.toml:3:1:");
	parse(good, &t);
	n = kf_toml_get(t.root, "version");
	assert_int_equal(n->key_begin.line, 1);
	assert_int_equal(n->key_begin.column, 1);
	assert_int_equal(n->key_begin.offset, 3);
	assert_span(good, n->key_begin, n->key_end, "version");
	assert_span(good, n->begin, n->end, "3");
	b = kf_toml_get(kf_toml_get(t.root, "a"), "b.c");
	assert_span(good, b->begin, b->end, "[a.'b.c']");
	assert_span(good, b->key_begin, b->key_end, "'b.c'");
	n = b->first_child;
	assert_span(good, n->key_begin, n->key_end, "'\xC3\xA9'");
	assert_span(good, n->begin, n->end, "'\xC3\xA9\xC3\xA9'");
	assert_int_equal(n->begin.column, 8);
	n = n->next;
	assert_span(good, n->begin, n->end, "\"\"\"one\ntwo\"\"\"");
	n = n->next;
	assert_span(good, n->begin, n->end, "[ 1, # z\n 2 ]");
	n = n->next;
	assert_span(good, n->key_begin, n->key_end, "d");
	n = n->first_child;
	assert_span(good, n->key_begin, n->key_end, "e");
	assert_span(good, n->begin, n->end, "2020-01-01 00:00:00");
	kf_toml_done(&t);
}

static void mistakes_name_file_line_and_column(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a = ", "x.toml:1:"},
		{"a = 1\nb = tru\n", "x.toml:2:"},
		{"a = 1\na = 2\n", "x.toml:2:"},
		{"\n\n[a\n", "x.toml:3:"},
		{"a = \"\xFF\"\n", "x.toml:1:"},
		{"t = 2012-06-01T:\n", "x.toml:1:"},
		{"d = 1987-03-16 1 \"cat\"\n", "x.toml:1:"},
		{"[[[", "x.toml:1:"},
		{"a = 99999999999999999999\n", "x.toml:1:"},
		{"\"a\\u0000b\" = 1\n", "NUL"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
}

static void depth_and_size_are_limited(void **state)
{
	struct kf_buf b = KF_BUF_INIT(2 * KF_LIMIT_CONFIG);

	(void)state;
	for (int i = 0; i < 100000; i++)
		kf_buf_adds(&b, "a.");
	kf_buf_adds(&b, "a = 1\n");
	assert_refused(b.p, b.n, "x.toml:1:1: more than");
	kf_buf_reset(&b);
	for (int i = 0; i < 100000; i++)
		kf_buf_adds(&b, "[");
	assert_refused(b.p, b.n, "x.toml:1:");
	/* The deepest that our own limits let through to the parser. */
	kf_buf_reset(&b);
	kf_buf_adds(&b, "x = ");
	for (int i = 0; i < 16; i++) {
		kf_buf_adds(&b, "[\n{");
		for (int j = 0; j < 499; j++)
			kf_buf_adds(&b, "a.");
		kf_buf_adds(&b, "a=");
	}
	kf_buf_adds(&b, "1");
	for (int i = 0; i < 16; i++)
		kf_buf_adds(&b, "}\n]");
	kf_buf_adds(&b, "\n");
	assert_refused(b.p, b.n, "x.toml");
	kf_buf_reset(&b);
	for (int i = 0; i <= KF_LIMIT_CONFIG; i++)
		kf_buf_adds(&b, "\n");
	assert_refused(b.p, b.n, "larger than");
	kf_buf_done(&b);
}

static void a_table_that_is_there_twice_is_named_with_both_lines(void **state)
{
	static const char same[] = "version = 3\n[plugins.\"io.x.nri\"]\na = 1\n[b]\n"
				   "  [plugins.\"io.x.nri\"]\na = 2\n",
			  other[] = "[plugins.\"io.x.nri\"]\na = 1\n[plugins.'io.x.nri']\na = 2\n";

	(void)state;
	assert_refused(same, sizeof(same) - 1,
		       "x.toml:5:3: the table [plugins.\"io.x.nri\"] is in line 2 already");
	assert_refused(other, sizeof(other) - 1,
		       "x.toml:3:1: the table [plugins.'io.x.nri'] is there already, written in "
		       "another way");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_that_is_there_twice_is_named_with_both_lines),
		cmocka_unit_test(values_are_decoded),
		cmocka_unit_test(children_come_in_the_order_of_the_text),
		cmocka_unit_test(positions_are_those_of_the_text),
		cmocka_unit_test(mistakes_name_file_line_and_column),
		cmocka_unit_test(depth_and_size_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* node/toml_edit: an edit changes what was wanted and not a byte more. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "kf_test.h"
#include "toml/edit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WANT(v, ...)                                \
	{                                           \
		.path = {__VA_ARGS__}, .value = (v) \
	}

static char *edited(const char *text, const struct kf_toml_want *wants, size_t nwants)
{
	struct kf_err err = {0};
	char *out = NULL;
	size_t n;

	if (kf_toml_edit(text, strlen(text), "t", wants, nwants, &out, &n, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(strlen(out), n);
	return out;
}

static void each_notation_is_continued_in_its_own_way(void **state)
{
	static const struct kf_toml_want wants[] = {
		WANT("\"new\"", "a", "b c", "h", "x"),
		WANT("true", "a", "b c", "h", "o", "y"),
	};
	static const struct {
		const char *what, *in, *out;
	} cases[] = {
		{"empty file", "", "[a.\"b c\".h]\n  x = \"new\"\n\n[a.\"b c\".h.o]\n  y = true\n"},
		{"headers with indentation, comment behind",
		 "version = 3 # v\n\n[a]\n  [a.'b c'] # c\n    k = 1\n\n    [a.'b c'.g]\n      z = "
		 "1\n"
		 "# about d\n[d]\n",
		 "version = 3 # v\n\n[a]\n  [a.'b c'] # c\n    k = 1\n\n    [a.'b c'.g]\n      z = "
		 "1\n\n"
		 "    [a.'b c'.h]\n      x = \"new\"\n\n    [a.'b c'.h.o]\n      y = true\n"
		 "# about d\n[d]\n"},
		{"existing section, no newline at the end", "[a.\"b c\".h]\n\tk=1",
		 "[a.\"b c\".h]\n\tk=1\n\tx = \"new\"\n\n[a.\"b c\".h.o]\n  y = true\n"},
		{"implicit table gets its header", "[a.'b c'.h.o]\n  y = true\n",
		 "[a.'b c'.h.o]\n  y = true\n\n[a.'b c'.h]\n  x = \"new\"\n"},
		{"super-table defined later",
		 "[a.'b c'.h.o]\n  y = true\n[a.'b c'.h] # later\nq=1\n",
		 "[a.'b c'.h.o]\n  y = true\n[a.'b c'.h] # later\nq=1\nx = \"new\"\n"},
		{"dotted keys", "a.'b c'.h.k = 1 # c\nz = 1\n[y]\n",
		 "a.'b c'.h.k = 1 # c\na.'b c'.h.o.y = true\na.'b c'.h.x = \"new\"\nz = 1\n[y]\n"},
		{"dotted keys below a header", "[a]\n  'b c'.k = [1,\n 2]\n  t = 1\n",
		 "[a]\n  'b c'.k = [1,\n 2]\n  'b c'.h.x = \"new\"\n  'b c'.h.o.y = true\n  t = "
		 "1\n"},
		{"inline table", "[a]\n'b c' = { h = { k = 1 } } # c\n",
		 "[a]\n'b c' = { h = { k = 1, x = \"new\", o.y = true } } # c\n"},
		{"empty inline table", "[a]\n'b c'={}\n",
		 "[a]\n'b c'={ h.x = \"new\", h.o.y = true }\n"},
		{"dotted key in an inline table", "a = {'b c'.h.k = 1}\n",
		 "a = {'b c'.h.k = 1, 'b c'.h.x = \"new\", 'b c'.h.o.y = true }\n"},
		{"values replaced in their quotes", "[a.'b c'.h]\nx = 'old' # c\no = {y=false}\n",
		 "[a.'b c'.h]\nx = 'new' # c\no = {y=true}\n"},
		{"value over several lines",
		 "[a.'b c'.h]\nx = \"\"\"o\nld\"\"\" # c\n[a.'b c'.h.o]\ny=true\n",
		 "[a.'b c'.h]\nx = \"new\" # c\n[a.'b c'.h.o]\ny=true\n"},
		{"CRLF and byte-order mark", "\xEF\xBB\xBF[a.'b c'.h]\r\n  k = 1\r\n",
		 "\xEF\xBB\xBF[a.'b c'.h]\r\n  k = 1\r\n  x = \"new\"\r\n\r\n[a.'b c'.h.o]\r\n  y "
		 "= true\r\n"},
		{"commented-out section stays a comment", "#[a.'b c'.h]\n# x = 'old'\n",
		 "#[a.'b c'.h]\n# x = 'old'\n\n[a.\"b c\".h]\n  x = \"new\"\n\n[a.\"b c\".h.o]\n  "
		 "y = true\n"},
		{"characters of several bytes before the place",
		 "[a.'b c']\nh = { \"\u00fc\u20ac\" = '\U0001F600', x = 'o' }\n",
		 "[a.'b c']\nh = { \"\u00fc\u20ac\" = '\U0001F600', x = 'new', o.y = true }\n"},
		{"brackets in keys and strings", "[a.'b c'.h.\"]\"]\nq = ']['\n",
		 "[a.'b c'.h.\"]\"]\nq = ']['\n\n[a.'b c'.h]\n  x = \"new\"\n\n[a.'b c'.h.o]\n  y "
		 "= true\n"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		KF_FREE char *once = edited(cases[i].in, wants, 2);
		KF_FREE char *twice = edited(once, wants, 2);

		if (strcmp(once, cases[i].out) != 0)
			fail_msg("%s:\n%s\nwanted:\n%s", cases[i].what, once, cases[i].out);
		assert_string_equal(twice, once);
	}
}

static void what_cannot_be_edited_is_refused_with_its_place(void **state)
{
	static const struct kf_toml_want want = WANT("1", "a", "b", "c");
	static const struct {
		const char *in, *message;
	} cases[] = {
		{"\na = 1\n", "t:2:1: 'a' is an integer"},
		{"[a]\n b = 'x'\n", "t:2:2: 'b' is a string"},
		{"[[a]]\nb = {}\n", "'a' is an array"},
		{"[a.b.c]\n", "t:1:6: 'c' is a table"},
		{"[a]\n[a]\n", "t:2:"},
		{"[a.b]\nc = 1\nc = 1\n", "t:3:"},
		{"a = \n", "t:1:"},
		{"\xff", "t:1:"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_err err = {0};
		char *out = NULL;
		size_t n;

		assert_int_equal(kf_toml_edit(cases[i].in, strlen(cases[i].in), "t", &want, 1, &out,
					      &n, &err),
				 -1);
		assert_null(out);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("%s: '%s'", cases[i].in, err.msg);
	}
}

/* --- generated documents --- */

struct rng {
	uint64_t s;
};

static uint64_t next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned pick(struct rng *r, unsigned n)
{
	return (unsigned)(next(r) % n);
}

static const char *const keys[] = {"a", "b", "'c.d'", "\"e f\"", "g"};
static const char *const plain[] = {"a", "b", "c.d", "e f", "g"};
static const char *const values[] = {
	"1",
	"'s'",
	"\"\\u00e9\\n\"",
	"[1, [2],\n  3] # c",
	"1979-05-27",
	"{ a = 1, b.g = '}' }",
	"\"\"\"m\n[a]\"\"\"",
	"'''\n[b]'''",
	"{}",
	"0x1F",
	"nan",
	"[{a=1},{b=2}]",
};

/* A document of random sections; it may be invalid, then it is not used. */
static void generate(struct rng *r, struct kf_buf *buf)
{
	const char *eol = pick(r, 4) ? "\n" : "\r\n";

	for (unsigned section = 0, n = pick(r, 6); section <= n; section++) {
		if (section) {
			kf_buf_addf(buf, "%*s[", (int)pick(r, 3), "");
			for (unsigned i = 0, depth = 1 + pick(r, 3); i < depth; i++)
				kf_buf_addf(buf, "%s%s", i ? "." : "", keys[pick(r, 5)]);
			kf_buf_addf(buf, "]%s%s", pick(r, 3) ? "" : " # [x]", eol);
		}
		for (unsigned line = 0, lines = pick(r, 4); line < lines; line++) {
			kf_buf_addf(buf, "%*s", (int)pick(r, 5), "");
			for (unsigned i = 0, depth = 1 + pick(r, 3); i < depth; i++)
				kf_buf_addf(buf, "%s%s", i ? "." : "", keys[pick(r, 5)]);
			kf_buf_addf(buf, " = %s%s", values[pick(r, KF_ARRAY_SIZE(values))], eol);
			if (!pick(r, 4))
				kf_buf_addf(buf, "# comment = 1%s", pick(r, 2) ? eol : "\n");
		}
		if (!pick(r, 3))
			kf_buf_adds(buf, eol);
	}
}

/* How many bytes of @before lie between what @after begins and ends with as well. */
static size_t bytes_replaced(const char *before, const char *after)
{
	size_t n = strlen(before), m = strlen(after), head = 0, tail = 0;

	while (head < n && head < m && before[head] == after[head])
		head++;
	while (tail < n - head && tail < m - head && before[n - 1 - tail] == after[m - 1 - tail])
		tail++;
	return n - head - tail;
}

static void generated_documents_keep_all_that_was_not_wanted(void **state)
{
	uint64_t seed = getenv("KF_SEED") ? strtoull(getenv("KF_SEED"), NULL, 0) : 1;
	unsigned used = 0, refused = 0;

	(void)state;
	for (unsigned run = 0; run < 20000; run++, seed++) {
		struct rng r = {seed};
		struct kf_buf buf = KF_BUF_INIT(65536);
		struct kf_toml_want want = {.value = pick(&r, 2) ? "\"new\"" : "[true, 'x']"};
		struct kf_err err = {0};
		struct kf_toml toml;
		char *out = NULL;
		size_t n;

		for (unsigned i = 0, depth = 1 + pick(&r, 4); i < depth; i++)
			want.path[i] = plain[pick(&r, 5)];
		generate(&r, &buf);
		kf_buf_adds(&buf, "");
		if (buf.n == 0 || kf_toml_parse(buf.p, buf.n, "t", &toml, &err) < 0) {
			kf_buf_done(&buf);
			continue;
		}
		kf_toml_done(&toml);
		used++;
		/* The edit compares its result with the intention itself; a
		 * refusal must be about the document, never about the edit. */
		if (kf_toml_edit(buf.p, buf.n, "t", &want, 1, &out, &n, &err) < 0) {
			refused++;
			if (strncmp(err.msg, "t:", 2) != 0)
				fail_msg("seed %" PRIu64 ": %s\n%s", seed, err.msg, buf.p);
		} else if (bytes_replaced(buf.p, out) > 32) { /* the longest value */
			fail_msg("seed %" PRIu64 ": more than a value is lost:\n%s\n---\n%s", seed,
				 buf.p, out);
		}
		free(out);
		kf_buf_done(&buf);
	}
	/* The generator must not have degenerated. */
	assert_true(used > 5000 && refused < used / 2);
}

static void comparison_names_the_first_difference(void **state)
{
	static const struct kf_toml_want want = WANT("1", "w"), ignore = WANT(NULL, "i");
	static const struct {
		const char *before, *after, *message;
	} cases[] = {
		{"a = 1\n", "a = 1\nw = 1\n", NULL},
		{"a = 1\ni = 1\n", "a = 1\nw = 1\n[i]\nx = 2\n", NULL},
		{"[t]\n[a]\nd = 1979-05-27\n", "w = 1\na.d = 1979-05-27\n", NULL},
		{"a = 1\n", "a = 1\n", "w is missing"},
		{"a = 1\n", "a = 1\nw = 2\n", "w does not have the intended value"},
		{"a.\"b c\" = 1\n", "w = 1\n", "a.\"b c\" is lost"},
		{"", "w = 1\na.b = 1\n", "a.b is new"},
		{"a = [1, 2]\n", "w = 1\na = [1, 3]\n", "a changed its value"},
		{"a = 1979-05-27\n", "w = 1\na = 1979-05-28\n", "a changed its value"},
		{"a = 1\n", "w = 1\na = 1.0\n", "a changed its value"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_toml a, b;
		struct kf_err err = {0};
		int r;

		assert_int_equal(
			kf_toml_parse(cases[i].before, strlen(cases[i].before), "a", &a, &err), 0);
		assert_int_equal(
			kf_toml_parse(cases[i].after, strlen(cases[i].after), "b", &b, &err), 0);
		r = kf_toml_compare(&(struct kf_toml_doc){a.root, cases[i].before},
				    &(struct kf_toml_doc){b.root, cases[i].after}, &want, 1,
				    &ignore, 1, &err);
		assert_int_equal(r, cases[i].message ? -1 : 0);
		if (cases[i].message)
			assert_string_equal(err.msg, cases[i].message);
		kf_toml_done(&a);
		kf_toml_done(&b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_notation_is_continued_in_its_own_way),
		cmocka_unit_test(what_cannot_be_edited_is_refused_with_its_place),
		cmocka_unit_test(generated_documents_keep_all_that_was_not_wanted),
		cmocka_unit_test(comparison_names_the_first_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

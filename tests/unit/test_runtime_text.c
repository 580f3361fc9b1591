/* SPDX-License-Identifier: Apache-2.0 */
/* policy/runtime_text: what the guard believes about the real runtimes. */
#include "base/cleanup.h"
#include "base/sha256.h"
#include "config/runtime_text.h"
#include "kf_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @body with a valid checksum line. */
static char *summed(const char *body)
{
	char sum[KF_SHA256_HEX + 1], *text;

	kf_sha256_hex(body, strlen(body), sum);
	assert_true(asprintf(&text, "%ssum %s\n", body, sum) > 0);
	return text;
}

static void what_is_written_is_read_back_sorted(void **state)
{
	static const struct kf_runtime in[] = {
		{"nono-runc", "/usr/bin/runc"},
		{"a-crun", "/opt/with space/crun"},
	};
	struct kf_buf buf = KF_BUF_INIT(65536);
	struct kf_runtimes got;
	struct kf_err err = {0};

	(void)state;
	assert_int_equal(kf_runtimes_format(in, 2, &buf, &err), 0);
	assert_int_equal(kf_runtimes_parse(buf.p, buf.n, &got, &err), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.v[0].handler, "a-crun");
	assert_string_equal(kf_runtimes_find(&got, "nono-runc"), "/usr/bin/runc");
	assert_string_equal(kf_runtimes_find(&got, "a-crun"), "/opt/with space/crun");
	assert_null(kf_runtimes_find(&got, "nono"));
	kf_runtimes_done(&got);
	kf_buf_done(&buf);
}

static void the_writer_refuses_what_the_reader_would(void **state)
{
	static const struct kf_runtime bad[][2] = {
		{{"a", "/bin/x"}, {"a", "/bin/y"}}, {{"A", "/bin/x"}, {"b", "/bin/y"}},
		{{"a", "bin/x"}, {"b", "/bin/y"}},  {{"a", "/bin/../x"}, {"b", "/bin/y"}},
		{{"a", "/bin\n/x"}, {"b", "/x"}},   {{"-a", "/bin/x"}, {"b", "/bin/y"}},
		{{"a b", "/bin/x"}, {"b", "/x"}},   {{"", "/bin/x"}, {"b", "/bin/y"}},
		{{"a", "/"}, {"b", "/bin/y"}},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		struct kf_buf buf = KF_BUF_INIT(65536);
		struct kf_err err = {0};

		assert_int_equal(kf_runtimes_format(bad[i], 2, &buf, &err), -1);
		assert_int_not_equal(err.code, 0);
		kf_buf_done(&buf);
	}
}

static void every_flipped_or_missing_byte_is_an_error(void **state)
{
	KF_FREE char *good = summed("kubefence-runtime 1\nruntime nono-runc /usr/bin/runc\n");
	size_t n = strlen(good);
	struct kf_runtimes got;
	struct kf_err err = {0};

	(void)state;
	assert_int_equal(kf_runtimes_parse(good, n, &got, &err), 0);
	kf_runtimes_done(&got);
	for (size_t i = 0; i < n; i++) {
		good[i] ^= 1;
		assert_int_equal(kf_runtimes_parse(good, n, &got, &err), -1);
		good[i] ^= 1;
		assert_int_equal(kf_runtimes_parse(good, i, &got, &err), -1);
	}
}

static void a_line_that_is_not_understood_is_an_error(void **state)
{
	static const char *const bad[] = {
		"kubefence-runtime 2\nruntime a /b\n",
		"kubefence-runtime 1\nruntime a\n",
		"kubefence-runtime 1\nruntime a b\n",
		"kubefence-runtime 1\nruntime a /b\nruntime a /b\n",
		"kubefence-runtime 1\nruntime b /b\nruntime a /b\n",
		"kubefence-runtime 1\n\n",
		"kubefence-runtime 1\nother a /b\n",
		"kubefence-runtime 1\nruntime a /b",
		"kubefence-runtime 1\nruntime  /b\n",
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		KF_FREE char *text = summed(bad[i]);
		struct kf_runtimes got;
		struct kf_err err = {0};

		assert_int_equal(kf_runtimes_parse(text, strlen(text), &got, &err), -1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back_sorted),
		cmocka_unit_test(the_writer_refuses_what_the_reader_would),
		cmocka_unit_test(every_flipped_or_missing_byte_is_an_error),
		cmocka_unit_test(a_line_that_is_not_understood_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

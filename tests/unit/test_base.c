/* SPDX-License-Identifier: Apache-2.0 */
/* src/base: what every other module trusts. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/path.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "kf_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_clean_follows_the_kubelets_rules(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/a/b", "/a/b"},
		{"/a//b/", "/a/b"},
		{"/a/./b/.", "/a/b"},
		{"/a/../b", "/b"},
		{"/../../a", "/a"},
		{"a/b", "/a/b"},
		{"", "/"},
		{"/", "/"},
		{"..", "/"},
		{"/a/..", "/"},
		{"/a/b/../..", "/"},
		{"//nono//", "/nono"},
		{"./x/../nono", "/nono"},
		{"/a/...", "/a/..."},
		{"/.nono", "/.nono"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		char out[64] = "";

		assert_true(kf_path_clean(cases[i].in, out, sizeof(out)));
		assert_string_equal(out, cases[i].out);
		if (cases[i].in[0] != '/')
			continue;
		(void)snprintf(out, sizeof(out), "%s", cases[i].in);
		assert_true(kf_path_clean(out, out, sizeof(out)));
		assert_string_equal(out, cases[i].out);
	}
}

static void path_clean_refuses_what_does_not_fit(void **state)
{
	char out[4] = "abc";

	(void)state;
	assert_false(kf_path_clean("/abcd", out, sizeof(out)));
	assert_string_equal(out, "abc");
}

static void path_under_compares_whole_components(void **state)
{
	(void)state;
	assert_true(kf_path_under("/run/secrets", "/run/secrets"));
	assert_true(kf_path_under("/run/secrets/x", "/run/secrets"));
	assert_false(kf_path_under("/run/secretsx", "/run/secrets"));
	assert_false(kf_path_under("/run", "/run/secrets"));
	assert_true(kf_path_under("/anything", "/"));
}

static void sha256_matches_the_standards_vectors(void **state)
{
	static const struct {
		const char *in, *hex;
	} cases[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char hex[KF_SHA256_HEX + 1];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		kf_sha256_hex(cases[i].in, strlen(cases[i].in), hex);
		assert_string_equal(hex, cases[i].hex);
	}
}

static void utf8_refuses_overlong_surrogate_and_cut_forms(void **state)
{
	(void)state;
	assert_true(kf_utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
	assert_false(kf_utf8_valid("\xc0\x80", 2));
	assert_false(kf_utf8_valid("\xed\xa0\x80", 3));
	assert_false(kf_utf8_valid("\xe2\x82", 2));
	assert_false(kf_utf8_valid("\xf4\x90\x80\x80", 4));
}

static void buf_escapes_json_and_reports_overflow_once(void **state)
{
	struct kf_buf buf = KF_BUF_INIT(64);
	char *s;

	(void)state;
	kf_buf_add_json(&buf, "a\"\\\n\x01\xff\xc3\xa9");
	s = kf_buf_take(&buf);
	assert_string_equal(s, "a\\\"\\\\\\n\\u0001\\ufffd\xc3\xa9");
	free(s);
	for (int i = 0; i < 10; i++)
		kf_buf_addf(&buf, "%s", "1234567890");
	assert_true(buf.failed);
	assert_null(kf_buf_take(&buf));
}

static void arena_honours_its_limit_and_reuses_memory(void **state)
{
	struct kf_arena arena;
	char *first;

	(void)state;
	kf_arena_init(&arena, 1000);
	first = kf_arena_alloc(&arena, 600);
	assert_non_null(first);
	memset(first, 0xff, 600);
	assert_null(kf_arena_alloc(&arena, 600));
	assert_null(kf_arena_calloc(&arena, SIZE_MAX / 2, 3));
	kf_arena_reset(&arena);
	assert_ptr_equal(kf_arena_alloc(&arena, 600), first);
	assert_int_equal(first[599], 0);
	kf_arena_done(&arena);
}

static void error_is_cut_not_overrun_and_keeps_a_code(void **state)
{
	struct kf_err err = {0};
	char big[2 * KF_ERR_MSG_MAX];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	errno = 0;
	assert_int_equal(kf_fail_sys(&err, "%s", big), -1);
	assert_int_not_equal(err.code, 0);
	assert_int_equal(strlen(err.msg), KF_ERR_MSG_MAX - 1);
	assert_string_equal(err.msg + KF_ERR_MSG_MAX - 4, "...");
	assert_int_equal(kf_fail(&err, ENOENT, "inner"), -1);
	assert_int_equal(kf_fail_wrap(&err, "outer %d", 1), -1);
	assert_string_equal(err.msg, "outer 1: inner");
	assert_int_equal(err.code, ENOENT);
}

static void escape_leaves_only_what_shows_as_itself(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", ""},
		{"plain ~ \u00e9\u20ac\U0001f600", "plain ~ \u00e9\u20ac\U0001f600"},
		{"\033[2J", "\\x1b[2J"},
		{"a\nb\r\tc\177", "a\\x0ab\\x0d\\x09c\\x7f"},
		{"\x9b"
		 "2J",
		 "\\x9b"
		 "2J"},
		{"\xc2\x9b", "\\xc2\\x9b"},
		{"\xe2\x82", "\\xe2\\x82"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"a\u202eb", "a\\xe2\\x80\\xaeb"},
		{"\u200b\u2028\u2066\ufeff", "\\xe2\\x80\\x8b\\xe2\\x80\\xa8\\xe2\\x81\\xa6"
					     "\\xef\\xbb\\xbf"},
		{"\U000e0041", "\\xf3\\xa0\\x81\\x81"},
		{"\\x1b stays", "\\x1b stays"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		char out[128];

		assert_int_equal(kf_escape(out, sizeof(out), rows[i].in, strlen(rows[i].in)),
				 strlen(rows[i].out));
		assert_string_equal(out, rows[i].out);
	}
}

/* Every pair of bytes behind and before others, and every size of the output. */
static void escape_is_never_raw_cut_or_overrun(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 0x10000; c++) {
		const char in[] = {'a', (char)(c >> 8), (char)(c & 255), (char)0xa8, 'z'};
		char out[32], again[32];
		size_t n = kf_escape(out, sizeof(out), in, sizeof(in));

		assert_int_equal(strlen(out), n);
		assert_true(kf_utf8_valid(out, n));
		for (size_t i = 0; i < n; i++)
			assert_true((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
		assert_int_equal(kf_escape(again, sizeof(again), out, n), n);
		assert_string_equal(again, out);
	}
	for (size_t size = 1; size < 24; size++) {
		const char in[] = "a\u20ac\033\u202eb";
		char *out = malloc(size); /* exactly, for AddressSanitizer */

		assert_non_null(out);
		assert_int_equal(kf_escape(out, size, in, strlen(in)), 1 + 3 + 4 + 12 + 1);
		assert_true(strlen(out) < size);
		assert_int_equal(strncmp("a\u20ac\\x1b\\xe2\\x80\\xaeb", out, strlen(out)), 0);
		assert_true(kf_utf8_valid(out, strlen(out)));
		free(out);
	}
}

static void messages_are_one_line_whoever_named_the_object(void **state)
{
	struct kf_buf buf = KF_BUF_INIT(1024 * 1024);
	struct kf_err err = {0};
	char big[100000];

	(void)state;
	(void)kf_fail(&err, EINVAL, "'%s'", "x\033[2J\nforged");
	assert_string_equal(err.msg, "'x\\x1b[2J\\x0aforged'");
	errno = ENOENT;
	(void)kf_fail_sys(&err, "open '%s'", "a\tb");
	assert_string_equal(err.msg, "open 'a\\x09b': No such file or directory");
	(void)kf_fail_wrap(&err, "%s", "\x9b");
	assert_string_equal(err.msg, "\\x9b: open 'a\\x09b': No such file or directory");
	memset(big, '\033', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	(void)kf_fail(&err, EINVAL, "%s", big);
	assert_true(strlen(err.msg) < KF_ERR_MSG_MAX);
	assert_string_equal(err.msg + strlen(err.msg) - 7, "\\x1b...");
	kf_buf_add_line(&buf, "%s: %s", "a\nb", big);
	assert_int_equal(buf.n, 1 + 4 + 1 + 2 + 4 * (sizeof(big) - 1) + 1);
	assert_int_equal(buf.p[buf.n - 1], '\n');
	assert_null(memchr(buf.p, '\n', buf.n - 1));
	kf_buf_reset(&buf);
	kf_buf_add_json(&buf, "\xc2\x9b\u202e\U000e0041\u20ac\x9b");
	assert_string_equal(buf.p, "\\u009b\\u202e\\udb40\\udc41\u20ac\\ufffd");
	kf_buf_done(&buf);
}

static void file_replace_is_atomic_and_sets_the_mode(void **state)
{
	char dir[] = "/tmp/kf-test-XXXXXX";
	struct kf_err err = {0};
	struct stat st;
	char *text = NULL;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(kf_file_replace(fd, "f", "one", 3, 0640, &err), 0);
	assert_int_equal(kf_file_replace(fd, "f", "two", 3, 0600, &err), 0);
	assert_int_equal(kf_file_slurp(fd, "f", 16, &text, NULL, &err), 0);
	assert_string_equal(text, "two");
	free(text);
	assert_int_equal(fstatat(fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = (char *)"untouched";
	assert_int_equal(kf_file_slurp(fd, "f", 2, &text, NULL, &err), -1);
	assert_int_equal(kf_file_slurp(fd, "absent", 2, &text, NULL, &err), -1);
	assert_string_equal(text, "untouched");
	assert_int_equal(kf_file_replace(fd, "a/b", "", 0, 0600, &err), -1);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0); /* nothing left behind */
}

static void trusted_open_refuses_links_strangers_and_loose_modes(void **state)
{
	char dir[] = "/tmp/kf-test-XXXXXX", path[128], link_path[128];
	struct kf_err err = {0};
	int fd = -1;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(link_path, sizeof(link_path), "%s/l", dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_int_equal(symlink("f", link_path), 0);
	assert_int_equal(kf_file_open_trusted(path, &fd, &err), 0);
	close(fd);
	fd = -1;
	assert_int_equal(kf_file_open_trusted(link_path, &fd, &err), -1);
	assert_int_equal(kf_file_open_trusted("f", &fd, &err), -1);
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(kf_file_open_trusted(path, &fd, &err), -1);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chown(path, 1000, 0), 0);
	assert_int_equal(kf_file_open_trusted(path, &fd, &err), -1);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(kf_file_open_trusted(path, &fd, &err), -1);
	assert_int_equal(fd, -1);
	unlink(path);
	unlink(link_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_clean_follows_the_kubelets_rules),
		cmocka_unit_test(path_clean_refuses_what_does_not_fit),
		cmocka_unit_test(path_under_compares_whole_components),
		cmocka_unit_test(sha256_matches_the_standards_vectors),
		cmocka_unit_test(utf8_refuses_overlong_surrogate_and_cut_forms),
		cmocka_unit_test(buf_escapes_json_and_reports_overflow_once),
		cmocka_unit_test(arena_honours_its_limit_and_reuses_memory),
		cmocka_unit_test(error_is_cut_not_overrun_and_keeps_a_code),
		cmocka_unit_test(escape_leaves_only_what_shows_as_itself),
		cmocka_unit_test(escape_is_never_raw_cut_or_overrun),
		cmocka_unit_test(messages_are_one_line_whoever_named_the_object),
		cmocka_unit_test(file_replace_is_atomic_and_sets_the_mode),
		cmocka_unit_test(trusted_open_refuses_links_strangers_and_loose_modes),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/config/refused: what the guard writes is what others read, whatever the names are; many
 * write at the same time. */
#include "base/cleanup.h"
#include "base/file.h"
#include "config/refused.h"
#include "kf_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS 4
#define LINES	300

static char dir[] = "/tmp/kf-refused-XXXXXX", path[64], old[64];

static void clear_files(void)
{
	(void)unlink(path);
	(void)unlink(old);
}

static char *read_log(const char *name)
{
	char *text = NULL;

	assert_int_equal(
		kf_file_slurp(AT_FDCWD, name, 4 * 1024 * 1024, &text, NULL, KF_ERR_IGNORED), 0);
	return text;
}

static void any_names_make_one_line(void **state)
{
	static const char *const odd[] = {
		"", "a\tb", "x\ny", "\xff\xfe", "\033[2J", "\\x09", "\342\200\256elif", "plain"};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(odd); i++) {
		const struct kf_refused refused = {.time = 1700000000 + (int64_t)i,
						   .command = "create",
						   .id = odd[i],
						   .namespace_ = odd[i],
						   .pod = odd[i],
						   .uid = NULL,
						   .container = odd[i],
						   .profile = "strict",
						   .reason = odd[i]};
		KF_FREE char *text = NULL;
		struct kf_refused got;

		clear_files();
		assert_int_equal(kf_refused_write(dir, &refused, KF_ERR_IGNORED), 0);
		text = read_log(path);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		text[strlen(text) - 1] = '\0';
		assert_true(kf_refused_parse(text, &got));
		assert_int_equal(got.time, refused.time);
		assert_string_equal(got.command, "create");
		assert_string_equal(got.uid, "");
		assert_string_equal(got.profile, "strict");
		assert_string_equal(got.id, got.reason);
		if (strpbrk(odd[i], "\t\n\033"))
			assert_string_not_equal(got.id, odd[i]);
		else if (i == 5 || i == 7)
			assert_string_equal(got.id, odd[i]);
	}
}

static void what_is_no_line_is_none(void **state)
{
	static const char *const wrong[] = {"",
					    "x",
					    "1",
					    "1\t",
					    "1\ta\tb\tc\td\te\tf\tg",
					    "1\ta\tb\tc\td\te\tf\tg\th\ti",
					    "a\tb\tc\td\te\tf\tg\th\ti"};
	struct kf_refused got;

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(wrong); i++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "%s", wrong[i]);
		assert_false(kf_refused_parse(line, &got));
	}
}

static size_t count_lines(const char *name)
{
	KF_FREE char *text = read_log(name);
	size_t n = 0;

	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		struct kf_refused got;

		*end = '\0';
		assert_true(kf_refused_parse(line, &got));
		n++;
	}
	return n;
}

static void many_write_whole_lines_and_the_file_stays_small(void **state)
{
	static char reason[200];
	struct stat st;
	int status;

	(void)state;
	clear_files();
	memset(reason, 'r', sizeof(reason) - 1);
	for (unsigned w = 0; w < WRITERS; w++) {
		if (fork())
			continue;
		for (unsigned i = 0; i < LINES; i++) {
			const struct kf_refused refused = {
				.time = 1, .command = "exec", .id = "id", .reason = reason};

			if (kf_refused_write(dir, &refused, KF_ERR_IGNORED) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned w = 0; w < WRITERS; w++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_lines(path) + (access(old, F_OK) == 0 ? count_lines(old) : 0),
			 WRITERS * LINES);
	for (unsigned i = 0; i < 4000; i++) {
		const struct kf_refused refused = {
			.time = 1, .command = "exec", .id = "id", .reason = reason};

		assert_int_equal(kf_refused_write(dir, &refused, KF_ERR_IGNORED), 0);
	}
	assert_int_equal(lstat(path, &st), 0);
	assert_true(st.st_size <= KF_REFUSED_MAX + KF_REFUSED_LINE);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lstat(old, &st), 0);
	assert_true(st.st_size <= KF_REFUSED_MAX + KF_REFUSED_LINE);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/" KF_REFUSED_LOG, dir);
	(void)snprintf(old, sizeof(old), "%s/" KF_REFUSED_OLD, dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	clear_files();
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_names_make_one_line),
		cmocka_unit_test(what_is_no_line_is_none),
		cmocka_unit_test(many_write_whole_lines_and_the_file_stays_small),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/config/refused: what the guard writes is what others read, whatever the names are; many
 * write at the same time.  src/nono-nri/guard_refused: each refusal is counted once, whenever the
 * file is put aside and the plugin ends. */
#include "base/cleanup.h"
#include "base/file.h"
#include "config/refused.h"
#include "kf_test.h"
#include "nono-nri/guard_refused.h"

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
static char state_path[] = "/tmp/kf-state-XXXXXX";

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

/* ---- the plugin's side ---- */

#define REFUSALS 6000
#define ROUNDS	 400

static unsigned written;		/* refusals, by number */
static unsigned char counted[REFUSALS]; /* how often each one was */
static int state_dir;

static void write_some(unsigned n)
{
	static char reason[200];
	char id[16];

	memset(reason, 'r', sizeof(reason) - 1);
	for (; n && written < REFUSALS; n--) {
		const struct kf_refused refused = {
			.time = 1, .command = "exec", .id = id, .reason = reason};

		(void)snprintf(id, sizeof(id), "%u", written++);
		assert_int_equal(kf_refused_write(dir, &refused, KF_ERR_IGNORED), 0);
	}
}

static void count_one(void *ctx, const struct kf_refused *refused, bool known)
{
	const unsigned id = (unsigned)strtoul(refused->id, NULL, 10);

	(void)ctx;
	assert_true(id < written);
	if (!known)
		counted[id]++;
	else
		assert_int_equal(counted[id], 1); /* by the process before */
}

/* As often as somebody asks. */
static void read_refused(struct kf_guard_refused *reader)
{
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(kf_guard_refused_read(reader, count_one, NULL, KF_ERR_IGNORED), 0);
}

static void assert_counted(const char *name)
{
	KF_FREE char *text = access(name, F_OK) == 0 ? read_log(name) : NULL;

	for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		struct kf_refused got;

		*end = '\0';
		assert_true(kf_refused_parse(line, &got));
		assert_int_equal(counted[strtoul(got.id, NULL, 10)], 1);
	}
}

static void forget_all(void)
{
	clear_files();
	(void)unlinkat(state_dir, ".refused", 0);
	memset(counted, 0, sizeof(counted));
	written = 0;
}

/* What is still in one of the files when the plugin looks was counted, and nothing twice. */
static void each_is_counted_once(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 6; seed++) {
		struct kf_guard_refused *reader = NULL;

		srand(seed);
		forget_all();
		for (unsigned i = 0; i < ROUNDS && written < REFUSALS; i++) {
			/* At times so many that the file is put aside, or more than once. */
			write_some((unsigned)rand() % (rand() % 8 ? 30 : 3000 / (seed + 1)));
			if (rand() % 3 == 0) {
				kf_guard_refused_free(reader);
				reader = NULL;
			}
			if (!reader && rand() % 2)
				reader = kf_guard_refused_new(dir, state_dir);
			if (!reader)
				continue;
			read_refused(reader);
			assert_counted(path);
			assert_counted(old);
		}
		kf_guard_refused_free(reader);
		for (unsigned i = 0; i < written; i++)
			assert_true(counted[i] <= 1);
	}
}

static unsigned count_counted(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REFUSALS; i++)
		n += counted[i];
	return n;
}

/* Without a place for the position, what was there before may have been counted already. */
static void without_a_state_directory_only_news_count(void **state)
{
	const int places[] = {-1, open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(places); i++) {
		struct kf_guard_refused *reader = kf_guard_refused_new(dir, places[i]);

		forget_all();
		write_some(10);
		memset(counted, 1, 10);
		/* What cannot be kept is an error once. */
		assert_int_equal(kf_guard_refused_read(reader, count_one, NULL, KF_ERR_IGNORED),
				 i ? -1 : 0);
		assert_int_equal(count_counted(), 10);
		write_some(5);
		read_refused(reader);
		assert_int_equal(count_counted(), 15);
		kf_guard_refused_free(reader);
	}
	(void)close(places[1]);
}

static void what_is_no_position_is_none(void **state)
{
	static const char *const wrong[] = {"", "x", "-1", "99999999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(wrong); i++) {
		struct kf_guard_refused *reader = kf_guard_refused_new(dir, state_dir);
		char text[86];
		int fd;

		forget_all();
		memset(text, ' ', sizeof(text));
		memcpy(text, wrong[i], strlen(wrong[i]));
		fd = openat(state_dir, ".refused", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(kf_write_all(fd, text, i ? sizeof(text) : 3, KF_ERR_IGNORED), 0);
		(void)close(fd);
		write_some(10);
		read_refused(reader);
		assert_int_equal(count_counted(), 10);
		kf_guard_refused_free(reader);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	if (!mkdtemp(state_path))
		return -1;
	state_dir = open(state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/" KF_REFUSED_LOG, dir);
	(void)snprintf(old, sizeof(old), "%s/" KF_REFUSED_OLD, dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	forget_all();
	(void)close(state_dir);
	return rmdir(dir) + rmdir(state_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_names_make_one_line),
		cmocka_unit_test(what_is_no_line_is_none),
		cmocka_unit_test(many_write_whole_lines_and_the_file_stays_small),
		cmocka_unit_test(each_is_counted_once),
		cmocka_unit_test(without_a_state_directory_only_news_count),
		cmocka_unit_test(what_is_no_position_is_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/event/watch, src/event/ready: who is told of a change, and the file that probes read. */
#include "base/cleanup.h"
#include "event/ready.h"
#include "event/watch.h"
#include "kf_test.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_MS 20
#define LONG_MS	 60000 /* nobody waits for it unless the test fails */

static char base[] = "/tmp/kf-watch-XXXXXX";

struct seen {
	struct event_base *loop;
	unsigned changes, late;
};

static void changed(void *ctx)
{
	struct seen *s = ctx;

	s->changes++;
	(void)event_base_loopbreak(s->loop);
}

static void too_late(evutil_socket_t fd, short what, void *ctx)
{
	struct seen *s = ctx;

	(void)fd;
	(void)what;
	s->late++;
	(void)event_base_loopbreak(s->loop);
}

static const char *under(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned at;
	char *path = paths[at++ % 4];

	(void)snprintf(path, PATH_MAX, "%s/%s", base, name);
	return path;
}

static void write_file(const char *name)
{
	KF_CLOSE int fd = open(under(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
}

/* Run the loop until a change is told, or @ms have passed. */
static void run(struct seen *s, long ms)
{
	struct event *end = evtimer_new(s->loop, too_late, s);

	assert_non_null(end);
	(void)event_add(end, &(struct timeval){ms / 1000, ms % 1000 * 1000});
	(void)event_base_dispatch(s->loop);
	event_free(end);
}

static void each_change_in_a_directory_is_told_once(void **state)
{
	struct seen s = {.loop = event_base_new()};
	struct kf_watch *watch;
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_watch_new(s.loop, QUIET_MS, changed, &s, &watch, &err), 0);
	assert_int_equal(kf_watch_add(watch, base, NULL, &err), 0);
	write_file("a");
	write_file("b");
	assert_int_equal(rename(under("a"), under("c")), 0);
	run(&s, LONG_MS);
	assert_int_equal(s.changes, 1);
	assert_int_equal(unlink(under("b")) | unlink(under("c")), 0);
	run(&s, LONG_MS);
	assert_int_equal(s.changes, 2);
	assert_int_equal(s.late, 0);
	kf_watch_free(watch);
	event_base_free(s.loop);
}

static void with_a_name_only_that_file_and_a_volumes_link_count(void **state)
{
	struct seen s = {.loop = event_base_new()};
	struct kf_watch *watch;
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_watch_new(s.loop, QUIET_MS, changed, &s, &watch, &err), 0);
	assert_int_equal(kf_watch_add(watch, base, "wanted", &err), 0);
	write_file("other");
	run(&s, 10L * QUIET_MS);
	assert_int_equal(s.changes, 0);
	write_file("wanted");
	run(&s, LONG_MS);
	assert_int_equal(s.changes, 1);
	assert_int_equal(symlink("x", under("..new")) | rename(under("..new"), under("..data")), 0);
	run(&s, LONG_MS);
	assert_int_equal(s.changes, 2);
	/* The same directory as a whole: now all of it counts. */
	assert_int_equal(kf_watch_add(watch, base, NULL, &err), 0);
	write_file("other");
	run(&s, LONG_MS);
	assert_int_equal(s.changes, 3);
	assert_int_equal(unlink(under("other")) | unlink(under("wanted")) | unlink(under("..data")),
			 0);
	kf_watch_free(watch);
	event_base_free(s.loop);
}

static void what_is_no_directory_is_an_error(void **state)
{
	struct seen s = {.loop = event_base_new()};
	struct kf_watch *watch;
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_watch_new(s.loop, QUIET_MS, changed, &s, &watch, &err), 0);
	assert_int_equal(kf_watch_add(watch, under("missing"), NULL, &err), -1);
	assert_non_null(strstr(err.msg, "missing"));
	write_file("file");
	assert_int_equal(kf_watch_add(watch, under("file"), NULL, &err), -1);
	assert_int_equal(unlink(under("file")), 0);
	kf_watch_free(watch);
	kf_watch_free(NULL);
	event_base_free(s.loop);
}

static void a_probe_believes_what_was_said_not_long_ago(void **state)
{
	const char *path = under("ready");
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_ready_check(path, &err), -1);
	assert_non_null(strstr(err.msg, "has not said anything yet"));
	assert_int_equal(kf_ready_write(path, true, 60, "all is well", &err), 0);
	assert_int_equal(kf_ready_check(path, &err), 0);
	assert_int_equal(kf_ready_write(path, false, 60, "the runtime is gone", &err), 0);
	assert_int_equal(kf_ready_check(path, &err), -1);
	assert_non_null(strstr(err.msg, "the runtime is gone"));
	write_file("ready");
	assert_int_equal(kf_ready_check(path, &err), -1);
	assert_non_null(strstr(err.msg, "is not the agent's"));
	assert_int_equal(kf_ready_write(under("missing/ready"), true, 60, "", &err), -1);
	assert_non_null(strstr(err.msg, "--ready-file"));
}

static void an_old_word_is_none(void **state)
{
	const char *path = under("ready");
	FILE *f = fopen(path, "w");
	struct kf_err err;

	(void)state;
	assert_non_null(f);
	/* Said when the machine started, for the next second. */
	assert_true(fprintf(f, "1 0 1 all is well\n") > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(kf_ready_check(path, &err), -1);
	assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_change_in_a_directory_is_told_once),
		cmocka_unit_test(with_a_name_only_that_file_and_a_volumes_link_count),
		cmocka_unit_test(what_is_no_directory_is_an_error),
		cmocka_unit_test(a_probe_believes_what_was_said_not_long_ago),
		cmocka_unit_test(an_old_word_is_none),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

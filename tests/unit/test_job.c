/* SPDX-License-Identifier: Apache-2.0 */
/* src/event/job: what a loop that cannot fork has done for it. */
#include "base/cleanup.h"
#include "event/job.h"
#include "kf_test.h"
#include "valgrind.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 100000 /* more than a pipe holds */

enum { DOUBLE, CRASH, HANG, LONG };

static void work_double(const void *ctx, const void *order, void *result)
{
	int n;

	memcpy(&n, order, sizeof(n));
	n = 2 * n + *(const int *)ctx;
	memcpy(result, &n, sizeof(n));
}

static void work_crash(const void *ctx, const void *order, void *result)
{
	(void)ctx;
	(void)order;
	(void)result;
	_exit(0);
}

static void work_hang(const void *ctx, const void *order, void *result)
{
	(void)ctx;
	(void)order;
	(void)result;
	for (;;)
		(void)pause();
}

static void work_long(const void *ctx, const void *order, void *result)
{
	(void)ctx;
	(void)order;
	memset(result, 'x', MANY);
}

static const struct kf_job_kind kinds[] = {
	[DOUBLE] = {sizeof(int), sizeof(int), work_double},
	[CRASH] = {0, 1, work_crash},
	[HANG] = {0, 1, work_hang},
	[LONG] = {0, MANY, work_long},
};

struct outcome {
	struct event_base *base;
	unsigned ended, without;
	int number;
	bool whole;
};

static void done_number(void *ctx, const void *result)
{
	struct outcome *o = ctx;

	o->ended++;
	if (result)
		memcpy(&o->number, result, sizeof(o->number));
	else
		o->without++;
}

static void done_long(void *ctx, const void *result)
{
	const char *p = result;
	struct outcome *o = ctx;

	o->ended++;
	o->whole = p && p[0] == 'x' && p[MANY - 1] == 'x';
}

static int ten = 10;

static int set_up(void **state)
{
	static struct kf_jobs jobs;
	struct kf_err err;

	*state = &jobs;
	return kf_jobs_start(kinds, KF_ARRAY_SIZE(kinds), &ten, &jobs, &err);
}

static int tear_down(void **state)
{
	kf_jobs_stop(*state);
	return 0;
}

static void run(struct outcome *o, unsigned ended)
{
	while (o->ended < ended)
		assert_int_equal(event_base_loop(o->base, EVLOOP_ONCE), 0);
}

static void jobs_do_what_is_ordered_at_the_same_time(void **state)
{
	struct outcome o = {.base = event_base_new()};
	struct kf_job hang = {0}, job = {0}, big = {0};
	struct kf_err err;
	int n = 4;

	assert_int_equal(kf_job_start(*state, HANG, NULL, &hang, o.base, done_number, &o, &err), 0);
	assert_int_equal(kf_job_start(*state, DOUBLE, &n, &job, o.base, done_number, &o, &err), 0);
	assert_int_equal(kf_job_start(*state, LONG, NULL, &big, o.base, done_long, &o, &err), 0);
	run(&o, 2);
	assert_int_equal(o.number, 18);
	assert_true(o.whole && hang.running && !job.running && !big.running);
	kf_job_drop(&hang);
	assert_int_equal(o.ended, 2);
	event_base_free(o.base);
}

static void a_job_that_dies_has_no_result_and_harms_no_other(void **state)
{
	struct outcome o = {.base = event_base_new()};
	struct kf_job job = {0};
	struct kf_err err;
	int n = 1;

	assert_int_equal(kf_job_start(*state, CRASH, NULL, &job, o.base, done_number, &o, &err), 0);
	run(&o, 1);
	assert_int_equal(o.without, 1);
	assert_int_equal(kf_job_start(*state, DOUBLE, &n, &job, o.base, done_number, &o, &err), 0);
	run(&o, 2);
	assert_int_equal(o.number, 12);
	event_base_free(o.base);
}

/* What a loop that somebody has taken over might send. */
static void orders_of_another_size_or_kind_start_nothing(void **state)
{
	struct kf_job_kind wrong[KF_ARRAY_SIZE(kinds) + 1];
	struct kf_jobs taken = *(struct kf_jobs *)*state;
	struct outcome o = {.base = event_base_new()};
	struct kf_job job = {0};
	struct kf_err err;
	int n[2] = {1, 2};

	memcpy(wrong, kinds, sizeof(kinds));
	wrong[DOUBLE].order = sizeof(n);
	wrong[KF_ARRAY_SIZE(kinds)] = kinds[DOUBLE];
	taken.kinds = wrong;
	assert_int_equal(kf_job_start(&taken, DOUBLE, n, &job, o.base, done_number, &o, &err), 0);
	run(&o, 1);
	assert_int_equal(kf_job_start(&taken, KF_ARRAY_SIZE(kinds), n, &job, o.base, done_number,
				      &o, &err),
			 0);
	run(&o, 2);
	assert_int_equal(o.without, 2);
	assert_int_equal(kf_job_start(*state, DOUBLE, n, &job, o.base, done_number, &o, &err), 0);
	run(&o, 3);
	assert_int_equal(o.number, 12);
	event_base_free(o.base);
}

static void jobs_end_with_what_starts_them(void **state)
{
	struct outcome o = {.base = event_base_new()};
	struct kf_jobs *jobs = *state;
	struct kf_job hang = {0}, late = {0};
	struct kf_err err;

	assert_int_equal(kf_job_start(jobs, HANG, NULL, &hang, o.base, done_number, &o, &err), 0);
	assert_int_equal(kill(jobs->starter.pid, SIGKILL), 0);
	run(&o, 1); /* the hanging job's end of the pipe is closed */
	assert_int_equal(o.without, 1);
	assert_int_equal(kf_job_start(jobs, HANG, NULL, &late, o.base, done_number, &o, &err), -1);
	assert_false(late.running);
	event_base_free(o.base);
}

/* No more descriptors than there are now, but @more. */
static void limit_descriptors(rlim_t more, struct rlimit *ret_before)
{
	struct rlimit now;
	int next = dup(0);

	assert_true(next >= 0 && close(next) == 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_before), 0);
	now = *ret_before;
	now.rlim_cur = (rlim_t)next + more;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static void without_descriptors_nothing_is_started(void **state)
{
	const struct kf_job_kind large = {.order = 1024 * 1024};
	struct kf_jobs *jobs = *state, other = {.starter.fd = -1};
	struct outcome o = {0};
	struct rlimit before;
	struct kf_job job = {0};
	struct kf_err err;
	int n = 1;

	if (under_valgrind())
		skip();
	o.base = event_base_new();
	limit_descriptors(1, &before);
	assert_int_equal(kf_job_start(jobs, DOUBLE, &n, &job, o.base, done_number, &o, &err), -1);
	assert_non_null(strstr(err.msg, "job: pipe: "));
	assert_int_equal(kf_jobs_start(kinds, 1, NULL, &other, &err), -1);
	assert_non_null(strstr(err.msg, "jobs: socketpair: "));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(kf_jobs_start(&large, 1, NULL, &other, &err), -1);
	assert_non_null(strstr(err.msg, "too large"));
	kf_jobs_stop(&other); /* there is none */
	/* Control. */
	assert_int_equal(kf_job_start(jobs, DOUBLE, &n, &job, o.base, done_number, &o, &err), 0);
	run(&o, 1);
	event_base_free(o.base);
}

static void a_descriptor_goes_with_its_message_only(void **state)
{
	int pair[2], fd = 7;
	char got[8];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(kf_child_send(pair[0], &(struct iovec){(char *)"abc", 3}, 1, 0), 3);
	assert_int_equal(kf_child_send(pair[0], &(struct iovec){(char *)"d", 1}, 1, -1), 1);
	assert_int_equal(
		kf_child_send(pair[0], &(struct iovec){(char *)"too long for it", 15}, 1, 0), 15);
	assert_int_equal(kf_child_receive(pair[1], got, sizeof(got), 0, &fd), 3);
	assert_true(fd > 2 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	(void)close(fd);
	assert_int_equal(kf_child_receive(pair[1], got, sizeof(got), 0, &fd), 1);
	assert_int_equal(fd, -1);
	/* What was cut off is no message, and leaves no descriptor. */
	assert_int_equal(kf_child_receive(pair[1], got, sizeof(got), 0, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(kf_child_receive(pair[1], got, sizeof(got), 0, &fd), 0);
	assert_int_equal(kf_child_send(pair[1], &(struct iovec){(char *)"x", 1}, 1, -1), -1);
	(void)close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_do_what_is_ordered_at_the_same_time, set_up,
						tear_down),
		cmocka_unit_test(a_descriptor_goes_with_its_message_only),
		cmocka_unit_test_setup_teardown(without_descriptors_nothing_is_started, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_job_that_dies_has_no_result_and_harms_no_other,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(orders_of_another_size_or_kind_start_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(jobs_end_with_what_starts_them, set_up, tear_down),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/observe/http: what the server says to whom, on a socket and a loop of the test's. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "observe/http.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char base[] = "/tmp/kf-http-XXXXXX", path[64];
static const char *not_ready;
static size_t flood;
static struct event_base *loop;
static struct kf_http *http;

static const char *say_not_ready(void *ctx)
{
	(void)ctx;
	return not_ready;
}

static void say_connection(void *ctx, struct kf_buf *out)
{
	(void)ctx;
	kf_buf_add_line(out, "runtime: %s", "test");
	for (size_t i = 0; i < flood; i++)
		kf_buf_adds(out, "more than there is room for\n");
}

static void say_metrics(void *ctx, struct kf_buf *out)
{
	(void)ctx;
	kf_buf_adds(out, "nono_up 1\n");
	for (size_t i = 0; i < 100 * flood; i++)
		kf_buf_adds(out, "more than there is room for\n");
}

static void say_trouble(void *ctx, const struct kf_err *err)
{
	(void)ctx;
	(void)err;
}

static const struct kf_http_source source = {say_not_ready, say_connection, say_metrics,
					     say_trouble, NULL};

static int connect_to_server(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

static void give_up(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	*(bool *)ctx = true;
	(void)event_base_loopbreak(loop);
}

/* The whole answer to @request, into @answer. */
static void ask(const char *request, char *answer, size_t size)
{
	KF_CLOSE int fd = connect_to_server();
	bool late = false;
	struct event *end = evtimer_new(loop, give_up, &late);
	size_t n = 0;
	ssize_t got = -1;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	(void)event_add(end, &(struct timeval){60, 0});
	while (!late && n + 1 < size && got != 0) {
		got = read(fd, answer + n, size - n - 1);
		n += got > 0 ? (size_t)got : 0;
		if (got < 0)
			(void)event_base_loop(loop, EVLOOP_ONCE);
	}
	answer[n] = '\0';
	event_free(end);
	assert_false(late);
}

static void each_path_has_its_answer(void **state)
{
	static const struct {
		const char *request, *status, *body;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "/healthz\n/readyz\n/metrics\n"},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "ok\n"},
		{"GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK",
		 "ok\nruntime: test\n"},
		{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "nono_up 1\n"},
		{"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", ""},
		{"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "404 ", NULL},
		{"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405 ", NULL},
		{"GET  \r\n\r\n", "400 ", NULL},
	};
	char answer[8192], status[32];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		const char *body;

		ask(cases[i].request, answer, sizeof(answer));
		(void)snprintf(status, sizeof(status), "HTTP/1.1 %s", cases[i].status);
		assert_memory_equal(answer, status, strlen(status));
		body = strstr(answer, "\r\n\r\n");
		assert_non_null(body);
		if (cases[i].body)
			assert_string_equal(body + 4, cases[i].body);
		assert_non_null(strstr(answer, "Connection: close\r\n"));
	}
}

static void who_is_not_ready_says_why(void **state)
{
	char answer[8192];

	(void)state;
	not_ready = "not connected to the runtime";
	ask("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
	assert_non_null(
		strstr(answer, "\r\n\r\nnot ready: not connected to the runtime\nruntime: test\n"));
	not_ready = NULL;
}

static void what_does_not_fit_is_an_error_and_no_part_of_it(void **state)
{
	static const char *const paths[] = {"/readyz", "/metrics"};
	char answer[8192], request[64];

	(void)state;
	flood = 1000;
	for (size_t i = 0; i < KF_ARRAY_SIZE(paths); i++) {
		(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
			       paths[i]);
		ask(request, answer, sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 500 ", 13);
		assert_null(strstr(answer, "more than"));
	}
	flood = 0;
}

static void a_request_that_does_not_end_is_refused(void **state)
{
	static char request[9000];
	char answer[8192];

	(void)state;
	memset(request, 'x', sizeof(request) - 1);
	memcpy(request, "GET / HTTP/1.1\r\nA: ", 19);
	ask(request, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 4", 10);
}

/* More than it holds: those that ask nothing make room for the one that does. */
static void who_asks_nothing_is_in_nobodys_way(void **state)
{
	int idle[300];
	char answer[8192];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(idle); i++) {
		idle[i] = connect_to_server();
		(void)event_base_loop(loop, EVLOOP_NONBLOCK);
	}
	ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
	for (size_t i = 0; i < KF_ARRAY_SIZE(idle); i++)
		(void)close(idle[i]);
	(void)event_base_loop(loop, EVLOOP_NONBLOCK);
}

static void addresses_are_checked(void **state)
{
	static const char *const wrong[] = {"",	     "127.0.0.1", "127.0.0.1:0", "name:80",
					    "[::1]", ":x",	  "192.0.2.1:9"};
	static char long_path[200];
	struct kf_http *other;
	struct kf_err err;

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(wrong); i++) {
		assert_int_equal(kf_http_listen(loop, wrong[i], &source, &other, &err), -1);
		assert_int_not_equal(err.code, 0);
	}
	memset(long_path, '/', sizeof(long_path) - 1);
	assert_int_equal(kf_http_listen(loop, long_path, &source, &other, &err), -1);
	assert_int_equal(err.code, ENAMETOOLONG);
	kf_http_free(NULL);
}

static int set_up(void **state)
{
	struct kf_err err;

	(void)state;
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", base);
	loop = event_base_new();
	return loop ? kf_http_listen(loop, path, &source, &http, &err) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	kf_http_free(http);
	event_base_free(loop);
	(void)unlink(path);
	return rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_path_has_its_answer),
		cmocka_unit_test(who_is_not_ready_says_why),
		cmocka_unit_test(what_does_not_fit_is_an_error_and_no_part_of_it),
		cmocka_unit_test(a_request_that_does_not_end_is_refused),
		cmocka_unit_test(who_asks_nothing_is_in_nobodys_way),
		cmocka_unit_test(addresses_are_checked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

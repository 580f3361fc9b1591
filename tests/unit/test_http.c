/* SPDX-License-Identifier: Apache-2.0 */
/* src/observe/http: what the server says to whom, on a socket and a loop of the test's. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "observe/http.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* A page of parts whose numbers are in them; how many are begun and not ended. */
#define PARTS 100
static unsigned open_pages;
static bool no_page;

static void *begin_parts(void *ctx)
{
	unsigned *at = no_page ? NULL : calloc(1, sizeof(*at));

	(void)ctx;
	open_pages += at != NULL;
	return at;
}

static bool next_part(void *answer, struct kf_buf *out)
{
	unsigned *at = answer;

	/* Now and then there is nothing to say, also at the end. */
	if (++*at % 10)
		kf_buf_addf(out, "%u\n", *at);
	return *at < PARTS;
}

static void end_parts(void *answer)
{
	open_pages--;
	free(answer);
}

static const struct kf_http_page pages[] = {
	{"/parts", "text/x-parts", "X-More: yes\r\n", begin_parts, next_part, end_parts},
	{"/", "text/html", NULL, begin_parts, next_part, end_parts},
};
static struct kf_http_source source = {.not_ready = say_not_ready,
				       .connection = say_connection,
				       .metrics = say_metrics,
				       .trouble = say_trouble,
				       .pages = pages,
				       .npages = KF_ARRAY_SIZE(pages)};

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

static int start_server(enum kf_http_audience audience)
{
	struct kf_err err;

	kf_http_free(http);
	http = NULL;
	source.audience = audience;
	return kf_http_listen(loop, path, &source, &http, &err);
}

#define PARTS_REQUEST "GET /parts HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_page_is_all_its_parts(void **state)
{
	char answer[8192], body[1024] = "";
	size_t n = 0;

	(void)state;
	assert_int_equal(start_server(KF_HTTP_LOOPBACK), 0);
	for (unsigned i = 1; i <= PARTS; i++)
		if (i % 10)
			n += (size_t)snprintf(body + n, sizeof(body) - n, "%u\n", i);
	ask(PARTS_REQUEST, answer, sizeof(answer));
	assert_ptr_equal(strstr(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/x-parts\r\n"),
			 answer);
	assert_non_null(strstr(answer, "X-More: yes\r\n"));
	assert_non_null(strstr(answer, "Cache-Control: no-store\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, body);
	ask("HEAD /parts HTTP/1.1\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, "");
	no_page = true;
	ask(PARTS_REQUEST, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
	assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
	no_page = false;
	assert_int_equal(open_pages, 0);
}

static void a_page_is_for_its_audience(void **state)
{
	static const struct {
		enum kf_http_audience audience;
		const char *host, *parts, *index;
	} cases[] = {
		{KF_HTTP_NOBODY, "localhost", "404", "/healthz\n"},
		{KF_HTTP_LOOPBACK, "localhost", "200", "1\n2\n"},
		{KF_HTTP_LOOPBACK, "[::1]:80", "200", "1\n2\n"},
		{KF_HTTP_LOOPBACK, "evil.example", "403", "/healthz\n"},
		{KF_HTTP_ALL, "evil.example", "200", "1\n2\n"},
	};
	char answer[8192], request[128];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		assert_int_equal(start_server(cases[i].audience), 0);
		(void)snprintf(request, sizeof(request), "GET /parts HTTP/1.1\r\nHost: %s\r\n\r\n",
			       cases[i].host);
		ask(request, answer, sizeof(answer));
		assert_memory_equal(answer + 9, cases[i].parts, 3);
		(void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
			       cases[i].host);
		ask(request, answer, sizeof(answer));
		assert_memory_equal(answer + 9, "200", 3);
		assert_memory_equal(strstr(answer, "\r\n\r\n") + 4, cases[i].index,
				    strlen(cases[i].index));
	}
	assert_int_equal(start_server(KF_HTTP_LOOPBACK), 0);
}

/* Who asks for a page and goes, or does not take it, holds one of a few places. */
static void pages_have_a_limit_and_an_end(void **state)
{
	int clients[20];
	char answer[8192];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(clients); i++) {
		clients[i] = connect_to_server();
		assert_true(write(clients[i], PARTS_REQUEST, strlen(PARTS_REQUEST)) > 0);
	}
	/* One turn: accepted, and begun, but no more than there is room for. */
	for (unsigned i = 0; i < 4; i++)
		(void)event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_in_range(open_pages, 1, 8);
	for (size_t i = 0; i < KF_ARRAY_SIZE(clients); i++)
		(void)close(clients[i]);
	while (open_pages)
		(void)event_base_loop(loop, EVLOOP_NONBLOCK);
	ask(PARTS_REQUEST, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
	/* The server's end is that of its pages. */
	clients[0] = connect_to_server();
	assert_true(write(clients[0], PARTS_REQUEST, strlen(PARTS_REQUEST)) > 0);
	while (!open_pages)
		(void)event_base_loop(loop, EVLOOP_NONBLOCK);
	assert_int_equal(start_server(KF_HTTP_LOOPBACK), 0);
	assert_int_equal(open_pages, 0);
	(void)close(clients[0]);
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
	(void)state;
	if (!mkdtemp(base))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", base);
	loop = event_base_new();
	return loop ? start_server(KF_HTTP_NOBODY) : -1;
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
		cmocka_unit_test(a_page_is_all_its_parts),
		cmocka_unit_test(a_page_is_for_its_audience),
		cmocka_unit_test(pages_have_a_limit_and_an_end),
		cmocka_unit_test(addresses_are_checked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kf_test.h"
#include "observe/http_request.h"

#include <stdio.h>
#include <string.h>

static void test_requests_by_status(void **state)
{
	static const struct {
		const char *text;
		int status;
		const char *path;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 200, "/"},
		{"GET /healthz HTTP/1.0\n\n", 200, "/healthz"},
		{"HEAD /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 200, "/metrics"},
		{"GET http://node:9464/readyz#x HTTP/1.1\r\n\r\n", 200, "/readyz"},
		{"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200, "/"},
		{"", 0, NULL},
		{"GET / HTTP/1.1\r\nHost: x\r\n", 0, NULL},
		{"POST / HTTP/1.1\r\n", 0, NULL},
		{"POST / HTTP/1.1\r\n\r\n", 405, NULL},
		{"GET / HTTP/1.1\r\nContent-Length: 01\r\n\r\n", 413, NULL},
		{"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 413, NULL},
		{"\r\n", 400, NULL},
		{"GET /\r\n\r\n", 400, NULL},
		{"GET / HTTP/2.0\r\n\r\n", 400, NULL},
		{"GET  / HTTP/1.1\r\n\r\n", 400, NULL},
		{"GET healthz HTTP/1.1\r\n\r\n", 400, NULL},
		{"GET http://node HTTP/1.1\r\n\r\n", 400, NULL},
		{"GET /\033[2J HTTP/1.1\r\n\r\n", 400, NULL},
		{"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, NULL},
		{"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400, NULL},
		{"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kf_http_request r = {0};

		assert_int_equal(kf_http_request_parse(rows[i].text, strlen(rows[i].text), &r),
				 rows[i].status);
		if (!rows[i].path) {
			assert_null(r.path);
			continue;
		}
		assert_int_equal(r.npath, strlen(rows[i].path));
		assert_memory_equal(r.path, rows[i].path, r.npath);
		assert_int_equal(r.head, rows[i].text[0] == 'H');
	}
}

/* A name that anybody's name server may give any address to is told from an address. */
static void test_hosts_that_nobody_else_can_name(void **state)
{
	static const struct {
		const char *host;
		bool local;
	} rows[] = {
		{"", true},
		{"localhost", true},
		{" LocalHost:9464 ", true},
		{"127.0.0.1", true},
		{"10.1.2.3:9464", true},
		{"[::1]", true},
		{"[::1]:9464", true},
		{"[fe80::1.2.3.4]", true},
		{"localhost.example", false},
		{"example", false},
		{"127.0.0.1.example:9464", false},
		{"127.0.0.1:9464.example", false},
		{"127.0.0.1:80a", false},
		{"[::1].example", false},
		{"[::1]:x", false},
		{"[]", false},
		{"[", false},
		{":9464", false},
		{"::1", false},
		{"1.2.3.4 example", false},
		{"localhost\t.x", false},
	};
	struct kf_http_request r = {0};

	(void)state;
	assert_true(kf_http_request_by_address(&r));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost:%s\r\n\r\n",
			       rows[i].host);
		assert_int_equal(kf_http_request_parse(text, strlen(text), &r), 200);
		assert_int_equal(kf_http_request_by_address(&r), rows[i].local);
	}
}

static void test_nul_is_no_end_of_text(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n";
	struct kf_http_request r;

	(void)state;
	assert_int_equal(kf_http_request_parse(text, sizeof(text) - 1, &r), 400);
}

static void test_too_long_is_refused_when_full(void **state)
{
	static char text[KF_HTTP_REQUEST_MAX];
	struct kf_http_request r;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
	assert_int_equal(kf_http_request_parse(text, sizeof(text) - 1, &r), 0);
	assert_int_equal(kf_http_request_parse(text, sizeof(text), &r), 431);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	assert_int_equal(kf_http_request_parse(text, sizeof(text), &r), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_by_status),
		cmocka_unit_test(test_hosts_that_nobody_else_can_name),
		cmocka_unit_test(test_nul_is_no_end_of_text),
		cmocka_unit_test(test_too_long_is_refused_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

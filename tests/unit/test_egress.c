/* SPDX-License-Identifier: Apache-2.0 */
/* The egress broker's rules, names, addresses and decisions, without a socket; heads, hellos and
 * bodies are also in tests/egress and tests/fuzz. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "egress/address.h"
#include "egress/body.h"
#include "egress/decide.h"
#include "egress/dns.h"
#include "egress/name.h"
#include "egress/reason.h"
#include "kf_test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define HEAD "nono-egress 1\nname test\n"

static int parse_lines(const char *lines, struct kf_egress_rules *ret, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(1 << 20);

	kf_buf_adds(&text, lines);
	kf_egress_rules_seal(&text);
	assert_false(text.failed);
	return kf_egress_rules_parse(text.p, text.n, ret, err);
}

static void parse_good(const char *lines, struct kf_egress_rules *ret)
{
	struct kf_err err = {0};

	if (parse_lines(lines, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_all_lines_are_read(void **state)
{
	struct kf_egress_rules r;

	(void)state;
	parse_good(HEAD "ask us\nhost a.test 80,443,8000-8010\nallow GET,HEAD /x\nhost *.b.test 1\n"
			"deny c.test\ngrant 10.0.0.0/8\nrefuse fd00::/8 node\n"
			"route /r https://d.test:8443/base/\ncredential 3 key X-Key basic me\n"
			"credential 0 key Other plain\nallow * /\nenv A_URL\nplaceholder A_KEY\n",
		   &r);
	assert_string_equal(r.profile, "test");
	assert_string_equal(r.ask, "us");
	assert_int_equal(r.hosts->nports, 3);
	assert_int_equal(r.hosts->ports[2].last, 8010);
	assert_string_equal(r.hosts->allows->prefix, "/x");
	assert_true(r.hosts->next->suffix);
	assert_null(r.hosts->next->allows);
	assert_string_equal(r.denies->name, "c.test");
	assert_int_equal(r.ranges->bits, 104);
	assert_true(r.ranges->grant);
	assert_string_equal(r.ranges->next->what, "node");
	assert_string_equal(r.routes->host, "d.test");
	assert_int_equal(r.routes->port, 8443);
	assert_string_equal(r.routes->upstream, "/base");
	assert_int_equal(r.routes->credentials->form, KF_EGRESS_BASIC);
	assert_string_equal(r.routes->credentials->user, "me");
	assert_int_equal(r.ndirs, 4);
	assert_true(r.routes->env->next->placeholder);
	kf_egress_rules_done(&r);
}

static void test_wrong_lines_are_named(void **state)
{
	static const char *const rows[][2] = {
		{"what is this", "not understood"},
		{"host a.test", "is not a port"},
		{"host a.test 0", "is not a port"},
		{"host a.test 80,", "is not a port"},
		{"host a.test 9-8", "is not a port"},
		{"host a.test 65536", "is not a port"},
		{"host A.test 80", "is not a host"},
		{"host *.10.0.0.1 80", "is not a host"},
		{"host 127.1 80", "is not a host"},
		{"host a..test 80", "is not a host"},
		{"host a.test. 80", "is not a host"},
		{"host  a.test 80", "needs a value"},
		{"host a.test 80 ", "space at the end"},
		{"deny", "needs a value"},
		{"grant 10.0.0.0", "not ADDRESS/BITS"},
		{"grant 10.0.0.0/33", "not ADDRESS/BITS"},
		{"grant 10.0/8", "not ADDRESS/BITS"},
		{"refuse 10.0.0.0/8", "needs a word"},
		{"allow * /", "belongs below a host or a route"},
		{"host a.test 80\ncredential 0 k h plain", "belongs below a route"},
		{"host a.test 80\nallow * x", "not a plain path"},
		{"host a.test 80\nallow * /a/../b", "not a plain path"},
		{"route /a http://a.test", "by TLS only"},
		{"route /a https://1.2.3.4", "not a host's name"},
		{"route /a/ https://a.test", "not a plain path"},
		{"route / https://a.test", "not a plain path"},
		{"route /a https://a.test\nroute /a https://b.test", "is there twice"},
		{"route /a https://a.test\ncredential 16 k h plain", "not the index"},
		{"route /a https://a.test\ncredential 0 ../k h plain", "not a key"},
		{"route /a https://a.test\ncredential 0 k Host plain", "not a header for a key"},
		{"route /a https://a.test\ncredential 0 k Content-Length plain", "not a header"},
		{"route /a https://a.test\ncredential 0 k h: plain", "not a header for a key"},
		{"route /a https://a.test\ncredential 0 k h digest", "not plain, bearer"},
		{"route /a https://a.test\ncredential 0 k h basic", "not plain, bearer"},
		{"route /a https://a.test\ncredential 0 k h basic a:b", "not plain, bearer"},
		{"route /a https://a.test\nenv 1A", "not a variable's name"},
		{"ask a\nask b", "is there twice"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		struct kf_egress_rules r;
		struct kf_err err = {0};
		char text[512];

		(void)snprintf(text, sizeof(text), HEAD "%s\n", rows[i][0]);
		if (parse_lines(text, &r, &err) == 0)
			fail_msg("accepted: %s", rows[i][0]);
		if (!strstr(err.msg, rows[i][1]) || !strstr(err.msg, "line "))
			fail_msg("%s: %s", rows[i][0], err.msg);
	}
}

static void test_damaged_text_is_refused(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(4096);
	struct kf_egress_rules r;
	struct kf_err err;
	size_t body;

	(void)state;
	kf_buf_adds(&text, HEAD "host a.test 443\n");
	kf_egress_rules_seal(&text);
	assert_int_equal(kf_egress_rules_check(text.p, text.n, &body, &err), 0);
	assert_int_equal(body, strlen(HEAD "host a.test 443\n"));
	for (size_t i = 0; i < text.n; i++) {
		char *copy = test_malloc(text.n);

		memcpy(copy, text.p, text.n);
		copy[i] ^= 1;
		assert_int_equal(kf_egress_rules_parse(copy, text.n, &r, &err), -1);
		assert_int_equal(kf_egress_rules_parse(text.p, i, &r, &err), -1);
		test_free(copy);
	}
}

static void test_names_by_form(void **state)
{
	static const struct {
		const char *text, *name;
		enum kf_egress_name_form form;
	} rows[] = {
		{"Example.COM", "example.com", KF_EGRESS_NAME_HOST},
		{"example.com.", "example.com", KF_EGRESS_NAME_HOST},
		{"_x.a-b.c1", "_x.a-b.c1", KF_EGRESS_NAME_HOST},
		{"1.2.3.4", "1.2.3.4", KF_EGRESS_NAME_ADDRESS},
		{"[2001:DB8::1]", "2001:db8::1", KF_EGRESS_NAME_ADDRESS},
		{"1.2.3", NULL, KF_EGRESS_NAME_NUMBER},
		{"1.2.3.04", NULL, KF_EGRESS_NAME_NUMBER},
		{"0x7f000001", NULL, KF_EGRESS_NAME_NUMBER},
		{"a.0x", NULL, KF_EGRESS_NAME_NUMBER},
		{"a.1.", NULL, KF_EGRESS_NAME_NUMBER},
		{"[::0:1]", NULL, KF_EGRESS_NAME_NUMBER},
		{"[x]", NULL, KF_EGRESS_NAME_BAD},
		{"", NULL, KF_EGRESS_NAME_BAD},
		{".", NULL, KF_EGRESS_NAME_BAD},
		{"a..b", NULL, KF_EGRESS_NAME_BAD},
		{"-a.b", NULL, KF_EGRESS_NAME_BAD},
		{"a-.b", NULL, KF_EGRESS_NAME_BAD},
		{"a b", NULL, KF_EGRESS_NAME_BAD},
		{"a\xc3\xa9", NULL, KF_EGRESS_NAME_BAD},
		{"a:1", NULL, KF_EGRESS_NAME_BAD},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		char name[KF_EGRESS_NAME_MAX + 1] = "untouched";

		assert_int_equal(kf_egress_name_read(rows[i].text, strlen(rows[i].text), name),
				 rows[i].form);
		assert_string_equal(name, rows[i].name ? rows[i].name : "untouched");
	}
}

static bool allowed(const struct kf_egress_rules *rules, const char *text)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	const char *what = NULL;
	const bool is_six = strchr(text, ':') != NULL;

	assert_int_equal(is_six ? inet_pton(AF_INET6, text, &six.sin6_addr)
				: inet_pton(AF_INET, text, &four.sin_addr),
			 1);
	return kf_egress_address_ok(
		rules, is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four, &what);
}

/* Addresses just inside and outside of what is public; tests/egress has a row for each block. */
static void test_longest_range_decides(void **state)
{
	struct kf_egress_rules r;

	(void)state;
	parse_good(HEAD
		   "grant 10.0.0.0/8\nrefuse 10.96.0.1/32 api-server\ngrant 169.254.169.254/32\n"
		   "refuse 8.8.8.0/24 dns\ngrant fd00::/8\nrefuse 64:ff9b::/96 nat64\n",
		   &r);
	assert_true(allowed(&r, "9.255.255.255"));
	assert_true(allowed(&r, "10.0.0.1"));
	assert_false(allowed(&r, "10.96.0.1"));
	assert_true(allowed(&r, "10.96.0.2"));
	assert_true(allowed(&r, "11.0.0.0"));
	assert_true(allowed(&r, "169.254.169.254"));
	assert_false(allowed(&r, "169.254.169.253"));
	assert_false(allowed(&r, "8.8.8.8"));
	assert_true(allowed(&r, "8.8.9.8"));
	assert_true(allowed(&r, "fd12::1"));
	assert_false(allowed(&r, "fd00:ec2::254"));
	assert_true(allowed(&r, "2606:4700::1"));
	assert_false(allowed(&r, "::ffff:10.0.0.1"));
	assert_false(allowed(&r, "64:ff9b::102:304"));
	kf_egress_rules_done(&r);
	parse_good(HEAD "refuse 1.2.3.4/32 x\n", &r);
	assert_false(allowed(&r, "64:ff9b::102:304"));
	assert_true(allowed(&r, "64:ff9b::102:305"));
	assert_false(allowed(&r, "64:ff9b::a00:1"));
	kf_egress_rules_done(&r);
}

static struct kf_egress_span span_of(const char *s)
{
	return (struct kf_egress_span){s, strlen(s)};
}

static void test_any_line_that_allows_counts(void **state)
{
	struct kf_egress_rules r;

	(void)state;
	parse_good(HEAD
		   "host a.test 80\nallow GET /x\nhost *.test 443\nhost a.test 80\nallow PUT /y/\n"
		   "deny *.no.test\n",
		   &r);
	assert_int_equal(kf_egress_decide_tunnel(&r, "a.test", 443), KF_EGRESS_WHY_NONE);
	assert_int_equal(kf_egress_decide_tunnel(&r, "a.test", 80), KF_EGRESS_WHY_METHOD);
	assert_int_equal(kf_egress_decide_tunnel(&r, "a.test", 81), KF_EGRESS_WHY_PORT);
	assert_int_equal(kf_egress_decide_tunnel(&r, "test", 443), KF_EGRESS_WHY_HOST);
	assert_int_equal(kf_egress_decide_tunnel(&r, "b.no.test", 443), KF_EGRESS_WHY_DENIED);
	assert_int_equal(kf_egress_decide_tunnel(&r, "no.test", 443), KF_EGRESS_WHY_NONE);
	assert_int_equal(kf_egress_decide_request(&r, "a.test", 80, span_of("GET"),
						  span_of("/x/z")),
			 KF_EGRESS_WHY_NONE);
	assert_int_equal(kf_egress_decide_request(&r, "a.test", 80, span_of("PUT"),
						  span_of("/y/z")),
			 KF_EGRESS_WHY_NONE);
	assert_int_equal(kf_egress_decide_request(&r, "a.test", 80, span_of("PUT"), span_of("/y")),
			 KF_EGRESS_WHY_METHOD);
	assert_int_equal(kf_egress_decide_request(&r, "a.test", 80, span_of("PUT"), span_of("/x")),
			 KF_EGRESS_WHY_METHOD);
	kf_egress_rules_done(&r);
}

static void test_longest_route_serves(void **state)
{
	struct kf_egress_rules r;

	(void)state;
	parse_good(HEAD "route /a https://a.test\nroute /a/b https://b.test\n", &r);
	assert_string_equal(kf_egress_decide_route(&r, span_of("/a"))->host, "a.test");
	assert_string_equal(kf_egress_decide_route(&r, span_of("/a/bc"))->host, "a.test");
	assert_string_equal(kf_egress_decide_route(&r, span_of("/a/b"))->host, "b.test");
	assert_string_equal(kf_egress_decide_route(&r, span_of("/a/b/c?/d"))->host, "b.test");
	assert_string_equal(kf_egress_decide_route(&r, span_of("/a?/b"))->host, "a.test");
	assert_null(kf_egress_decide_route(&r, span_of("/ab")));
	assert_null(kf_egress_decide_route(&r, span_of("/")));
	kf_egress_rules_done(&r);
}

static void test_answers_of_name_servers(void **state)
{
	uint8_t text[KF_EGRESS_DNS_QUERY_MAX + 16];
	size_t n = kf_egress_dns_query(7, "a.test", AF_INET, text) - 11;
	struct kf_egress_dns_answer answer = {0};
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};

	(void)state;
	text[2] = 0x80;
	text[7] = 1;
	text[11] = 0;
	memcpy(text + n, record, sizeof(record));
	n += sizeof(record);
	assert_int_equal(kf_egress_dns_read(text, n, 7, "a.test", AF_INET, &answer),
			 KF_EGRESS_DNS_FOUND);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl, 60);
	assert_memory_equal(answer.addresses[0], "\xc0\x00\x02\x01", 4);
	assert_int_equal(kf_egress_dns_read(text, n, 8, "a.test", AF_INET, &answer),
			 KF_EGRESS_DNS_OTHER);
	assert_int_equal(kf_egress_dns_read(text, n, 7, "b.test", AF_INET, &answer),
			 KF_EGRESS_DNS_OTHER);
	assert_int_equal(kf_egress_dns_read(text, n, 7, "a.test", AF_INET6, &answer),
			 KF_EGRESS_DNS_OTHER);
	assert_int_equal(kf_egress_dns_read(text, n - 1, 7, "a.test", AF_INET, &answer),
			 KF_EGRESS_DNS_FAULT);
	text[n - 16] = 0xc0; /* a pointer to itself */
	text[n - 15] = (uint8_t)(n - 16);
	assert_int_equal(kf_egress_dns_read(text, n, 7, "a.test", AF_INET, &answer),
			 KF_EGRESS_DNS_FAULT);
}

/* A profile's policy with these @lines, sealed. */
static void make_policy(const char *lines, struct kf_buf *out)
{
	kf_buf_addf(out, "nono-policy 1\nname mine\n%s", lines);
	kf_egress_rules_seal(out);
}

static void test_a_policy_has_its_rules(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf policy = KF_BUF_INIT(1 << 16);
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(1 << 16);
	struct kf_egress_rules r;
	struct kf_err err;

	(void)state;
	make_policy("fs rx /usr\negress elsewhere\negress host a.test 443\n", &policy);
	kf_egress_rules_whole(policy.p, policy.n, &text);
	assert_int_equal(kf_egress_rules_parse(text.p, text.n, &r, &err), 0);
	assert_string_equal(r.profile, "mine");
	assert_string_equal(r.hosts->name, "a.test");
	assert_null(r.hosts->next);
	kf_egress_rules_done(&r);
	/* No policy at all is no rules. */
	kf_buf_reset(&text);
	kf_egress_rules_whole("x", 1, &text);
	assert_int_equal(kf_egress_rules_parse(text.p, text.n, &r, &err), -1);
}

static void test_a_policy_is_closed(void **state)
{
	static const struct {
		const char *lines, *more, *want;
		bool broker;
	} rows[] = {
		{"fs rx /usr\n", "", "fs rx /usr\nnet tcp\n", true},
		{"net block\n", "", "net block\n", true},
		{"net connect 443\n", "", "net connect 443\nnet tcp\nnet connect 3128\n", true},
		{"net connect 443\n", "", "net connect 443\nnet tcp\n", false},
		{"fs rx /usr\n", "fs deny /k\n", "fs rx /usr\nnet tcp\nfs deny /k\n", true},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		KF_CLEANUP(kf_buf_done) struct kf_buf policy = KF_BUF_INIT(1 << 16);
		KF_CLEANUP(kf_buf_done) struct kf_buf want = KF_BUF_INIT(1 << 16);
		KF_CLEANUP(kf_buf_done) struct kf_buf closed = KF_BUF_INIT(1 << 16);

		make_policy(rows[i].lines, &policy);
		make_policy(rows[i].want, &want);
		kf_egress_close_policy(policy.p, policy.n, rows[i].broker, rows[i].more, &closed);
		assert_false(closed.failed);
		assert_string_equal(closed.p, want.p);
	}
}

static void test_reasons_by_their_words(void **state)
{
	(void)state;
	assert_ptr_equal(kf_egress_reason_of("host"), kf_egress_reason(KF_EGRESS_WHY_HOST));
	assert_null(kf_egress_reason_of("nonsense"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_lines_are_read),
		cmocka_unit_test(test_wrong_lines_are_named),
		cmocka_unit_test(test_damaged_text_is_refused),
		cmocka_unit_test(test_names_by_form),
		cmocka_unit_test(test_longest_range_decides),
		cmocka_unit_test(test_any_line_that_allows_counts),
		cmocka_unit_test(test_longest_route_serves),
		cmocka_unit_test(test_answers_of_name_servers),
		cmocka_unit_test(test_a_policy_has_its_rules),
		cmocka_unit_test(test_a_policy_is_closed),
		cmocka_unit_test(test_reasons_by_their_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

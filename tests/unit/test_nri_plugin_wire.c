/* SPDX-License-Identifier: Apache-2.0 */
/* libnri's plugin side against a runtime that stalls, truncates, hangs up and lies: at every
 * byte, not at some. */
#include "nri_scripted.h"

static void frames_and_writes_of_any_size_are_one_stream(void **state)
{
	static const size_t sizes[] = {1, 7, 8, 4095, 4096, 4097, SIZE_MAX};
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);

	(void)state;
	put_life(&s, 6709);
	for (size_t i = 0; i < KF_ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < KF_ARRAY_SIZE(sizes); j++) {
			struct test t;

			test_open(&t);
			send_stream(&t, &s, sizes[i], sizes[j]);
			expect_life(&t);
			assert_int_equal(strspn(t.seen.arg, "a"), sizeof(t.seen.arg) - 1);
			test_close(&t);
		}
	}
	kf_buf_done(&s);
}

static void connections_interleave_and_strange_ones_are_ignored(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX), answer = KF_BUF_INIT(RAW_MAX);
	Nri__Empty empty = NRI__EMPTY__INIT;

	(void)state;
	put_life(&s, 100);
	put_answer(&answer, 1, &empty.base); /* to RegisterPlugin, no data at all */
	/* The answer to RegisterPlugin in two halves, anywhere between Configure and the end. */
	for (size_t at = 0; at <= s.n; at++) {
		struct kf_buf out = KF_BUF_INIT(RAW_MAX);
		struct test t;

		put_frames(&out, 1, s.p, at, 4096);
		put_frames(&out, 2, answer.p, 4, 4096);
		put_frames(&out, 0, "zero", 4, 4096);
		put_frames(&out, 3, "three", 5, 4096);
		put_frames(&out, 0xffffffff, "last", 4, 1);
		kf_buf_add(&out, "\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0", 16); /* two empty frames */
		put_frames(&out, 1, s.p + at, s.n - at, 4096);
		put_frames(&out, 2, answer.p + 4, answer.n - 4, 4096);
		test_open(&t);
		raw_send(&t.raw, out.p, out.n);
		expect_life(&t);
		test_close(&t);
		kf_buf_done(&out);
	}
	kf_buf_done(&s);
	kf_buf_done(&answer);
}

static void a_runtime_may_hang_up_or_stall_at_every_byte(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX), out = KF_BUF_INIT(RAW_MAX);
	size_t complete[4], n = 0, at = 0;

	(void)state;
	put_life(&s, 100);
	put_frames(&out, 1, s.p, s.n, 64);
	/* Where in @out each of the four requests is complete. */
	while (at < s.n) {
		at += NRI_TTRPC_HEADER + nri_get_be32((uint8_t *)s.p + at);
		complete[n++] = at + ((at + 63) / 64) * NRI_TRUNK_HEADER;
	}
	assert_int_equal(n, 4);
	for (size_t cut = 0; cut <= out.n; cut++) {
		struct test t;
		size_t before = 0;

		while (before < 4 && complete[before] <= cut)
			before++;
		/* Stall: only what is complete is answered; then the rest comes. */
		test_open(&t);
		raw_send(&t.raw, out.p, cut);
		raw_settle(&t.raw);
		assert_int_equal(t.raw.nmessages, 1 + before);
		raw_send(&t.raw, out.p + cut, out.n - cut);
		expect_life(&t);
		test_close(&t);
		/* Hang up: the plugin ends, once. */
		test_open(&t);
		raw_send(&t.raw, out.p, cut);
		raw_hang_up(&t.raw);
		for (int i = 0; i < 4; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_ENDED);
		assert_int_equal(t.seen.ended, 1);
		assert_true(t.seen.configured + t.seen.synchronized + t.seen.created +
				    t.seen.removed <=
			    before);
		test_close(&t);
		/* Half-close: what is complete is still answered. */
		test_open(&t);
		raw_send(&t.raw, out.p, cut);
		shutdown(t.raw.fd, SHUT_WR);
		raw_settle(&t.raw);
		assert_int_equal(t.raw.nmessages, 1 + before);
		assert_int_equal(t.seen.ended, 1);
		test_close(&t);
	}
	kf_buf_done(&s);
	kf_buf_done(&out);
}

/* Whatever one byte is changed to, nothing worse happens than a refusal or the end. */
static void every_byte_may_be_a_lie(void **state)
{
	static const uint8_t lies[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct kf_buf s = KF_BUF_INIT(RAW_MAX), out = KF_BUF_INIT(RAW_MAX);

	(void)state;
	put_life(&s, 20);
	put_frames(&out, 1, s.p, s.n, 64);
	for (size_t at = 0; at < out.n; at++) {
		for (size_t i = 0; i < KF_ARRAY_SIZE(lies) + 8; i++) {
			char truth = out.p[at];
			unsigned lie = i < 8 ? (uint8_t)truth ^ 1U << i : lies[i - 8];
			struct test t;

			out.p[at] = (char)lie;
			test_open(&t);
			raw_send(&t.raw, out.p, out.n);
			raw_settle(&t.raw);
			assert_true(t.seen.created <= 1 && t.seen.removed <= 1);
			assert_true(t.seen.ended == (t.raw.fd < 0));
			out.p[at] = truth;
			test_close(&t);
		}
	}
	kf_buf_done(&s);
	kf_buf_done(&out);
}

static void the_largest_request_is_taken_and_a_larger_one_refused(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);
	struct test t;
	size_t arg = 0;

	(void)state;
	/* Find the argument that makes exactly 4 MiB of data. */
	put_create(&s, 5, 4 * 1024 * 1024 - 200);
	arg = 4 * 1024 * 1024 - 200 + NRI_TTRPC_DATA_MAX + NRI_TTRPC_HEADER - s.n;
	kf_buf_reset(&s);
	put_create(&s, 5, arg);
	assert_int_equal(s.n, NRI_TTRPC_HEADER + NRI_TTRPC_DATA_MAX);
	test_ready(&t);
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX); /* one frame: as long as they may be */
	raw_settle(&t.raw);
	assert_int_equal(raw_last_code(&t.raw), NRI_OK);
	assert_int_equal(t.seen.created, 1);
	kf_buf_reset(&s);
	put_create(&s, 7, arg + 1);
	put_remove(&s, 9);
	send_stream(&t, &s, 4096, SIZE_MAX);
	raw_settle(&t.raw);
	/* Refused, skipped to its end, and the next one is fine. */
	assert_int_equal(t.raw.nmessages, 3);
	assert_int_equal(raw_last_code(&t.raw), NRI_OK);
	t.raw.nmessages--;
	free(t.raw.messages[2].data);
	assert_int_equal(raw_last_code(&t.raw), NRI_RESOURCE_EXHAUSTED);
	assert_int_equal(t.seen.created, 1);
	assert_int_equal(t.seen.removed, 1);
	/* A frame that no message can fill is the end. */
	raw_send(&t.raw, "\0\0\0\1\0\100\0\13", 8); /* 4 MiB + 11 */
	raw_settle(&t.raw);
	assert_int_equal(t.seen.ended, 1);
	test_close(&t);
	kf_buf_done(&s);
}

static void memory_for_a_request_is_capped(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX), payload = KF_BUF_INIT(RAW_MAX);
	struct test t;

	(void)state;
	/* Container{args: "" many times}: two bytes each on the wire, a pointer and a string
	 * each in memory. */
	kf_buf_adds(&payload, "\n");
	kf_buf_add(&payload, "\0", 1);		     /* an empty pod */
	kf_buf_add(&payload, "\x12\x80\x80\x08", 4); /* a container of 128 KiB */
	for (size_t i = 0; i < 65536; i++)
		kf_buf_add(&payload, "\x3a\0", 2);
	put_request(&s, 5, NRI_SERVICE_PLUGIN, "CreateContainer", payload.p, payload.n);
	test_ready_with(&t, 256 * 1024);
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
	raw_settle(&t.raw);
	assert_int_equal(raw_last_code(&t.raw), NRI_RESOURCE_EXHAUSTED);
	assert_int_equal(t.seen.created, 0);
	test_close(&t);
	test_ready(&t); /* the control */
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
	raw_settle(&t.raw);
	assert_int_equal(raw_last_code(&t.raw), NRI_OK);
	assert_int_equal(t.seen.nargs, 65536);
	test_close(&t);
	kf_buf_done(&s);
	kf_buf_done(&payload);
}

static void strings_may_be_any_bytes_but_nul(void **state)
{
	static const struct {
		const char *payload;
		size_t n;
		int code;
		const char *arg;
	} cases[] = {
		{"\n\0\22\5:\3a\xff"
		 "b",
		 9, NRI_OK,
		 "a\xff"
		 "b"},
		{"\n\0\22\5:\3a\0b", 9, NRI_INVALID_ARGUMENT, NULL},
		{"\n\0\22\4:\2a\0", 8, NRI_INVALID_ARGUMENT, NULL},
		{"\n\3\n\1\0\22\3:\1a", 10, NRI_INVALID_ARGUMENT, NULL}, /* in the pod's id */
		{"\n\0\22\2:\0", 6, NRI_OK, ""},
		/* A zero that is a number, not in a string. */
		{"\n\2\x48\0\22\3:\1a", 9, NRI_OK, "a"},
		/* Unknown fields of every wire type, in the message and in the container. */
		{"\n\0\22\17\xf8\7\1\xfd\7\1\2\3\4:\1a\xfa\7\0", 19, NRI_OK, "a"},
		{"\n\0\22\3:\1a\xf9\7\1\2\3\4\5\6\7\10", 17, NRI_OK, "a"},
		/* Truncated, groups, a length past the end, field number 0, endless varint. */
		{"\n\0\22\3:\1", 6, NRI_INVALID_ARGUMENT, NULL},
		{"\n\0\22\3:\5a", 7, NRI_INVALID_ARGUMENT, NULL},
		{"\n\0\22\3:\1a\3", 8, NRI_INVALID_ARGUMENT, NULL},
		{"\n\0\22\3:\1a\x0b\x0c", 9, NRI_INVALID_ARGUMENT, NULL},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, NRI_INVALID_ARGUMENT, NULL},
		/* No pod, no container, nothing. */
		{"\22\3:\1a", 5, NRI_INVALID_ARGUMENT, NULL},
		{"\n\0", 2, NRI_INVALID_ARGUMENT, NULL},
		{"", 0, NRI_INVALID_ARGUMENT, NULL},
	};
	struct test t;

	(void)state;
	test_ready(&t);
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_buf s = KF_BUF_INIT(RAW_MAX);

		t.seen = (struct seen){0};
		put_request(&s, (uint32_t)(5 + 2 * i), NRI_SERVICE_PLUGIN, "CreateContainer",
			    cases[i].payload, cases[i].n);
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		raw_settle(&t.raw);
		if (raw_last_code(&t.raw) != cases[i].code ||
		    t.seen.created != (cases[i].code == NRI_OK))
			fail_msg("case %zu: code %d, %u created %.*s", i, raw_last_code(&t.raw),
				 t.seen.created, (int)t.raw.messages[0].n, t.raw.messages[0].data);
		if (cases[i].arg)
			assert_string_equal(t.seen.arg, cases[i].arg);
		kf_buf_done(&s);
		raw_forget(&t.raw);
	}
	test_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_and_writes_of_any_size_are_one_stream),
		cmocka_unit_test(connections_interleave_and_strange_ones_are_ignored),
		cmocka_unit_test(a_runtime_may_hang_up_or_stall_at_every_byte),
		cmocka_unit_test(every_byte_may_be_a_lie),
		cmocka_unit_test(the_largest_request_is_taken_and_a_larger_one_refused),
		cmocka_unit_test(memory_for_a_request_is_capped),
		cmocka_unit_test(strings_may_be_any_bytes_but_nul),
	};
	int failed;

	base = event_base_new();
	failed = cmocka_run_group_tests_name("nri_plugin_wire", tests, NULL, NULL);
	event_base_free(base);
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* libnri's plugin side: calls that are not its, in the wrong order, or never answered. */
#include "nri_scripted.h"

static void unknown_calls_are_unimplemented_and_harmless(void **state)
{
	static const struct {
		const char *service, *method;
		int code;
	} cases[] = {
		{NRI_SERVICE_PLUGIN, "Fly", NRI_UNIMPLEMENTED},
		{NRI_SERVICE_PLUGIN, "", NRI_UNIMPLEMENTED},
		{NRI_SERVICE_PLUGIN, "createcontainer", NRI_UNIMPLEMENTED},
		{NRI_SERVICE_PLUGIN, "CreateContainerX", NRI_UNIMPLEMENTED},
		{NRI_SERVICE_RUNTIME, "RegisterPlugin", NRI_UNIMPLEMENTED},
		{"", "", NRI_UNIMPLEMENTED},
		{"nri.pkg.api.v1.Plugin", "Synchronize", NRI_UNIMPLEMENTED},
		{NRI_SERVICE_PLUGIN, "Shutdown", NRI_OK},
		/* Without a callback: nothing to say. */
		{NRI_SERVICE_PLUGIN, "StartContainer", NRI_OK},
		{NRI_SERVICE_PLUGIN, "UpdatePodSandbox", NRI_OK},
		{NRI_SERVICE_PLUGIN, "ValidateContainerAdjustment", NRI_OK},
	};
	struct test t;
	uint32_t stream = 5;

	(void)state;
	test_ready(&t);
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++, stream += 2) {
		struct kf_buf s = KF_BUF_INIT(RAW_MAX);

		put_request(&s, stream, cases[i].service, cases[i].method, "", 0);
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		raw_settle(&t.raw);
		assert_int_equal(raw_last_code(&t.raw), cases[i].code);
		raw_forget(&t.raw);
		kf_buf_done(&s);
	}
	/* Events and fields of the future. */
	for (int event = -1; event < 40; event++, stream += 2) {
		Nri__StateChangeEvent req = NRI__STATE_CHANGE_EVENT__INIT;
		struct kf_buf s = KF_BUF_INIT(RAW_MAX);

		req.event = (Nri__Event)event;
		put_call(&s, stream, "StateChange", &req.base);
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		raw_settle(&t.raw);
		assert_int_equal(raw_last_code(&t.raw), NRI_OK);
		raw_forget(&t.raw);
		kf_buf_done(&s);
	}
	assert_int_equal(t.seen.removed, 1);
	/* Messages of every other type, on both connections, get no answer. */
	for (unsigned type = 0; type < 256; type++) {
		struct kf_buf s = KF_BUF_INIT(RAW_MAX), out = KF_BUF_INIT(RAW_MAX);

		if (type == NRI_TTRPC_REQUEST)
			continue;
		put_message(&s, 1, (uint8_t)type, "\xff\xff", type == NRI_TTRPC_RESPONSE ? 0 : 2);
		put_frames(&out, 1, s.p, s.n, 4096);
		put_frames(&out, 2, s.p, s.n, 4096);
		raw_send(&t.raw, out.p, out.n);
		kf_buf_done(&s);
		kf_buf_done(&out);
	}
	raw_settle(&t.raw);
	assert_int_equal(t.raw.nmessages, 0);
	assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_READY);
	test_close(&t);
}

static void stream_numbers_are_odd_and_rise(void **state)
{
	static const struct {
		uint32_t stream;
		int code;
	} cases[] = {{5, NRI_OK},
		     {5, NRI_INVALID_ARGUMENT},
		     {3, NRI_INVALID_ARGUMENT},
		     {6, NRI_INVALID_ARGUMENT},
		     {0, NRI_INVALID_ARGUMENT},
		     {7, NRI_OK},
		     {0xfffffffe, NRI_INVALID_ARGUMENT},
		     {0xffffffff, NRI_OK},
		     {9, NRI_INVALID_ARGUMENT}};
	unsigned good = 0;
	struct test t;

	(void)state;
	test_ready(&t);
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_buf s = KF_BUF_INIT(RAW_MAX);

		good += cases[i].code == NRI_OK;
		put_remove(&s, cases[i].stream);
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		raw_settle(&t.raw);
		assert_int_equal(raw_last_code(&t.raw), cases[i].code);
		assert_int_equal(t.raw.messages[0].stream, cases[i].stream);
		assert_int_equal(t.seen.removed, good);
		raw_forget(&t.raw);
		kf_buf_done(&s);
	}
	test_close(&t);
}

/* Go's reader gives the connection up if a first frame is longer than 4096 bytes, or if a
 * message comes in more than 256 frames. */
static void answers_are_the_first_4096_bytes_and_the_rest(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);
	struct test t;
	uint32_t stream = 5;

	(void)state;
	test_ready(&t);
	for (size_t n = 4070; n < 4100; n++, stream += 2) {
		size_t total;

		kf_buf_reset(&s);
		put_create(&s, stream, 1);
		t.seen.reply = n;
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		raw_settle(&t.raw);
		assert_int_equal(t.raw.nmessages, 1);
		total = NRI_TTRPC_HEADER + t.raw.messages[0].n;
		assert_int_equal(total, NRI_TTRPC_HEADER + 3 + n);
		assert_int_equal(t.raw.nframes, total > 4096 ? 2 : 1);
		assert_int_equal(t.raw.frames[0], total > 4096 ? 4096 : total);
		if (total > 4096)
			assert_int_equal(t.raw.frames[1], total - 4096);
		raw_forget(&t.raw);
	}
	kf_buf_reset(&s);
	put_create(&s, stream, 1);
	t.seen.reply = 4000000;
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
	while (!t.raw.nmessages)
		raw_settle(&t.raw);
	assert_int_equal(t.raw.nframes, 2);
	assert_int_equal(t.raw.frames[0], 4096);
	test_close(&t);
	kf_buf_done(&s);
}

static void a_runtime_that_never_reads_is_given_up(void **state)
{
	struct test t;

	(void)state;
	test_ready(&t);
	event_free(t.raw.readable);
	t.raw.readable = NULL;
	t.seen.reply = 1000000;
	for (uint32_t i = 0; i < 50 && !t.seen.ended; i++) {
		struct kf_buf s = KF_BUF_INIT(RAW_MAX);

		put_create(&s, 5 + 2 * i, 1);
		send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
		event_base_loop(base, EVLOOP_NONBLOCK);
		kf_buf_done(&s);
	}
	assert_int_equal(t.seen.ended, 1);
	assert_in_range(t.seen.created, 8, 10); /* 8 MiB wait at most */
	test_close(&t);
}

static void nothing_is_decided_before_configure(void **state)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);
	struct test t;

	(void)state;
	test_open(&t);
	put_create(&s, 1, 1);
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
	raw_settle(&t.raw);
	assert_int_equal(raw_last_code(&t.raw), NRI_FAILED_PRECONDITION);
	kf_buf_reset(&s);
	put_synchronize(&s, 3);
	send_stream(&t, &s, SIZE_MAX, SIZE_MAX);
	raw_settle(&t.raw);
	assert_int_equal(raw_last_code(&t.raw), NRI_FAILED_PRECONDITION);
	assert_int_equal(t.seen.created + t.seen.synchronized, 0);
	test_close(&t);
	kf_buf_done(&s);
}

static void a_refused_registration_is_the_end(void **state)
{
	struct nri_error refusal = {NRI_INVALID_ARGUMENT, "no such plugin"};
	struct kf_buf s = KF_BUF_INIT(RAW_MAX), out = KF_BUF_INIT(RAW_MAX);
	uint8_t message[NRI_TTRPC_ERROR_MAX];
	struct test t;

	(void)state;
	put_message(&s, 1, NRI_TTRPC_RESPONSE, message, nri_ttrpc_put_error(message, &refusal));
	put_frames(&out, 2, s.p, s.n, 4096);
	test_open(&t);
	raw_send(&t.raw, out.p, out.n);
	raw_settle(&t.raw);
	assert_int_equal(t.seen.ended, 1);
	assert_int_equal(t.raw.fd, -1);
	test_close(&t);
	kf_buf_done(&s);
	kf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_calls_are_unimplemented_and_harmless),
		cmocka_unit_test(stream_numbers_are_odd_and_rise),
		cmocka_unit_test(answers_are_the_first_4096_bytes_and_the_rest),
		cmocka_unit_test(a_runtime_that_never_reads_is_given_up),
		cmocka_unit_test(nothing_is_decided_before_configure),
		cmocka_unit_test(a_refused_registration_is_the_end),
	};
	int failed;

	base = event_base_new();
	failed = cmocka_run_group_tests_name("nri_plugin_calls", tests, NULL, NULL);
	event_base_free(base);
	return failed;
}

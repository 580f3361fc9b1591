/* SPDX-License-Identifier: Apache-2.0 */
/* libnri's runtime side against a plugin that stalls, truncates, hangs up and lies: at every
 * byte, not at some. */
#include "nri_raw.h"

#include "base/cleanup.h"
#include "nri/message.h"

#include <nri/nri.h>
#include <stdio.h>

#define PATIENT	  10000
#define IMPATIENT 3

static struct event_base *base; /* one for all: each test leaves it empty */

/* A plugin whose every word is written down beforehand: line 0 is said at once, line n after
 * the n-th request. */
struct script {
	struct kf_buf lines[8];
	size_t budget; /* bytes that it says before it falls silent */
	bool hang_up;  /* ... and then hangs up */
	size_t requests;
	bool done;
};

struct test {
	struct raw raw;
	struct script script;
	struct nri_runtime *rt;
	struct nri_error err;
};

static void say(struct raw *raw, size_t line)
{
	struct script *s = raw->ctx;
	const struct kf_buf *words = &s->lines[line];
	size_t n = words->n < s->budget ? words->n : s->budget;

	if (s->done)
		return;
	s->budget -= n;
	if (n && raw->fd >= 0 &&
	    send(raw->fd, words->p, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
		fail_msg("line %zu of %zu bytes: %s", line, n, strerror(errno));
	if (n < words->n || !s->budget) {
		s->done = true;
		if (s->hang_up)
			shutdown(raw->fd, SHUT_RDWR);
	}
}

static void on_message(struct raw *raw, const struct raw_message *msg)
{
	struct script *s = raw->ctx;

	if (msg->conn == 1 && ++s->requests < KF_ARRAY_SIZE(s->lines))
		say(raw, s->requests);
}

static void script_init(struct script *s)
{
	*s = (struct script){.budget = SIZE_MAX};
	for (size_t i = 0; i < KF_ARRAY_SIZE(s->lines); i++)
		s->lines[i] = (struct kf_buf)KF_BUF_INIT(RAW_MAX);
}

static void script_done(struct script *s)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(s->lines); i++)
		kf_buf_done(&s->lines[i]);
}

static void line_register(struct kf_buf *line, const char *name, const char *index, size_t frame)
{
	Nri__RegisterPluginRequest req = NRI__REGISTER_PLUGIN_REQUEST__INIT;
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);
	uint8_t packed[512];
	size_t n;

	req.plugin_name = (char *)(uintptr_t)name;
	req.plugin_idx = (char *)(uintptr_t)index;
	n = nri__register_plugin_request__pack(&req, packed);
	put_request(&s, 1, NRI_SERVICE_RUNTIME, "RegisterPlugin", packed, n);
	put_frames(line, 2, s.p, s.n, frame);
	kf_buf_done(&s);
}

static void line_answer(struct kf_buf *line, uint32_t stream, const ProtobufCMessage *msg,
			size_t frame)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);

	put_answer(&s, stream, msg);
	put_frames(line, 1, s.p, s.n, frame);
	kf_buf_done(&s);
}

static void line_bytes(struct kf_buf *line, uint32_t stream, uint8_t type, const void *data,
		       size_t n)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);

	put_message(&s, stream, type, data, n);
	put_frames(line, 1, s.p, s.n, SIZE_MAX);
	kf_buf_done(&s);
}

static void line_configured(struct kf_buf *line, uint32_t events, size_t frame)
{
	Nri__ConfigureResponse configured = NRI__CONFIGURE_RESPONSE__INIT;

	configured.events = (int32_t)events;
	line_answer(line, 1, &configured.base, frame);
}

static void line_created(struct kf_buf *line, uint32_t stream, const char *arg, size_t frame)
{
	Nri__CreateContainerResponse created = NRI__CREATE_CONTAINER_RESPONSE__INIT;
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	char *args[] = {(char *)(uintptr_t)arg};

	adjust.args = args;
	adjust.n_args = 1;
	created.adjust = &adjust;
	line_answer(line, stream, &created.base, frame);
}

/* Register, configure, synchronize, create. */
static void script_life(struct script *s, size_t frame)
{
	Nri__SynchronizeResponse synchronized = NRI__SYNCHRONIZE_RESPONSE__INIT;

	line_register(&s->lines[0], "raw", "07", frame);
	line_configured(&s->lines[1], 0x3fff, frame);
	line_answer(&s->lines[2], 3, &synchronized.base, frame);
	line_created(&s->lines[3], 5, "/nono/nono", frame);
}

/* With @patience ms for each call: long where an answer is due, short where none comes. */
static void test_open(struct test *t, unsigned patience)
{
	const struct nri_runtime_options options = {
		.registration_timeout_ms = patience, .request_timeout_ms = patience, .config = "c"};
	int fd = raw_open(&t->raw, base);

	t->raw.hook = on_message;
	t->raw.ctx = &t->script;
	t->script.requests = 0;
	t->script.done = false;
	t->err = (struct nri_error){0};
	assert_int_equal(nri_runtime_new(base, fd, &options, &t->rt, &t->err), 0);
	say(&t->raw, 0);
}

static void test_close(struct test *t)
{
	nri_runtime_free(t->rt);
	raw_close(&t->raw);
}

static int create(struct test *t, Nri__CreateContainerResponse **ret)
{
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container ctr = NRI__CONTAINER__INIT;
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;

	req.pod = &pod;
	req.container = &ctr;
	return nri_runtime_create_container(t->rt, &req, ret, &t->err);
}

static int begin(struct test *t)
{
	Nri__SynchronizeResponse *sync;
	uint32_t events;

	if (nri_runtime_register(t->rt, &events, &t->err) < 0)
		return -1;
	return nri_runtime_synchronize(t->rt, NULL, 0, NULL, 0, &sync, &t->err);
}

static int live(struct test *t, Nri__CreateContainerResponse **ret)
{
	return begin(t) < 0 ? -1 : create(t, ret);
}

/* ---- tests ---- */

static void answers_may_come_in_frames_of_any_size(void **state)
{
	static const size_t sizes[] = {1, 8, 4095, 4096, 4097, SIZE_MAX};
	KF_FREE char *arg = calloc(1, 9001);

	(void)state;
	assert_non_null(arg);
	memset(arg, 'x', 9000);
	for (size_t i = 0; i < KF_ARRAY_SIZE(sizes); i++) {
		Nri__CreateContainerResponse *created = NULL;
		struct test t;

		script_init(&t.script);
		script_life(&t.script, sizes[i]);
		kf_buf_reset(&t.script.lines[3]);
		line_created(&t.script.lines[3], 5, arg, sizes[i]);
		test_open(&t, PATIENT);
		if (live(&t, &created) < 0)
			fail_msg("frames of %zu: %s", sizes[i], t.err.message);
		assert_string_equal(created->adjust->args[0], arg);
		assert_string_equal(nri_runtime_plugin_name(t.rt), "raw");
		assert_string_equal(nri_runtime_plugin_index(t.rt), "07");
		test_close(&t);
		script_done(&t.script);
	}
}

static void a_plugin_may_hang_up_or_stall_at_every_byte(void **state)
{
	struct test t;
	size_t total = 0;

	(void)state;
	script_init(&t.script);
	script_life(&t.script, 16);
	for (size_t i = 0; i < 4; i++)
		total += t.script.lines[i].n;
	for (size_t cut = 1; cut < total; cut++) {
		for (int hang_up = 0; hang_up < 2; hang_up++) {
			Nri__CreateContainerResponse *created = NULL;

			t.script.budget = cut;
			t.script.hang_up = hang_up;
			test_open(&t, hang_up ? PATIENT : IMPATIENT);
			if (live(&t, &created) == 0)
				fail_msg("%zu of %zu bytes were enough", cut, total);
			assert_null(created);
			assert_int_equal(t.err.code,
					 hang_up ? NRI_UNAVAILABLE : NRI_DEADLINE_EXCEEDED);
			assert_true(*t.err.message);
			/* And so it stays. */
			assert_int_equal(create(&t, &created), -1);
			assert_int_equal(t.err.code, NRI_UNAVAILABLE);
			test_close(&t);
		}
	}
	/* The control. */
	t.script.budget = SIZE_MAX;
	test_open(&t, PATIENT);
	Nri__CreateContainerResponse *created;
	assert_int_equal(live(&t, &created), 0);
	test_close(&t);
	script_done(&t.script);
}

static void every_byte_may_be_a_lie(void **state)
{
	static const uint8_t lies[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct test t;

	(void)state;
	script_init(&t.script);
	script_life(&t.script, 64);
	for (size_t line = 0; line < 4; line++) {
		struct kf_buf *words = &t.script.lines[line];

		for (size_t at = 0; at < words->n; at++) {
			for (size_t i = 0; i < KF_ARRAY_SIZE(lies); i++) {
				Nri__CreateContainerResponse *created = NULL;
				char truth = words->p[at];

				words->p[at] = (char)lies[i];
				t.script.budget = SIZE_MAX;
				test_open(&t, IMPATIENT);
				/* Either way; but an error is one, and success has an answer. */
				if (live(&t, &created) < 0)
					assert_true(t.err.code != NRI_OK && *t.err.message);
				else
					assert_non_null(created);
				test_close(&t);
				words->p[at] = truth;
			}
		}
	}
	script_done(&t.script);
}

static void strange_answers(void **state)
{
	static const struct {
		const char *what;
		uint32_t stream;
		uint8_t type;
		const char *data;
		size_t n;
		int code;
		bool usable; /* the connection, afterwards */
	} cases[] = {
		{"empty", 5, 2, "", 0, NRI_OK, true},
		{"empty status", 5, 2, "\n\0", 2, NRI_OK, true},
		{"status 0", 5, 2, "\n\2\10\0", 4, NRI_OK, true},
		{"status 9", 5, 2, "\n\7\10\11\22\3why", 9, NRI_FAILED_PRECONDITION, true},
		{"status 4", 5, 2, "\n\2\10\4", 4, NRI_DEADLINE_EXCEEDED, true},
		{"unknown fields", 5, 2, "\x18\1\x22\1x", 5, NRI_OK, true},
		{"payload not UTF-8", 5, 2, "\22\5\n\3J\1\xff", 7, NRI_INVALID_ARGUMENT, true},
		{"payload cut", 5, 2, "\22\4\n\3J\5", 6, NRI_INVALID_ARGUMENT, true},
		{"status cut", 5, 2, "\n\5\10", 3, NRI_INTERNAL, false},
		{"envelope cut", 5, 2, "\22\5\n", 3, NRI_INTERNAL, false},
		{"group", 5, 2, "\13\14", 2, NRI_INTERNAL, false},
		{"another stream", 7, 2, "", 0, NRI_DEADLINE_EXCEEDED, false},
		{"an old stream", 3, 2, "", 0, NRI_DEADLINE_EXCEEDED, false},
		{"stream 0", 0, 2, "", 0, NRI_DEADLINE_EXCEEDED, false},
		{"a request", 5, 1, "", 0, NRI_DEADLINE_EXCEEDED, false},
		{"data", 5, 3, "", 0, NRI_DEADLINE_EXCEEDED, false},
		{"type 77", 5, 77, "", 0, NRI_DEADLINE_EXCEEDED, false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		Nri__CreateContainerResponse *created = NULL;
		struct test t;
		int code;

		script_init(&t.script);
		script_life(&t.script, SIZE_MAX);
		kf_buf_reset(&t.script.lines[3]);
		line_bytes(&t.script.lines[3], cases[i].stream, cases[i].type, cases[i].data,
			   cases[i].n);
		line_created(&t.script.lines[4], 7, "again", SIZE_MAX);
		/* The control before it has to succeed with the same patience. */
		test_open(&t, cases[i].type == 2 && cases[i].stream == 5 ? PATIENT : 300);
		assert_int_equal(begin(&t), 0);
		code = create(&t, &created) < 0 ? t.err.code : NRI_OK;
		if (code != cases[i].code)
			fail_msg("%s: code %d, %s", cases[i].what, code, t.err.message);
		assert_true((code == NRI_OK) == (created != NULL));
		if (cases[i].code == NRI_FAILED_PRECONDITION)
			assert_string_equal(t.err.message, "why");
		if ((create(&t, &created) == 0) != cases[i].usable)
			fail_msg("%s: afterwards %s", cases[i].what, t.err.message);
		test_close(&t);
		script_done(&t.script);
	}
}

static void an_answer_said_twice_or_too_early_counts_once(void **state)
{
	Nri__CreateContainerResponse *created;
	struct test t;

	(void)state;
	script_init(&t.script);
	script_life(&t.script, SIZE_MAX);
	line_created(&t.script.lines[0], 5, "early", SIZE_MAX);
	line_created(&t.script.lines[3], 5, "twice", SIZE_MAX);
	line_created(&t.script.lines[4], 7, "next", SIZE_MAX);
	test_open(&t, PATIENT);
	assert_int_equal(live(&t, &created), 0);
	assert_string_equal(created->adjust->args[0], "/nono/nono");
	assert_int_equal(create(&t, &created), 0);
	assert_string_equal(created->adjust->args[0], "next");
	test_close(&t);
	script_done(&t.script);
}

static void an_answer_over_4_mib_is_refused(void **state)
{
	Nri__CreateContainerResponse *created;
	uint8_t header[NRI_TTRPC_HEADER];
	struct test t;

	(void)state;
	script_init(&t.script);
	script_life(&t.script, SIZE_MAX);
	kf_buf_reset(&t.script.lines[3]);
	nri_ttrpc_header(header, 0xffffffff, 5, NRI_TTRPC_RESPONSE);
	put_frames(&t.script.lines[3], 1, header, sizeof(header), SIZE_MAX);
	test_open(&t, 300);
	/* 4 GiB are announced and do not come. */
	assert_int_equal(live(&t, &created), -1);
	assert_int_equal(t.err.code, NRI_DEADLINE_EXCEEDED);
	test_close(&t);
	script_done(&t.script);
}

static void bad_registrations(void **state)
{
	static const struct {
		const char *name, *index;
	} cases[] = {{"", "10"}, {"x", ""}, {"x", "1"}, {"x", "100"}, {"x", "1a"}};
	KF_FREE char *long_name = calloc(1, 401);

	(void)state;
	assert_non_null(long_name);
	memset(long_name, 'n', 400);
	for (size_t i = 0; i <= KF_ARRAY_SIZE(cases); i++) {
		bool last = i == KF_ARRAY_SIZE(cases);
		struct test t;
		uint32_t events;

		script_init(&t.script);
		line_register(&t.script.lines[0], last ? long_name : cases[i].name,
			      last ? "10" : cases[i].index, SIZE_MAX);
		test_open(&t, 300);
		assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), -1);
		assert_int_equal(raw_last_code(&t.raw), NRI_INVALID_ARGUMENT);
		test_close(&t);
		script_done(&t.script);
	}
}

static void subscriptions(void **state)
{
	static const struct {
		uint32_t said, got;
	} cases[] = {{0, 0x3fff}, {0x8, 0x8}, {0x3fff, 0x3fff}, {0x4000, 0}, {0xffffffff, 0}};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
		struct test t;
		uint32_t events = 0;
		int result;

		script_init(&t.script);
		line_register(&t.script.lines[0], "raw", "07", SIZE_MAX);
		line_configured(&t.script.lines[1], cases[i].said, SIZE_MAX);
		test_open(&t, PATIENT);
		result = nri_runtime_register(t.rt, &events, &t.err);
		assert_int_equal(result, cases[i].got ? 0 : -1);
		assert_int_equal(events, cases[i].got);
		/* Not asked about what it has not subscribed to. */
		if (cases[i].got == 0x8) {
			assert_int_equal(nri_runtime_event(t.rt, NRI__EVENT__RUN_POD_SANDBOX, &pod,
							   NULL, &t.err),
					 0);
			assert_int_equal(t.script.requests, 1);
		}
		test_close(&t);
		script_done(&t.script);
	}
}

/* As NRI 0.12 does with plugins that only know StateChange. */
static void an_unimplemented_event_becomes_a_state_change(void **state)
{
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	struct nri_ttrpc_request req;
	struct test t;

	(void)state;
	script_init(&t.script);
	script_life(&t.script, SIZE_MAX);
	kf_buf_reset(&t.script.lines[3]);
	line_bytes(&t.script.lines[3], 5, NRI_TTRPC_RESPONSE, "\n\2\10\14", 4);
	line_bytes(&t.script.lines[4], 7, NRI_TTRPC_RESPONSE, "", 0);
	test_open(&t, PATIENT);
	assert_int_equal(begin(&t), 0);
	assert_int_equal(nri_runtime_event(t.rt, NRI__EVENT__RUN_POD_SANDBOX, &pod, NULL, &t.err),
			 0);
	assert_true(nri_ttrpc_parse_request(t.raw.messages[t.raw.nmessages - 1].data,
					    t.raw.messages[t.raw.nmessages - 1].n, &req));
	assert_true(nri_slice_equal(req.method, "StateChange"));
	assert_int_equal(t.script.requests, 4);
	test_close(&t);
	script_done(&t.script);
}

static void a_split_synchronize_must_be_acknowledged(void **state)
{
	enum { N = 2 };
	static const struct {
		bool more, update;
		int code;
	} cases[] = {
		{true, false, NRI_OK}, {false, false, NRI_INTERNAL}, {true, true, NRI_INTERNAL}};
	Nri__Container ctr = NRI__CONTAINER__INIT, *ctrs[N] = {&ctr, &ctr};
	KF_FREE char *arg = calloc(1, 3 * 1024 * 1024);

	(void)state;
	assert_non_null(arg);
	memset(arg, 'x', 3 * 1024 * 1024 - 1);
	ctr.args = &arg;
	ctr.n_args = 1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		Nri__ContainerUpdate update = NRI__CONTAINER_UPDATE__INIT, *updates[] = {&update};
		Nri__SynchronizeResponse said = NRI__SYNCHRONIZE_RESPONSE__INIT, *got;
		struct test t;
		uint32_t events;
		int code;

		script_init(&t.script);
		line_register(&t.script.lines[0], "raw", "07", SIZE_MAX);
		line_configured(&t.script.lines[1], 0, SIZE_MAX);
		said.more = cases[i].more;
		said.update = updates;
		said.n_update = cases[i].update;
		line_answer(&t.script.lines[2], 3, &said.base, SIZE_MAX);
		said = (Nri__SynchronizeResponse)NRI__SYNCHRONIZE_RESPONSE__INIT;
		line_answer(&t.script.lines[3], 5, &said.base, SIZE_MAX);
		test_open(&t, PATIENT);
		assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), 0);
		code = nri_runtime_synchronize(t.rt, NULL, 0, ctrs, N, &got, &t.err) < 0
			       ? t.err.code
			       : NRI_OK;
		assert_int_equal(code, cases[i].code);
		test_close(&t);
		script_done(&t.script);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_may_come_in_frames_of_any_size),
		cmocka_unit_test(a_plugin_may_hang_up_or_stall_at_every_byte),
		cmocka_unit_test(every_byte_may_be_a_lie),
		cmocka_unit_test(strange_answers),
		cmocka_unit_test(an_answer_said_twice_or_too_early_counts_once),
		cmocka_unit_test(an_answer_over_4_mib_is_refused),
		cmocka_unit_test(bad_registrations),
		cmocka_unit_test(subscriptions),
		cmocka_unit_test(an_unimplemented_event_becomes_a_state_change),
		cmocka_unit_test(a_split_synchronize_must_be_acknowledged),
	};
	int failed;

	base = event_base_new();
	failed = cmocka_run_group_tests_name("nri_runtime_wire", tests, NULL, NULL);
	event_base_free(base);
	return failed;
}

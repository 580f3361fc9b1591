/* SPDX-License-Identifier: Apache-2.0 */
/* src/kube/marks: what is known -> what the Node object says -> patches. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "kube/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-01T00:00:00Z */
#define NOW 1767225600

/* A node that is set up, with all that matters then. */
#define DONE(runtime_, plugin_, abi_, served_, late_)                                        \
	{                                                                                    \
		.phase = KF_PHASE_DONE, .runtime = runtime_, .plugin = plugin_, .abi = abi_, \
		.served = KF_SERVED_##served_, .late = late_                                 \
	}

static void the_protocol_as_a_table(void **unused)
{
	static const struct {
		struct kf_facts facts;
		bool present, ready;
		const char *reason;
	} table[] = {
		{{.phase = KF_PHASE_STARTING}, true, false, "SettingUp"},
		{{.phase = KF_PHASE_STARTING, .runtime = true, .plugin = true, .abi = 7},
		 true,
		 false,
		 "SettingUp"},
		{{.phase = KF_PHASE_FAILED, .detail = "why"}, true, false, "SetupFailed"},
		{{.phase = KF_PHASE_UNINSTALLING, .detail = "why"}, true, false, "Uninstalling"},
		{{.phase = KF_PHASE_GONE, .runtime = true, .plugin = true, .abi = 7},
		 false,
		 false,
		 "Uninstalled"},
		{DONE(true, true, 7, ALL, false), true, true, "Ready"},
		{DONE(true, true, 7, ALL, true), true, true, "Ready"},
		/* A kubelet that does not tell is no reason to doubt. */
		{DONE(true, true, 7, UNKNOWN, false), true, true, "Ready"},
		{DONE(true, true, 7, UNKNOWN, true), true, true, "Ready"},
		{DONE(true, true, 7, MISSING, false), true, false, "WaitingForHandlers"},
		{DONE(true, true, 7, MISSING, true), true, false, "HandlersMissing"},
		{DONE(true, false, 7, ALL, false), true, false, "PluginDisconnected"},
		{DONE(false, true, 7, ALL, false), true, false, "RuntimeUnavailable"},
		{DONE(true, true, 0, ALL, false), true, false, "LandlockUnavailable"},
		/* ABI that cannot be told (an old seccomp profile around the agent). */
		{DONE(true, true, -1, ALL, false), true, true, "Ready"},
	};

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(table); i++) {
		struct kf_marks m;

		kf_marks_of(&table[i].facts, true, &m);
		assert_int_equal(m.present, table[i].present);
		assert_int_equal(m.ready, table[i].ready);
		assert_string_equal(m.reason, table[i].reason);
		if (*table[i].facts.detail)
			assert_string_equal(m.message, "why");
		/* Whatever is said, a reason follows. */
		assert_true(*m.message);
		/* Nothing of ours is left on a node that was cleaned up. */
		assert_false(!m.present && (m.ready || m.taint || m.abi));
	}
}

static void the_message_of_a_ready_node_names_the_guarded(void **unused)
{
	struct kf_facts facts = DONE(true, true, 7, ALL, false);
	struct kf_marks m;

	(void)unused;
	(void)snprintf(facts.guarded, sizeof(facts.guarded), "nono-runc other");
	kf_marks_of(&facts, false, &m);
	assert_true(kf_marks_guards(m.message, "nono-runc"));
	assert_true(kf_marks_guards(m.message, "other"));
	assert_false(kf_marks_guards(m.message, "nono"));
	assert_false(kf_marks_guards(m.message, "the"));
	assert_false(kf_marks_guards("nono-runc", "nono-runc"));
	assert_string_equal(m.reason, "Ready");
	/* ... and what profiles the node rejects, which takes nothing from its being ready. */
	(void)snprintf(facts.rejected, sizeof(facts.rejected), "mine (mine.json:1:2: unknown key)");
	kf_marks_of(&facts, false, &m);
	assert_true(m.ready);
	assert_string_equal(m.reason, KF_REASON_REJECTED);
	assert_non_null(strstr(m.message, "mine (mine.json:1:2: unknown key)"));
	assert_true(kf_marks_guards(m.message, "nono-runc"));
	assert_true(kf_marks_guards(m.message, "other"));
	assert_false(kf_marks_guards(m.message, "profiles,"));
	assert_false(kf_marks_guards(m.message, "mine"));
	/* What else is to be said stands behind them, and names none. */
	(void)snprintf(facts.detail, sizeof(facts.detail), "kata is for another release");
	kf_marks_of(&facts, false, &m);
	assert_true(m.ready);
	assert_non_null(strstr(m.message, "unknown key); kata is for another release"));
	assert_true(kf_marks_guards(m.message, "nono-runc"));
	assert_true(kf_marks_guards(m.message, "other"));
	assert_false(kf_marks_guards(m.message, "kata"));
	assert_false(kf_marks_guards(m.message, "is"));
}

/* The patches for @node; NULL is none. */
static void patches(const char *node, const struct kf_marks *m, bool cancelled, const char *object,
		    const char *status)
{
	KF_FREE char *o = NULL;
	KF_FREE char *s = NULL;
	struct kf_err err;

	assert_int_equal(kf_marks_patch(node, m, cancelled, NOW, &o, &s, &err), 0);
	if (object)
		assert_string_equal(o ? o : "none", object);
	else
		assert_null(o);
	if (status)
		assert_string_equal(s ? s : "none", status);
	else
		assert_null(s);
}

#define FALSE_NODE                                                                               \
	"{\"metadata\":{\"resourceVersion\":\"5\",\"labels\":{\"a\":\"b\",\"nono.sh/"            \
	"ready\":\"false\","                                                                     \
	"\"nono.sh/"                                                                             \
	"landlock-abi\":\"7\"}},\"spec\":{\"taints\":[{\"key\":\"x\",\"effect\":\"NoExecute\"}," \
	"{\"key\":\"nono.sh/"                                                                    \
	"agent-not-ready\",\"effect\":\"NoSchedule\"}]},\"status\":{\"conditions\":["            \
	"{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"nono.sh/"                          \
	"Ready\",\"status\":\"False\","                                                          \
	"\"reason\":\"SettingUp\",\"message\":\"m\",\"lastTransitionTime\":\"2025-01-01T00:00:"  \
	"00Z\"}]}}"
#define STAMPS(transition)                                \
	"\"lastHeartbeatTime\":\"2026-01-01T00:00:00Z\"," \
	"\"lastTransitionTime\":\"" transition "\"}]}}"

static void only_the_difference_is_patched(void **unused)
{
	struct kf_marks same = {.present = true, .abi = 7, .taint = true, .reason = "SettingUp"};
	struct kf_marks ready = {.present = true, .ready = true, .abi = 7, .reason = "Ready"};
	struct kf_marks other = {.present = true, .abi = -1, .reason = "SetupFailed"};
	struct kf_marks gone = {.reason = ""};

	(void)unused;
	(void)snprintf(same.message, sizeof(same.message), "m");
	patches(FALSE_NODE, &same, false, NULL, NULL);
	/* The taint goes also without the option, others' stay; the list needs the version. */
	patches(FALSE_NODE, &ready, false,
		"{\"spec\":{\"taints\":[{\"key\":\"x\",\"effect\":\"NoExecute\"}]},\"metadata\":{"
		"\"labels\":{\"nono.sh/ready\":\"true\"},\"resourceVersion\":\"5\"}}",
		"{\"status\":{\"conditions\":[{\"type\":\"nono.sh/Ready\",\"status\":\"True\","
		"\"reason\":\"Ready\",\"message\":\"\"," STAMPS("2026-01-01T00:00:00Z"));
	/* Another reason is no transition. */
	patches(FALSE_NODE, &other, false,
		"{\"metadata\":{\"labels\":{\"nono.sh/landlock-abi\":null}}}",
		"{\"status\":{\"conditions\":[{\"type\":\"nono.sh/Ready\",\"status\":\"False\","
		"\"reason\":\"SetupFailed\",\"message\":\"\"," STAMPS("2025-01-01T00:00:00Z"));
	patches(FALSE_NODE, &gone, true,
		"{\"spec\":{\"taints\":[{\"key\":\"x\",\"effect\":\"NoExecute\"}]},\"metadata\":{"
		"\"labels\":{\"nono.sh/ready\":null,\"nono.sh/"
		"landlock-abi\":null},\"annotations\":{"
		"\"nono.sh/uninstall\":null},\"resourceVersion\":\"5\"}}",
		"{\"status\":{\"conditions\":[{\"type\":\"nono.sh/"
		"Ready\",\"$patch\":\"delete\"}]}}");
}

static void a_bare_node_is_claimed(void **unused)
{
	struct kf_marks m = {.present = true, .abi = -1, .taint = true, .reason = "SettingUp"};
	struct kf_marks gone = {.reason = ""};

	(void)unused;
	patches("{\"metadata\":{\"resourceVersion\":\"1\"}}", &m, false,
		"{\"spec\":{\"taints\":[{\"key\":\"nono.sh/"
		"agent-not-ready\",\"effect\":\"NoSchedule\"}]},"
		"\"metadata\":{\"labels\":{\"nono.sh/"
		"ready\":\"false\"},\"resourceVersion\":\"1\"}}",
		"{\"status\":{\"conditions\":[{\"type\":\"nono.sh/Ready\",\"status\":\"False\","
		"\"reason\":\"SettingUp\",\"message\":\"\"," STAMPS("2026-01-01T00:00:00Z"));
	m.taint = false;
	patches("{\"metadata\":{}}", &m, false,
		"{\"metadata\":{\"labels\":{\"nono.sh/ready\":\"false\"}}}",
		"{\"status\":{\"conditions\":[{\"type\":\"nono.sh/Ready\",\"status\":\"False\","
		"\"reason\":\"SettingUp\",\"message\":\"\"," STAMPS("2026-01-01T00:00:00Z"));
	patches("{\"metadata\":{\"labels\":{}},\"spec\":{}}", &gone, false, NULL, NULL);
}

static void view(const char *node, enum kf_served served, bool uninstall, bool cancelled)
{
	const char *const handlers[] = {"a", "b"};
	struct kf_node_view v;
	struct kf_err err;

	assert_int_equal(kf_marks_view(node, handlers, 2, NOW, &v, &err), 0);
	assert_int_equal(v.served, served);
	assert_int_equal(v.uninstall, uninstall);
	assert_int_equal(v.cancelled, cancelled);
}

#define ASKED(value) "{\"metadata\":{\"annotations\":{\"nono.sh/uninstall\":\"" value "\"}}}"

static void a_node_tells_handlers_and_requests(void **unused)
{
	(void)unused;
	view("{\"metadata\":{}}", KF_SERVED_UNKNOWN, false, false);
	view("{\"metadata\":{},\"status\":{\"runtimeHandlers\":[]}}", KF_SERVED_UNKNOWN, false,
	     false);
	view("{\"metadata\":{},\"status\":{\"runtimeHandlers\":[{\"name\":\"\"},{\"name\":\"a\"}]}"
	     "}",
	     KF_SERVED_MISSING, false, false);
	view("{\"metadata\":{},\"status\":{\"runtimeHandlers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}"
	     "}",
	     KF_SERVED_ALL, false, false);
	view(ASKED("2026-01-01T00:00:01Z"), KF_SERVED_UNKNOWN, true, false);
	view(ASKED("2026-01-01T00:00:00Z"), KF_SERVED_UNKNOWN, false, true); /* run out */
	view(ASKED("cancelled"), KF_SERVED_UNKNOWN, false, true);
	view(ASKED("yes"), KF_SERVED_UNKNOWN, false, true);
}

static void a_request_tells_whose_it_is(void **unused)
{
	static const struct {
		const char *value;
		enum kf_request want;
	} table[] = {
		{NULL, KF_REQUEST_NONE},
		{"", KF_REQUEST_OTHER},
		{"cancelled", KF_REQUEST_OTHER},
		{"2026-01-01T00:05:00Z", KF_REQUEST_OTHER},
		{"2026-01-01T00:05:00Z since", KF_REQUEST_OTHER},
		{"2026-01-01T00:05:00Z since 2025-12-31T23:59:59Z", KF_REQUEST_OTHER},
		{"2026-01-01T00:05:00Z since 2026-01-01T00:00:00Z", KF_REQUEST_OWN},
		{"2026-01-01T00:01:00Z since 2026-01-01T00:00:00Z", KF_REQUEST_OWN},
		{"2026-01-01T00:00:59Z since 2026-01-01T00:00:00Z", KF_REQUEST_STALE},
		{"2025-01-01T00:00:00Z since 2026-01-01T00:00:00Z", KF_REQUEST_STALE},
		{"2026-01-01T00:00:01Z since 2026-01-01T00:00:01Z", KF_REQUEST_LATER},
		{"2026-01-01T00:00:00Z since 2026-01-01T00:00:01Z", KF_REQUEST_OTHER},
	};
	char text[KF_REQUEST_SIZE];

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(table); i++)
		assert_int_equal(kf_marks_request_of(table[i].value, NOW, NOW, 60), table[i].want);
	kf_marks_request_format(NOW + 60, NOW, text);
	assert_string_equal(text, "2026-01-01T00:01:00Z since 2026-01-01T00:00:00Z");
	view(ASKED("2026-01-01T00:01:00Z since 2026-01-01T00:00:00Z"), KF_SERVED_UNKNOWN, true,
	     false);
	view(ASKED("2026-01-01T00:00:00Z since 2025-01-01T00:00:00Z"), KF_SERVED_UNKNOWN, false,
	     true);
}

static void what_is_no_node_is_refused(void **unused)
{
	static const char *const texts[] = {
		"", "{", "[]", "{}", "null", "\"x\"", "{\"metadata\":null}"};
	const struct kf_marks m = {.present = true, .reason = "x"};
	const char *const handlers[] = {"a"};
	char *object = NULL, *status = NULL;
	struct kf_node_view v;
	struct kf_err err;

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++) {
		assert_int_equal(kf_marks_view(texts[i], handlers, 1, NOW, &v, &err), -1);
		assert_int_equal(kf_marks_patch(texts[i], &m, false, NOW, &object, &status, &err),
				 -1);
		assert_null(object);
	}
	/* Wrong types are as good as absent. */
	assert_int_equal(
		kf_marks_patch("{\"metadata\":{\"labels\":[1],\"annotations\":3},\"spec\":[],"
			       "\"status\":{\"conditions\":{},\"runtimeHandlers\":\"x\"}}",
			       &m, false, NOW, &object, &status, &err),
		0);
	assert_non_null(object);
	free(object);
	free(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_protocol_as_a_table),
		cmocka_unit_test(the_message_of_a_ready_node_names_the_guarded),
		cmocka_unit_test(only_the_difference_is_patched),
		cmocka_unit_test(a_bare_node_is_claimed),
		cmocka_unit_test(a_node_tells_handlers_and_requests),
		cmocka_unit_test(a_request_tells_whose_it_is),
		cmocka_unit_test(what_is_no_node_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

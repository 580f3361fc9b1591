/* SPDX-License-Identifier: Apache-2.0 */
/* src/kubefence/agent/state.h: what the agent concludes from each result of its jobs. */
#include "base/cleanup.h"
#include "base/log.h"
#include "kf_test.h"
#include "kubefence/agent/state.h"

#include <stdio.h>
#include <string.h>

#define NOW 1000

static const struct kf_agent_options options = {.node_name = "n", .period = 30};

static struct kf_agent_state fresh(void)
{
	return (struct kf_agent_state){
		.options = &options, .facts = {.abi = -1}, .next = KF_WORK_INSTALL};
}

/* One answer of the API about what was just sent. */
static void api(struct kf_agent_state *s, bool ok, const struct kf_node_view *view, time_t now)
{
	struct kf_api_result r = {.ok = ok, .error = "no", .view = *view};

	kf_agent_order_api(s);
	kf_agent_take_api(s, &r, "", now);
}

static struct kf_work_result good(void)
{
	struct kf_work_result r = {.ok = true, .runtime = true, .abi = 7, .nhandlers = 1};

	(void)snprintf(r.handlers[0], sizeof(r.handlers[0]), "nono-runc");
	return r;
}

/* Do what is next on the node, with this result. */
static bool work(struct kf_agent_state *s, const struct kf_work_result *r, time_t now)
{
	kf_agent_order_node(s);
	assert_int_equal(s->next, KF_WORK_NONE);
	return kf_agent_take_node(s, r, now);
}

static struct kf_agent_state done(void)
{
	const struct kf_node_view served = {.served = KF_SERVED_ALL};
	struct kf_agent_state s = fresh();
	struct kf_work_result r = good();

	api(&s, true, &served, NOW);
	assert_true(work(&s, &r, NOW));
	api(&s, true, &served, NOW);
	s.timers = (struct kf_agent_timers){0};
	return s;
}

static void the_node_is_touched_only_once_the_object_says_so(void **state)
{
	const struct kf_node_view view = {0};
	struct kf_agent_state s = fresh();

	(void)state;
	assert_false(s.claimed);
	api(&s, true, &view, NOW);
	assert_true(s.claimed);
	/* What was sent before the phase changed says nothing about the new one. */
	kf_agent_order_api(&s);
	kf_agent_claim(&s, KF_PHASE_UNINSTALLING, KF_WORK_UNINSTALL, "x");
	assert_false(s.claimed);
	kf_agent_take_api(&s, &(struct kf_api_result){.ok = true, .view = {.uninstall = true}}, "",
			  NOW);
	assert_false(s.claimed);
	/* An API server that is away does not stop a node from being set up. */
	api(&s, false, &view, NOW);
	assert_true(s.claimed);
}

static void an_installed_node_is_looked_at_every_period(void **state)
{
	struct kf_agent_state s = fresh();
	struct kf_work_result r = good();

	(void)state;
	assert_true(work(&s, &r, NOW));
	assert_int_equal(s.facts.phase, KF_PHASE_DONE);
	assert_string_equal(s.facts.guarded, "nono-runc");
	assert_int_equal(s.timers.check, 30);
	assert_true(s.api_due);
	r.runtime = false; /* it comes up: soon */
	s.next = KF_WORK_CHECK;
	assert_true(work(&s, &r, NOW));
	assert_int_equal(s.timers.check, KF_AGENT_SOON);
}

static void a_failed_set_up_is_tried_again_later_and_later(void **state)
{
	struct kf_work_result r = {.message = "no", .abi = -1};
	struct kf_agent_state s = fresh();

	(void)state;
	for (unsigned i = 0, want = 10; i<8; i++, want = want * 2> 300 ? 300 : want * 2) {
		assert_false(work(&s, &r, NOW));
		assert_int_equal(s.facts.phase, KF_PHASE_FAILED);
		assert_string_equal(s.facts.detail, "no");
		assert_int_equal(s.timers.node, want);
		kf_agent_retry_node(&s);
		assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
		assert_int_equal(s.next, KF_WORK_INSTALL);
		assert_false(s.claimed);
	}
}

static void what_others_change_is_repaired_at_once_and_then_not_at_once(void **state)
{
	struct kf_work_result drift = {.drift = true, .message = "changed", .abi = 7};
	struct kf_work_result r = good();
	struct kf_agent_state s = done();

	(void)state;
	s.next = KF_WORK_CHECK;
	assert_false(work(&s, &drift, NOW));
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
	assert_int_equal(s.next, KF_WORK_INSTALL);
	assert_true(work(&s, &r, NOW));
	s.next = KF_WORK_CHECK;
	assert_false(work(&s, &drift, NOW + 600));
	assert_int_equal(s.facts.phase, KF_PHASE_FAILED);
	assert_int_equal(s.timers.node, 10);
	kf_agent_retry_node(&s);
	assert_true(work(&s, &r, NOW + 610));
	s.next = KF_WORK_CHECK;
	assert_false(work(&s, &drift, NOW + 600 + 601));
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
}

static void a_request_to_uninstall_is_followed_and_can_be_taken_back(void **state)
{
	const struct kf_node_view asked = {.uninstall = true, .served = KF_SERVED_ALL},
				  not = {.served = KF_SERVED_ALL}, cancelled = {.cancelled = true};
	struct kf_work_result r = {.ok = false, .message = "pods run", .abi = -1};
	struct kf_agent_state s = done();

	(void)state;
	api(&s, true, &asked, NOW);
	assert_int_equal(s.facts.phase, KF_PHASE_UNINSTALLING);
	assert_int_equal(s.next, KF_WORK_UNINSTALL);
	assert_false(work(&s, &r, NOW));
	assert_int_equal(s.timers.node, 5);
	kf_agent_retry_node(&s);
	assert_int_equal(s.next, KF_WORK_UNINSTALL);
	assert_string_equal(s.facts.detail, "pods run");
	/* ... but not before the object was read again: the request may be over. */
	assert_false(s.claimed);
	assert_true(s.api_due);
	api(&s, true, &not, NOW);
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
	assert_int_equal(s.next, KF_WORK_INSTALL);
	api(&s, true, &asked, NOW);
	assert_int_equal(s.next, KF_WORK_UNINSTALL);
	/* Taken back while it is still at work. */
	kf_agent_order_node(&s);
	api(&s, true, &not, NOW);
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
	r.ok = true;
	assert_false(kf_agent_take_node(&s, &r, NOW));
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
	assert_int_equal(s.next, KF_WORK_INSTALL);

	s = done();
	api(&s, true, &asked, NOW);
	r.ok = true;
	assert_false(work(&s, &r, NOW));
	assert_int_equal(s.facts.phase, KF_PHASE_GONE);
	api(&s, true, &not, NOW);
	assert_int_equal(s.facts.phase, KF_PHASE_GONE);
	api(&s, true, &cancelled, NOW);
	assert_int_equal(s.facts.phase, KF_PHASE_STARTING);
}

static void an_api_server_that_is_away_is_asked_less_and_less(void **state)
{
	const struct kf_node_view view = {.served = KF_SERVED_ALL};
	struct kf_agent_state s = done();

	(void)state;
	for (unsigned i = 0, want = 1; i<8; i++, want = want * 2> 30 ? 30 : want * 2) {
		kf_agent_order_api(&s);
		kf_agent_take_api(&s, NULL, "away", NOW);
		assert_true(s.api_failing);
		assert_int_equal(s.timers.api, want);
	}
	api(&s, true, &view, NOW);
	assert_false(s.api_failing);
	assert_int_equal(s.api_backoff, 0);
	assert_int_equal(s.timers.api, 30);
}

static void an_answer_without_an_end_is_no_answer(void **state)
{
	struct kf_agent_state s = fresh();
	struct kf_api_result r = {.ok = true};

	(void)state;
	memset(r.marks.message, 'x', sizeof(r.marks.message));
	kf_agent_order_api(&s);
	kf_agent_take_api(&s, &r, "nothing", NOW);
	assert_true(s.api_failing);
	assert_false(s.is_published);
}

static void handlers_that_the_kubelet_does_not_list_are_late_after_two_minutes(void **state)
{
	const struct kf_node_view missing = {.served = KF_SERVED_MISSING},
				  all = {.served = KF_SERVED_ALL};
	struct kf_agent_state s = done();

	(void)state;
	api(&s, true, &missing, NOW);
	assert_false(s.facts.late);
	assert_int_equal(s.timers.api, KF_AGENT_SOON);
	api(&s, true, &missing, NOW + 120);
	assert_false(s.facts.late);
	api(&s, true, &missing, NOW + 121);
	assert_true(s.facts.late);
	assert_int_equal(s.timers.api, 30);
	api(&s, true, &all, NOW + 122);
	assert_false(s.facts.late);
}

static void only_an_installed_node_is_checked(void **state)
{
	static const enum kf_phase phases[] = {KF_PHASE_STARTING, KF_PHASE_FAILED,
					       KF_PHASE_UNINSTALLING, KF_PHASE_GONE};
	struct kf_agent_state s = done();

	(void)state;
	kf_agent_want_check(&s);
	assert_int_equal(s.next, KF_WORK_CHECK);
	for (size_t i = 0; i < KF_ARRAY_SIZE(phases); i++) {
		s = done();
		s.facts.phase = phases[i];
		kf_agent_want_check(&s);
		assert_int_equal(s.next, KF_WORK_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_node_is_touched_only_once_the_object_says_so),
		cmocka_unit_test(an_installed_node_is_looked_at_every_period),
		cmocka_unit_test(a_failed_set_up_is_tried_again_later_and_later),
		cmocka_unit_test(what_others_change_is_repaired_at_once_and_then_not_at_once),
		cmocka_unit_test(a_request_to_uninstall_is_followed_and_can_be_taken_back),
		cmocka_unit_test(an_api_server_that_is_away_is_asked_less_and_less),
		cmocka_unit_test(an_answer_without_an_end_is_no_answer),
		cmocka_unit_test(
			handlers_that_the_kubelet_does_not_list_are_late_after_two_minutes),
		cmocka_unit_test(only_an_installed_node_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

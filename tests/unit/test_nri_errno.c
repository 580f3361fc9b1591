/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp policies for runtimes that crash on error numbers: nothing becomes allowed. */
#include "kf_test.h"
#include "nri-plan/errno.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The action of the first rule without conditions that names @call, or NULL. */
static const char *action_of(const struct kf_seccomp *policy, const char *call)
{
	for (size_t i = 0; i < policy->nrules; i++)
		for (size_t k = 0; k < policy->rules[i].nnames; k++)
			if (!policy->rules[i].nargs && strcmp(policy->rules[i].names[k], call) == 0)
				return policy->rules[i].action;
	return NULL;
}

static void what_was_denied_stays_denied(void **state)
{
	static const enum kf_seccomp_level levels[] = {KF_SECCOMP_LEVEL_RUNTIME_DEFAULT,
						       KF_SECCOMP_LEVEL_AGENT,
						       KF_SECCOMP_LEVEL_RESTRICTED};

	(void)state;
	for (size_t l = 0; l < KF_ARRAY_SIZE(levels); l++) {
		const struct kf_seccomp *policy = kf_seccomp_builtin(levels[l], KF_SECCOMP_ARCH);
		const struct kf_seccomp *safe;
		struct kf_arena arena;
		struct kf_err err;

		kf_arena_init(&arena, 1 << 20);
		assert_int_equal(kf_nri_seccomp_without_errno(policy, &arena, &safe, &err), 0);
		assert_string_equal(safe->default_action, policy->default_action);
		for (size_t i = 0; i < safe->nrules; i++) {
			assert_false(safe->rules[i].has_errno);
			assert_true(safe->rules[i].nnames > 0);
		}
		assert_string_equal(action_of(policy, "clone3"), "SCMP_ACT_ERRNO");
		assert_string_equal(action_of(safe, "clone3"), "SCMP_ACT_TRACE");
		/* A tracer could let traced calls through. */
		assert_null(action_of(safe, "ptrace"));
		assert_string_equal(action_of(safe, "read"), "SCMP_ACT_ALLOW");
		assert_null(action_of(safe, "mount"));
		kf_arena_done(&arena);
	}
}

static void other_numbers_become_the_default(void **state)
{
	static const char *const names[] = {"chmod"}, *const traced[] = {"ptrace"};
	static const struct kf_seccomp_rule rules[] = {
		{.names = names,
		 .nnames = 1,
		 .action = "SCMP_ACT_ERRNO",
		 .has_errno = true,
		 .errno_ret = EACCES},
		{.names = traced, .nnames = 1, .action = "SCMP_ACT_ALLOW"},
	};
	static const struct kf_seccomp policy = {
		.default_action = "SCMP_ACT_ALLOW", .rules = rules, .nrules = 2};
	const struct kf_seccomp *safe;
	struct kf_arena arena;
	struct kf_err err;

	(void)state;
	kf_arena_init(&arena, 1 << 20);
	assert_int_equal(kf_nri_seccomp_without_errno(&policy, &arena, &safe, &err), 0);
	assert_string_equal(action_of(safe, "chmod"), "SCMP_ACT_ERRNO");
	assert_false(safe->rules[0].has_errno);
	/* Nothing is traced, so nothing is taken. */
	assert_string_equal(action_of(safe, "ptrace"), "SCMP_ACT_ALLOW");
	kf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_denied_stays_denied),
		cmocka_unit_test(other_numbers_become_the_default),
	};

	return cmocka_run_group_tests_name("nri_errno", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/policy/seccomp*: the built-in levels, evaluation, intersection and its laws. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "kf_test.h"
#include "policy/seccomp.h"
#include "policy/seccomp_table.h"
#include "random_seccomp.h"

#include <errno.h>
#include <string.h>

#define X86 "SCMP_ARCH_X86_64"
#define ARM "SCMP_ARCH_AARCH64"

static const struct kf_seccomp *level(const char *name)
{
	enum kf_seccomp_level l = KF_SECCOMP_LEVEL_NONE;

	assert_true(kf_seccomp_level_parse(name, &l));
	return kf_seccomp_builtin(l, KF_SECCOMP_ARCH);
}

static struct kf_seccomp_verdict eval(const struct kf_seccomp *policy, const char *name,
				      uint64_t arg0)
{
	const struct kf_seccomp_call call = {
		.arch = KF_SECCOMP_ARCH_SCMP, .name = name, .args = {arg0}};

	return kf_seccomp_eval(policy, &call);
}

/* 0 = allowed, an errno, or -1 for anything else. */
static int outcome(const struct kf_seccomp *policy, const char *name, uint64_t arg0)
{
	struct kf_seccomp_verdict v = eval(policy, name, arg0);

	if (strcmp(v.action, ALLOW) == 0)
		return 0;
	return strcmp(v.action, ERRNO) == 0 ? (int)v.data : -1;
}

static void levels_answer_as_decided(void **state)
{
	static const struct {
		const char *name;
		uint64_t arg0;
		int runtime_default, restricted, agent;
	} cases[] = {
		{"read", 0, 0, 0, 0},
		{"landlock_restrict_self", 0, 0, 0, 0},
		{"clone", 0x11, 0, 0, 0},
		{"clone", 0x10000011, EPERM, EPERM, EPERM},
		{"clone3", 0, ENOSYS, ENOSYS, ENOSYS},
		{"unshare", 0x10000000, EPERM, EPERM, EPERM},
		{"socket", 2, 0, 0, 0},
		{"socket", 38, EPERM, EPERM, EPERM},
		{"socket", 40, EPERM, EPERM, EPERM},
		{"socket", 0x100000028, EPERM, EPERM, EPERM},
		{"personality", 0xffffffff, 0, 0, 0},
		{"personality", 0x40000, EPERM, EPERM, EPERM},
		{"ptrace", 0, 0, EPERM, EPERM},
		{"seccomp", 0, 0, EPERM, EPERM},
		{"seccomp", 1, 0, EPERM, 0},
		{"seccomp", 0x100000001, 0, EPERM, EPERM},
		{"pidfd_getfd", 0, EPERM, EPERM, EPERM},
		{"io_uring_setup", 0, EPERM, EPERM, EPERM},
		{"process_vm_readv", 0, EPERM, EPERM, EPERM},
		{"listns", 0, ENOSYS, ENOSYS, ENOSYS},
		{"no_such_call", 0, EPERM, EPERM, EPERM},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		const char *name = cases[i].name;

		assert_int_equal(outcome(level("runtime-default"), name, cases[i].arg0),
				 cases[i].runtime_default);
		assert_int_equal(outcome(level("restricted"), name, cases[i].arg0),
				 cases[i].restricted);
		assert_int_equal(outcome(level("agent"), name, cases[i].arg0), cases[i].agent);
	}
}

static void every_architecture_has_every_level(void **state)
{
	(void)state;
	assert_int_equal(kf_nseccomp_tables, 2);
	assert_null(kf_seccomp_builtin(KF_SECCOMP_LEVEL_NONE, "x86_64"));
	assert_null(kf_seccomp_builtin(KF_SECCOMP_LEVEL_RESTRICTED, "riscv64"));
	for (size_t i = 0; i < kf_nseccomp_tables; i++) {
		const char *arch = kf_seccomp_tables[i].arch;

		for (int l = KF_SECCOMP_LEVEL_RUNTIME_DEFAULT; l <= KF_SECCOMP_LEVEL_RESTRICTED;
		     l++) {
			const struct kf_seccomp *p =
				kf_seccomp_builtin((enum kf_seccomp_level)l, arch);
			struct kf_err err = {0};

			assert_non_null(p);
			assert_int_equal(p->narchitectures, 1);
			assert_string_equal(p->architectures[0],
					    strcmp(arch, "x86_64") == 0 ? X86 : ARM);
			assert_string_equal(p->default_action, ERRNO);
			assert_int_equal(kf_seccomp_check(p, &err), 0);
		}
	}
}

static void other_abis_are_killed(void **state)
{
	const struct kf_seccomp_call call = {.arch = "SCMP_ARCH_X86", .name = "getpid"};

	(void)state;
	assert_string_equal(kf_seccomp_eval(level("restricted"), &call).action,
			    "SCMP_ACT_KILL_THREAD");
}

static void launcher_can_start_under_every_level(void **state)
{
	static const char *const most[] = {"landlock_add_rule",
					   "prctl",
					   "openat",
					   "openat2",
					   "getdents64",
					   "fstat",
					   "fstatfs",
					   "newfstatat",
					   "readlink",
					   "readlinkat",
					   "arch_prctl",
					   "read",
					   "lseek",
					   "prlimit64"};
	const struct kf_seccomp_rule rule = {
		.names = most, .nnames = KF_ARRAY_SIZE(most), .action = ALLOW};
	const struct kf_seccomp policy = {.default_action = ERRNO, .rules = &rule, .nrules = 1};

	(void)state;
	assert_string_equal(kf_seccomp_launcher_denied(level("runtime-default"), &arena), "");
	assert_string_equal(kf_seccomp_launcher_denied(level("restricted"), &arena), "");
	assert_string_equal(kf_seccomp_launcher_denied(level("agent"), &arena), "");
	assert_string_equal(kf_seccomp_launcher_denied(&policy, &arena),
			    "landlock_create_ruleset, landlock_restrict_self, execve");
}

/* --- random policies ------------------------------------------------------ */

static struct kf_seccomp intersect(const struct kf_seccomp *a, const struct kf_seccomp *b)
{
	struct kf_seccomp ret = {0};
	struct kf_err err = {0};

	assert_int_equal(kf_seccomp_check(a, &err), 0);
	assert_int_equal(kf_seccomp_check(b, &err), 0);
	assert_int_equal(kf_seccomp_intersect(a, b, &arena, &ret, &err), 0);
	assert_int_equal(kf_seccomp_check(&ret, &err), 0);
	return ret;
}

static bool same(struct kf_seccomp_verdict a, struct kf_seccomp_verdict b)
{
	return kf_seccomp_action_compare(a.action, b.action) == 0 && a.data == b.data;
}

#define ROUNDS 4000
#define CALLS  40

static void intersection_is_never_weaker_than_either(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct kf_seccomp a, b, ab, ba;

		seed = (uint64_t)i;
		kf_arena_reset(&arena);
		a = random_policy(false);
		b = random_policy(false);
		ab = intersect(&a, &b);
		ba = intersect(&b, &a);
		for (int k = 0; k < CALLS; k++) {
			struct kf_seccomp_call call;
			struct kf_seccomp_verdict v;

			random_call(&call);
			v = kf_seccomp_eval(&ab, &call);
			if (kf_seccomp_action_compare(v.action, kf_seccomp_eval(&a, &call).action) <
				    0 ||
			    kf_seccomp_action_compare(v.action, kf_seccomp_eval(&b, &call).action) <
				    0)
				fail_msg("seed %d: %s is weaker", i, call.name);
			if (!same(v, kf_seccomp_eval(&ba, &call)))
				fail_msg("seed %d: %s depends on the order", i, call.name);
		}
	}
}

/* For policies as they are written in practice nothing is lost either. */
static void intersection_of_allow_lists_is_idempotent(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct kf_seccomp a, b, aa, ab, abb;

		seed = (uint64_t)i;
		kf_arena_reset(&arena);
		a = random_policy(true);
		b = random_policy(true);
		aa = intersect(&a, &a);
		ab = intersect(&a, &b);
		abb = intersect(&ab, &b);
		for (int k = 0; k < CALLS; k++) {
			struct kf_seccomp_call call;

			random_call(&call);
			if (!same(kf_seccomp_eval(&aa, &call), kf_seccomp_eval(&a, &call)))
				fail_msg("seed %d: %s changed", i, call.name);
			if (!same(kf_seccomp_eval(&abb, &call), kf_seccomp_eval(&ab, &call)))
				fail_msg("seed %d: %s changed the second time", i, call.name);
		}
	}
}

static void levels_intersect_to_the_stricter_one(void **state)
{
	static const char *const names[] = {"clone",	      "clone3", "socket", "personality",
					    "seccomp",	      "ptrace", "read",	  "mount",
					    "io_uring_setup", "listns"};
	const struct kf_seccomp *rd = level("runtime-default"), *re = level("restricted");
	struct kf_seccomp both = intersect(rd, re), self = intersect(rd, rd);

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		for (uint64_t arg = 0; arg < 50; arg++) {
			uint64_t flag = UINT64_C(1) << arg;

			assert_int_equal(outcome(&both, names[i], arg), outcome(re, names[i], arg));
			assert_int_equal(outcome(&both, names[i], flag),
					 outcome(re, names[i], flag));
			assert_int_equal(outcome(&self, names[i], arg), outcome(rd, names[i], arg));
			assert_int_equal(outcome(&self, names[i], flag),
					 outcome(rd, names[i], flag));
		}
	}
	/* The same size too: one rule for all names, one a condition. */
	assert_true(self.nrules <= rd->nrules);
}

/* What people write into Localhost profiles: allow all but. */
static void deny_lists_are_taken_out_of_ours(void **state)
{
	static const char *const denied[] = {"chmod", "socket"};
	static const struct kf_seccomp_arg netlink = {.index = 0, .value = 16, .op = "SCMP_CMP_EQ"};
	const struct kf_seccomp_rule rules[] = {
		{.names = denied,
		 .nnames = 1,
		 .action = ERRNO,
		 .has_errno = true,
		 .errno_ret = EACCES},
		{.names = denied + 1, .nnames = 1, .action = KILL, .args = &netlink, .nargs = 1},
	};
	const struct kf_seccomp theirs = {.default_action = ALLOW, .rules = rules, .nrules = 2};
	struct kf_seccomp both = intersect(level("restricted"), &theirs);

	(void)state;
	assert_int_equal(outcome(&both, "chmod", 0),
			 strcmp(KF_SECCOMP_ARCH, "x86_64") == 0 ? EACCES : EPERM);
	assert_int_equal(outcome(&both, "fchmod", 0), 0);
	assert_int_equal(outcome(&both, "socket", 2), 0);
	assert_int_equal(outcome(&both, "socket", 40), EPERM);
	assert_string_equal(eval(&both, "socket", 16).action, KILL);
	assert_int_equal(outcome(&both, "mount", 0), EPERM);
}

static void architectures_flags_and_listeners_are_merged(void **state)
{
	static const char *const x86[] = {X86, "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
	static const char *const more[] = {"SCMP_ARCH_X86", X86};
	static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG",
					    "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
	struct kf_seccomp a = {.default_action = ERRNO,
			       .architectures = x86,
			       .narchitectures = 3,
			       .flags = flags,
			       .nflags = 2};
	struct kf_seccomp b = {.default_action = ERRNO,
			       .architectures = more,
			       .narchitectures = 2,
			       .listener_path = "/run/a"};
	struct kf_seccomp ret = intersect(&a, &b);
	struct kf_err err = {0};

	(void)state;
	assert_string_equal(ret.architectures[0], KF_SECCOMP_ARCH_SCMP);
	assert_string_equal(ret.architectures[ret.narchitectures - 1], "SCMP_ARCH_X86");
	assert_int_equal(ret.nflags, 1);
	assert_string_equal(ret.flags[0], "SECCOMP_FILTER_FLAG_LOG");
	assert_string_equal(ret.listener_path, "/run/a");
	a.listener_path = "/run/b";
	assert_int_equal(kf_seccomp_intersect(&a, &b, &arena, &ret, &err), -1);
	assert_non_null(strstr(err.msg, "two listeners"));
}

static void unknown_words_are_refused(void **state)
{
	static const char *const names[] = {"read"};
	struct kf_seccomp_arg arg = {.index = 0, .op = "SCMP_CMP_EQ"};
	struct kf_seccomp_rule rule = {
		.names = names, .nnames = 1, .action = ALLOW, .args = &arg, .nargs = 1};
	struct kf_seccomp p = {.default_action = ERRNO, .rules = &rule, .nrules = 1};
	struct kf_err err = {0};

	(void)state;
	assert_int_equal(kf_seccomp_check(&p, &err), 0);
	p.default_action = "";
	assert_int_equal(kf_seccomp_check(&p, &err), -1);
	p.default_action = ERRNO;
	rule.action = "SCMP_ACT_MAYBE";
	assert_int_equal(kf_seccomp_check(&p, &err), -1);
	rule.action = ALLOW;
	arg.op = "SCMP_CMP_ISH";
	assert_int_equal(kf_seccomp_check(&p, &err), -1);
	arg.op = "SCMP_CMP_EQ";
	arg.index = 6;
	assert_int_equal(kf_seccomp_check(&p, &err), -1);
}

static void too_complicated_becomes_strict_not_weak(void **state)
{
	static const char *const names[] = {"ioctl"};
	struct kf_seccomp_arg args[200];
	struct kf_seccomp_rule rules[200];
	struct kf_seccomp p = {.default_action = ALLOW, .rules = rules, .nrules = 200}, both;

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		args[i] = (struct kf_seccomp_arg){.index = 1, .value = i, .op = "SCMP_CMP_EQ"};
		rules[i] = (struct kf_seccomp_rule){
			.names = names, .nnames = 1, .action = ERRNO, .args = &args[i], .nargs = 1};
	}
	both = intersect(level("restricted"), &p);
	assert_int_equal(outcome(&both, "ioctl", 0), EPERM);
	assert_int_equal(outcome(&both, "read", 0), 0);
}

static int setup(void **state)
{
	(void)state;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_answer_as_decided),
		cmocka_unit_test(every_architecture_has_every_level),
		cmocka_unit_test(other_abis_are_killed),
		cmocka_unit_test(launcher_can_start_under_every_level),
		cmocka_unit_test(intersection_is_never_weaker_than_either),
		cmocka_unit_test(intersection_of_allow_lists_is_idempotent),
		cmocka_unit_test(levels_intersect_to_the_stricter_one),
		cmocka_unit_test(deny_lists_are_taken_out_of_ours),
		cmocka_unit_test(architectures_flags_and_listeners_are_merged),
		cmocka_unit_test(unknown_words_are_refused),
		cmocka_unit_test(too_complicated_becomes_strict_not_weak),
	};

	return cmocka_run_group_tests_name("seccomp", tests, setup, teardown);
}

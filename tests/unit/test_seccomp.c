/* SPDX-License-Identifier: Apache-2.0 */
/* src/seccomp/seccomp*: the built-in levels, evaluation, intersection and its laws. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "kf_test.h"
#include "random_seccomp.h"
#include "seccomp/launcher.h"
#include "seccomp/seccomp.h"
#include "seccomp/table.h"

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

static const char *launcher_denied(const struct kf_seccomp *policy)
{
	const char *list;
	struct kf_err err = {0};

	assert_int_equal(kf_seccomp_check(policy, &err), 0);
	list = kf_seccomp_launcher_denied(policy, &arena);
	assert_non_null(list);
	return list;
}

static void launcher_can_start_under_every_level(void **state)
{
	(void)state;
	assert_string_equal(launcher_denied(level("runtime-default")), "");
	assert_string_equal(launcher_denied(level("restricted")), "");
	assert_string_equal(launcher_denied(level("agent")), "");
}

static void launcher_calls_are_sorted_and_of_both_kinds(void **state)
{
	size_t n, optional = 0;
	const struct kf_launcher_call *calls = kf_seccomp_launcher_calls(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		optional += calls[i].use == KF_CALL_OPTIONAL;
		assert_true(i == 0 || strcmp(calls[i - 1].name, calls[i].name) < 0);
	}
	assert_in_range(optional, 1, n - 1);
}

static const struct {
	const char *action;
	bool has_errno;
	uint32_t errno_ret;
	bool needed, optional; /* may a call of the launcher's be answered so? */
} answers[] = {
	{ALLOW, false, 0, true, true},
	{"SCMP_ACT_LOG", false, 0, true, true},
	{ERRNO, false, 0, false, true}, /* EPERM */
	{ERRNO, true, EPERM, false, true},
	{ERRNO, true, ENOSYS, false, true},
	{ERRNO, true, 0, false, false},
	{ERRNO, true, ENOENT, false, false},
	{ERRNO, true, EACCES, false, false},
	{ERRNO, true, 117, false, false},
	{"SCMP_ACT_KILL", false, 0, false, false},
	{"SCMP_ACT_KILL_THREAD", false, 0, false, false},
	{KILL, false, 0, false, false},
	{"SCMP_ACT_TRAP", false, 0, false, false},
	{"SCMP_ACT_TRACE", true, ENOSYS, false, false},
	{"SCMP_ACT_NOTIFY", false, 0, false, false},
};

/* Conditions of every kind, on each argument; among them some that never hold, which the
 * next reader may know better. */
static size_t conditions(struct kf_seccomp_arg *ret)
{
	static const struct {
		const char *op;
		uint64_t value, value_two;
	} c[] = {
		{"SCMP_CMP_EQ", 0, 0},
		{"SCMP_CMP_EQ", 0x6b666e6f, 0},
		{"SCMP_CMP_NE", 0, 0},
		{"SCMP_CMP_NE", UINT64_MAX, 0},
		{"SCMP_CMP_GE", 0, 0},
		{"SCMP_CMP_GE", 1, 0},
		{"SCMP_CMP_GT", 1000000, 0},
		{"SCMP_CMP_GT", UINT64_MAX, 0},
		{"SCMP_CMP_LE", 22, 0},
		{"SCMP_CMP_LE", UINT64_MAX, 0},
		{"SCMP_CMP_LT", 0, 0},
		{"SCMP_CMP_LT", 1, 0},
		{"SCMP_CMP_MASKED_EQ", 0, 0},
		{"SCMP_CMP_MASKED_EQ", 1, 2},
		{"SCMP_CMP_MASKED_EQ", UINT64_C(1) << 40, 0},
	};
	size_t n = 0;

	for (uint32_t index = 0; index < 6; index++)
		for (size_t i = 0; i < KF_ARRAY_SIZE(c); i++)
			ret[n++] = (struct kf_seccomp_arg){.index = index,
							   .op = c[i].op,
							   .value = c[i].value,
							   .value_two = c[i].value_two};
	return n;
}

static bool ever_holds(const struct kf_seccomp_rule *rule, const char *name)
{
	static const uint64_t values[] = {0, 1, 23, 1000001, UINT64_C(1) << 40, UINT64_MAX};
	const struct kf_seccomp p = {.default_action = ALLOW, .rules = rule, .nrules = 1};
	bool ever = false;

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++) {
		const uint64_t v = values[i];
		const struct kf_seccomp_call call = {
			.arch = KF_SECCOMP_ARCH_SCMP, .name = name, .args = {v, v, v, v, v, v}};

		ever |= strcmp(kf_seccomp_eval(&p, &call).action, ALLOW) != 0;
	}
	return ever;
}

/* A rule about @name in a policy that allows the rest, before and after one that allows
 * the call: runtimes differ in which of the two counts. */
static void assert_rule(const char *name, size_t answer, const struct kf_seccomp_arg *args,
			size_t nargs, bool fine)
{
	static const char *const others[] = {"alpha", "clone3"};
	const char *const names[] = {"alpha", name, "beta"};
	const struct kf_seccomp_rule rule = {.names = names,
					     .nnames = KF_ARRAY_SIZE(names),
					     .action = answers[answer].action,
					     .has_errno = answers[answer].has_errno,
					     .errno_ret = answers[answer].errno_ret,
					     .args = args,
					     .nargs = nargs};
	const struct kf_seccomp_rule deny = {.names = others, .nnames = 2, .action = KILL};
	const struct kf_seccomp_rule allow = {.names = names, .nnames = 3, .action = ALLOW};
	const struct kf_seccomp_rule first[] = {rule, deny, allow}, last[] = {allow, deny, rule};
	struct kf_seccomp p = {.default_action = ALLOW, .rules = first, .nrules = 2};
	struct kf_seccomp both;

	for (int i = 0; i < 4; i++) {
		if (strcmp(launcher_denied(&p), fine ? "" : name) != 0)
			fail_msg("%s %s %u, %zu conditions: '%s'", name, rule.action,
				 rule.errno_ret, nargs, launcher_denied(&p));
		p.default_action = i ? ALLOW : "SCMP_ACT_LOG";
		p.rules = i > 1 ? last : first;
		p.nrules = i ? 3 : 2;
	}
	/* Nor does the level hide it, unless the condition can never hold: what the
	 * runtime gets is the intersection.  One argument for all, for the sake of time. */
	if (!fine && (!nargs || (nargs == 1 && args->index == 5))) {
		both = intersect(level("restricted"), &p);
		assert_true(strcmp(launcher_denied(&both), name) == 0 || !ever_holds(&rule, name));
	}
	kf_arena_reset(&arena);
}

static void no_answer_that_the_pod_could_give_is_believed(void **state)
{
	struct kf_seccomp_arg args[90];
	size_t ncalls, nargs = conditions(args);
	const struct kf_launcher_call *calls = kf_seccomp_launcher_calls(&ncalls);

	(void)state;
	assert_int_equal(nargs, KF_ARRAY_SIZE(args));
	for (size_t c = 0; c < ncalls; c++) {
		for (size_t a = 0; a < KF_ARRAY_SIZE(answers); a++) {
			const bool fine = calls[c].use == KF_CALL_NEEDED ? answers[a].needed
									 : answers[a].optional;

			assert_rule(calls[c].name, a, NULL, 0, fine);
			for (size_t i = 0; i < nargs; i++)
				assert_rule(calls[c].name, a, &args[i], 1, fine);
			for (size_t i = 0; i + 1 < nargs; i++)
				assert_rule(calls[c].name, a, &args[i], 2, fine);
		}
	}
	/* What the launcher does not call is the pod's own business. */
	for (size_t a = 0; a < KF_ARRAY_SIZE(answers); a++)
		assert_rule("mount", a, NULL, 0, true);
}

/* What no rule decides for all arguments, the default action may answer. */
static void default_actions_count_for_calls_that_no_rule_decides(void **state)
{
	const struct kf_seccomp_arg arg = {.index = 0, .value = 1, .op = "SCMP_CMP_GE"};
	size_t n;
	const struct kf_launcher_call *calls = kf_seccomp_launcher_calls(&n);

	(void)state;
	for (size_t skip = 0; skip < n; skip++) {
		const char *names[64];
		size_t nnames = 0;

		for (size_t i = 0; i < n; i++)
			if (i != skip)
				names[nnames++] = calls[i].name;
		for (size_t a = 0; a < KF_ARRAY_SIZE(answers); a++) {
			const struct kf_seccomp_rule rules[] = {
				{.names = names, .nnames = nnames, .action = ALLOW},
				{.names = &calls[skip].name,
				 .nnames = 1,
				 .action = ALLOW,
				 .args = &arg,
				 .nargs = 1},
			};
			struct kf_seccomp p = {.default_action = answers[a].action,
					       .has_default_errno = answers[a].has_errno,
					       .default_errno = answers[a].errno_ret,
					       .rules = rules,
					       .nrules = 1};
			const bool fine = calls[skip].use == KF_CALL_NEEDED ? answers[a].needed
									    : answers[a].optional;

			assert_string_equal(launcher_denied(&p), fine ? "" : calls[skip].name);
			p.nrules = 2; /* allowed for some arguments */
			assert_string_equal(launcher_denied(&p), fine ? "" : calls[skip].name);
		}
		kf_arena_reset(&arena);
	}
}

/* --- random policies ------------------------------------------------------ */

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

/* CRI-O's RuntimeDefault: an errno of its own for one kind of socket, told by two arguments. */
static void an_errno_for_two_arguments_costs_no_other_call(void **state)
{
	static const char *const names[] = {"socket"};
	static const struct kf_seccomp_arg
		vsock = {.index = 0, .value = 40, .op = "SCMP_CMP_EQ"},
		audit[] = {{.index = 0, .value = 16, .op = "SCMP_CMP_EQ"},
			   {.index = 2, .value = 9, .op = "SCMP_CMP_EQ"}},
		other[] = {{.index = 0, .value = 16, .op = "SCMP_CMP_EQ"},
			   {.index = 2, .value = 9, .op = "SCMP_CMP_NE"}},
		rest = {.index = 0, .value = 16, .op = "SCMP_CMP_NE"};
	const struct kf_seccomp_rule rules[] = {
		{.names = names, .nnames = 1, .action = ERRNO, .args = &vsock, .nargs = 1},
		{.names = names,
		 .nnames = 1,
		 .action = ERRNO,
		 .has_errno = true,
		 .errno_ret = EINVAL,
		 .args = audit,
		 .nargs = 2},
		{.names = names, .nnames = 1, .action = ALLOW, .args = other, .nargs = 2},
		{.names = names, .nnames = 1, .action = ALLOW, .args = &rest, .nargs = 1},
	};
	const struct kf_seccomp theirs = {.default_action = ERRNO,
					  .has_default_errno = true,
					  .default_errno = ENOSYS,
					  .rules = rules,
					  .nrules = 4};
	struct kf_seccomp both = intersect(level("restricted"), &theirs);

	(void)state;
	assert_int_equal(outcome(&both, "socket", 1), 0);
	assert_int_equal(outcome(&both, "socket", 2), 0);
	assert_int_equal(outcome(&both, "socket", 10), 0);
	assert_int_equal(outcome(&both, "socket", 16), 0);
	assert_int_not_equal(outcome(&both, "socket", 40), 0);
	for (uint64_t protocol = 0; protocol < 20; protocol++) {
		const struct kf_seccomp_call call = {
			.arch = KF_SECCOMP_ARCH_SCMP, .name = "socket", .args = {16, 3, protocol}};

		assert_int_equal(strcmp(kf_seccomp_eval(&both, &call).action, ALLOW) == 0,
				 protocol != 9);
	}
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
		cmocka_unit_test(launcher_calls_are_sorted_and_of_both_kinds),
		cmocka_unit_test(no_answer_that_the_pod_could_give_is_believed),
		cmocka_unit_test(default_actions_count_for_calls_that_no_rule_decides),
		cmocka_unit_test(intersection_is_never_weaker_than_either),
		cmocka_unit_test(intersection_of_allow_lists_is_idempotent),
		cmocka_unit_test(levels_intersect_to_the_stricter_one),
		cmocka_unit_test(deny_lists_are_taken_out_of_ours),
		cmocka_unit_test(an_errno_for_two_arguments_costs_no_other_call),
		cmocka_unit_test(architectures_flags_and_listeners_are_merged),
		cmocka_unit_test(unknown_words_are_refused),
		cmocka_unit_test(too_complicated_becomes_strict_not_weak),
	};

	return cmocka_run_group_tests_name("seccomp", tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-runc/program: what the launcher installs answers as the policy says. */
#include "base/arena.h"
#include "base/limits.h"
#include "bpf.h"
#include "nono-runc/program.h"
#include "random_seccomp.h"

#include <seccomp.h>
#include <stdlib.h>

#define NATIVE (seccomp_arch_native() == SCMP_ARCH_X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64)

/* futex_wait is newer than Debian's libseccomp. */
static int number(const char *name, uint32_t token)
{
	if (token == SCMP_ARCH_X86 && strcmp(name, "socket") == 0)
		return 359;
	return strcmp(name, "futex_wait") == 0 ? 455 | (token == SCMP_ARCH_X32 ? 0x40000000 : 0)
					       : seccomp_syscall_resolve_name_arch(token, name);
}

static bool named(const struct kf_seccomp *policy, const struct kf_seccomp_call *call)
{
	for (size_t i = 0; i < policy->nrules; i++)
		for (size_t k = 0; k < policy->rules[i].nnames; k++)
			if (strcmp(policy->rules[i].names[k], call->name) == 0)
				return true;
	return false;
}

static uint32_t answer(const struct kf_program *program, int nr, const uint64_t *args)
{
	struct seccomp_data data = {.arch = NATIVE, .nr = nr};

	memcpy(data.args, args, sizeof(data.args));
	return run_program(program->at, program->n, &data);
}

static uint32_t expected(struct kf_seccomp_verdict v)
{
	static const struct {
		const char *name;
		uint32_t ret;
	} actions[] = {
		{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
		{"SCMP_ACT_LOG", SECCOMP_RET_LOG},
		{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
		{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
		{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
		{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
		{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
		{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, v.action) == 0)
			return actions[i].ret | v.data;
	fail_msg("action %s", v.action);
	return 0;
}

static struct kf_program compiled(const struct kf_seccomp *policy)
{
	struct kf_program program = {0};
	struct kf_err err = {0};

	if (kf_program_compile(policy, &program, &err) < 0)
		fail_msg("%s", err.msg);
	assert_in_range(program.n, 1, KF_FILTER_POLICY_MAX);
	return program;
}

static void levels_are_what_their_tables_say(void **state)
{
	static const enum kf_seccomp_level levels[] = {KF_SECCOMP_LEVEL_RUNTIME_DEFAULT,
						       KF_SECCOMP_LEVEL_AGENT,
						       KF_SECCOMP_LEVEL_RESTRICTED};

	(void)state;
	for (size_t l = 0; l < KF_ARRAY_SIZE(levels); l++) {
		const struct kf_seccomp *policy = kf_seccomp_builtin(levels[l], KF_SECCOMP_ARCH);
		struct kf_program program = compiled(policy);

		for (int nr = 0; nr < 440; nr++) {
			char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);

			for (uint64_t v = 0; name && v < 64; v++) {
				const struct kf_seccomp_call call = {.arch = KF_SECCOMP_ARCH_SCMP,
								     .name = name,
								     .args = {v << (v > 40), v}};

				if (answer(&program, nr, call.args) !=
				    expected(kf_seccomp_eval(policy, &call)))
					fail_msg("%s: %s(%llu)", kf_seccomp_level_name(levels[l]),
						 name, (unsigned long long)call.args[0]);
			}
			free(name);
		}
		kf_program_done(&program);
	}
}

/* Whether the kernel knows when the program is installed that it lets call @nr of @arch through,
 * and never runs it for that call (seccomp_is_const_allow() of Linux 5.11 and later): nothing but
 * the number and the architecture may be looked at on the way. */
static bool allows_always(const struct kf_filter_insn *prog, size_t n, uint32_t arch, int nr)
{
	uint32_t a = 0;
	size_t pc = 0;

	while (pc < n) {
		const struct kf_filter_insn *i = &prog[pc++];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k != offsetof(struct seccomp_data, nr) &&
			    i->k != offsetof(struct seccomp_data, arch))
				return false;
			a = i->k == offsetof(struct seccomp_data, nr) ? (uint32_t)nr : arch;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k == SECCOMP_RET_ALLOW;
		default:
			return false;
		}
	}
	return false;
}

/* Those that the launcher refuses or looks into, in all of its forms. */
static bool looked_into(const char *name)
{
	static const char *const names[] = {"socket",	"socketpair",	"sendto",	 "sendmsg",
					    "sendmmsg", "memfd_create", "io_uring_setup"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool conditional(const struct kf_seccomp *policy, const char *name)
{
	for (size_t i = 0; i < policy->nrules; i++)
		for (size_t k = 0; policy->rules[i].nargs && k < policy->rules[i].nnames; k++)
			if (strcmp(policy->rules[i].names[k], name) == 0)
				return true;
	return false;
}

/* openat, read, futex and what else a program does all the time costs no run of a program: neither
 * of the level's nor of the launcher's, which stands before it. */
static void what_is_allowed_whatever_its_arguments_is_known_to_the_kernel(void **state)
{
	static const struct kf_filter all = {.block = true,
					     .tcp = true,
					     .udp = true,
					     .restrict_connect = true,
					     .memfd_noexec = true};
	static const enum kf_seccomp_level levels[] = {KF_SECCOMP_LEVEL_RUNTIME_DEFAULT,
						       KF_SECCOMP_LEVEL_AGENT,
						       KF_SECCOMP_LEVEL_RESTRICTED};
	struct kf_filter_insn own[KF_FILTER_MAX];
	const size_t n = kf_filter_build(&all, own);

	(void)state;
	for (size_t l = 0; l < KF_ARRAY_SIZE(levels); l++) {
		const struct kf_seccomp *policy = kf_seccomp_builtin(levels[l], KF_SECCOMP_ARCH);
		struct kf_program program = compiled(policy);
		unsigned known = 0, unknown = 0;

		for (int nr = 0; nr < 440; nr++) {
			char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);

			if (name && !conditional(policy, name) &&
			    answer(&program, nr, (const uint64_t[6]){0}) == SECCOMP_RET_ALLOW) {
				if (!allows_always(program.at, program.n, NATIVE, nr) ||
				    (!looked_into(name) && !allows_always(own, n, NATIVE, nr)))
					fail_msg("%s: %s", kf_seccomp_level_name(levels[l]), name);
				known++;
			}
			unknown += name && !allows_always(program.at, program.n, NATIVE, nr);
			free(name);
		}
		assert_in_range(known, 250, 440);
		assert_in_range(unknown, 20, 190); /* what is refused, or by its arguments */
		kf_program_done(&program);
	}
	assert_false(allows_always(own, n, NATIVE, number("socket", seccomp_arch_native())));
}

static void what_is_newer_than_a_policy_is_enosys(void **state)
{
	static const char *const names[] = {"read", "cachestat", "made_up_call"};
	static const struct kf_seccomp_rule rules[] = {
		{.names = names, .nnames = 3, .action = ALLOW}};
	const uint64_t args[6] = {0};
	struct kf_seccomp policy = {.default_action = ERRNO, .rules = rules, .nrules = 1};
	struct kf_program program = compiled(&policy);

	(void)state;
	assert_int_equal(answer(&program, 451, args), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(&program, 450, args), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(answer(&program, 452, args), SECCOMP_RET_ERRNO | ENOSYS);
	kf_program_done(&program);
	policy.default_action = ALLOW;
	program = compiled(&policy);
	assert_int_equal(answer(&program, 452, args), SECCOMP_RET_ALLOW);
	kf_program_done(&program);
}

/* Rules that overlap, contradict each other, have conditions of every kind, on each architecture:
 * the program answers as kf_seccomp_eval(), which tests/seccomp compares with libseccomp. */
static void random_policies_are_answered_as_they_say(void **state)
{
	static const char *const all[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
	static const uint32_t audit[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64};
	static const uint32_t token[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
	size_t enosys = 0, answers = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		struct kf_seccomp policy;
		struct kf_program program;

		seed = (uint64_t)i;
		kf_arena_reset(&arena);
		policy = random_policy(i % 2);
		policy.architectures = all;
		policy.narchitectures = rnd(4);
		if (kf_seccomp_notifies(&policy))
			continue;
		program = compiled(&policy);
		for (int k = 0; k < 60; k++) {
			const size_t a = rnd(3);
			struct kf_seccomp_call call;
			struct seccomp_data data = {.arch = audit[a]};
			uint32_t got, want;

			random_call(&call);
			call.arch = all[a];
			data.nr = number(call.name, token[a]);
			memcpy(data.args, call.args, sizeof(data.args));
			got = run_program(program.at, program.n, &data);
			want = expected(kf_seccomp_eval(&policy, &call));
			/* A call that no rule names may be newer than all that some do. */
			enosys += got != want && got == (SECCOMP_RET_ERRNO | ENOSYS);
			answers++;
			if (got != want &&
			    (got != (SECCOMP_RET_ERRNO | ENOSYS) || named(&policy, &call)))
				fail_msg("seed %d: %s: %#x instead of %#x", i, call.name, got,
					 want);
		}
		kf_program_done(&program);
	}
	assert_in_range(enosys, 1, answers / 4);
}

/* i386 programs make sockets by either of two calls. */
static void what_is_refused_is_refused_through_socketcall_too(void **state)
{
	static const char *const names[] = {"socket"}, *const x86[] = {"SCMP_ARCH_X86"};
	static const struct kf_seccomp_arg args[] = {
		{.index = 0, .value = 40, .op = "SCMP_CMP_EQ"}};
	static const struct {
		struct kf_seccomp_rule rule;
		const char *other;
		uint32_t direct, through;
	} cases[] = {
		{{names, 1, ERRNO, true, EACCES, NULL, 0},
		 ALLOW,
		 SECCOMP_RET_ERRNO | EACCES,
		 SECCOMP_RET_ERRNO | EACCES},
		{{names, 1, ERRNO, true, EACCES, args, 1},
		 ALLOW,
		 SECCOMP_RET_ERRNO | EACCES,
		 SECCOMP_RET_ERRNO | EACCES},
		{{names, 1, ALLOW, false, 0, NULL, 0}, ERRNO, SECCOMP_RET_ALLOW, SECCOMP_RET_ALLOW},
		{{names, 1, ALLOW, false, 0, args, 1},
		 ERRNO,
		 SECCOMP_RET_ALLOW,
		 SECCOMP_RET_ERRNO | EPERM},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_seccomp policy = {.default_action = cases[i].other,
					    .architectures = x86,
					    .narchitectures = 1,
					    .rules = &cases[i].rule,
					    .nrules = 1};
		struct kf_program program = compiled(&policy);
		struct seccomp_data data = {.arch = AUDIT_ARCH_I386, .nr = 359, .args = {40}};

		assert_int_equal(run_program(program.at, program.n, &data), cases[i].direct);
		data.nr = 102;
		data.args[0] = 0x10001; /* the upper half does not count */
		assert_int_equal(run_program(program.at, program.n, &data), cases[i].through);
		data.args[0] = 2; /* bind: no rule */
		assert_int_equal(run_program(program.at, program.n, &data) == SECCOMP_RET_ALLOW,
				 strcmp(cases[i].other, ALLOW) == 0);
		kf_program_done(&program);
	}
}

static void flags_are_known_or_refused(void **state)
{
	static const char *const known[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC",
					    "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
	static const char *const unknown[] = {"SECCOMP_FILTER_FLAG_SOMETHING"};
	struct kf_seccomp policy = {.default_action = ALLOW, .flags = known, .nflags = 3};
	struct kf_program program = compiled(&policy);
	struct kf_err err;

	(void)state;
	assert_int_equal(program.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	kf_program_done(&program);
	policy.flags = unknown;
	policy.nflags = 1;
	assert_int_equal(kf_program_compile(&policy, &program, &err), -1);
	assert_non_null(strstr(err.msg, "FLAG_SOMETHING"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_are_what_their_tables_say),
		cmocka_unit_test(what_is_allowed_whatever_its_arguments_is_known_to_the_kernel),
		cmocka_unit_test(what_is_newer_than_a_policy_is_enosys),
		cmocka_unit_test(random_policies_are_answered_as_they_say),
		cmocka_unit_test(what_is_refused_is_refused_through_socketcall_too),
		cmocka_unit_test(flags_are_known_or_refused),
	};
	int ret;

	kf_arena_init(&arena, KF_LIMIT_REQUEST_MEMORY);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	kf_arena_done(&arena);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Our policies as libseccomp compiles them for the kernel: that they compile,
 * how long they get, and that the filter answers what kf_seccomp_eval() says;
 * for random pairs, that the filter of the intersection lets nothing pass that either refuses.
 * Rules are added the way runc and crun do. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "seccomp/seccomp.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PROGRAM_MAX 4096

static unsigned tests, failures;

__attribute__((format(printf, 2, 3))) static void ok(bool condition, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("%sok %u - ", condition ? "" : "not ", ++tests);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	failures += !condition;
}

struct program {
	size_t n;
	struct sock_filter f[PROGRAM_MAX];
};

static uint32_t scmp_action(const char *action, bool has_errno, uint32_t number)
{
	uint32_t data = has_errno ? number : EPERM;

	if (strcmp(action, "SCMP_ACT_ALLOW") == 0)
		return SCMP_ACT_ALLOW;
	if (strcmp(action, "SCMP_ACT_LOG") == 0)
		return SCMP_ACT_LOG;
	if (strcmp(action, "SCMP_ACT_ERRNO") == 0)
		return SCMP_ACT_ERRNO(data);
	return strcmp(action, "SCMP_ACT_KILL_PROCESS") == 0 ? SCMP_ACT_KILL_PROCESS
							    : SCMP_ACT_KILL_THREAD;
}

static enum scmp_compare scmp_op(const char *op)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_NE", SCMP_CMP_NE},
		{"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
		{"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_GE", SCMP_CMP_GE},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(ops); i++)
		if (strcmp(op, ops[i].name) == 0)
			return ops[i].op;
	return SCMP_CMP_MASKED_EQ;
}

/* As the runtimes do: a name that this libseccomp does not know is left out, a
 * rule that repeats the default too. */
static int add_rule(scmp_filter_ctx ctx, const struct kf_seccomp *policy,
		    const struct kf_seccomp_rule *rule)
{
	uint32_t action = scmp_action(rule->action, rule->has_errno, rule->errno_ret);
	struct scmp_arg_cmp args[6];

	if (action ==
	    scmp_action(policy->default_action, policy->has_default_errno, policy->default_errno))
		return 0;
	for (size_t i = 0; i < rule->nargs; i++)
		args[i] = (struct scmp_arg_cmp){rule->args[i].index, scmp_op(rule->args[i].op),
						rule->args[i].value, rule->args[i].value_two};
	for (size_t i = 0; i < rule->nnames; i++) {
		int nr = seccomp_syscall_resolve_name(rule->names[i]);
		int rc;

		if (nr == __NR_SCMP_ERROR)
			continue;
		rc = seccomp_rule_add_array(ctx, action, nr, (unsigned)rule->nargs, args);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* 0, or libseccomp's negative errno. */
static int compile(const struct kf_seccomp *policy, uint32_t arch, struct program *ret)
{
	scmp_filter_ctx ctx = seccomp_init(scmp_action(
		policy->default_action, policy->has_default_errno, policy->default_errno));
	KF_CLOSE int fd = memfd_create("bpf", MFD_CLOEXEC);
	int rc = 0;
	ssize_t n;

	if (!ctx || fd < 0)
		return -ENOMEM;
	if (arch != seccomp_arch_native()) {
		rc = seccomp_arch_remove(ctx, seccomp_arch_native());
		if (rc == 0)
			rc = seccomp_arch_add(ctx, arch);
	}
	for (size_t i = 0; rc == 0 && i < policy->nrules; i++)
		rc = add_rule(ctx, policy, &policy->rules[i]);
	if (rc == 0)
		rc = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	if (rc < 0)
		return rc;
	n = pread(fd, ret->f, sizeof(ret->f), 0);
	if (n < 0 || (size_t)n == sizeof(ret->f))
		return -E2BIG;
	ret->n = (size_t)n / sizeof(ret->f[0]);
	return 0;
}

/* What the kernel does: run @p over @data.  Jumps only go forward. */
static uint32_t run(const struct program *p, const struct seccomp_data *data)
{
	uint32_t a = 0, word;

	for (size_t pc = 0; pc < p->n; pc++) {
		const struct sock_filter *f = &p->f[pc];
		bool jump;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&word, (const char *)data + f->k, sizeof(word));
			a = word;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= f->k;
			break;
		default:
			abort();
		}
		pc += jump ? f->jt : f->jf;
	}
	abort();
}

static uint32_t ask(const struct program *p, uint32_t arch, int nr, const uint64_t args[6])
{
	struct seccomp_data data = {.nr = nr, .arch = arch};

	memcpy(data.args, args, sizeof(data.args));
	return run(p, &data);
}

static int rank(uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return 0;
	case SECCOMP_RET_LOG:
		return 1;
	case SECCOMP_RET_ERRNO:
		return 2;
	case SECCOMP_RET_KILL_PROCESS:
		return 4;
	default:
		return 3;
	}
}

static bool passes(uint32_t action)
{
	return rank(action) <= 1;
}

static const uint64_t points[] = {0,	      1,	  2,	      3,	   7,
				  8,	      15,	  16,	      17,	   38,
				  40,	      45,	  46,	      0x20000,	   0x20008,
				  0x10000011, 0x7e020000, 0xffffffff, 0x100000001, 0x100000028,
				  UINT64_MAX};

/* All numbers an architecture can have, with arguments at the edges. */
static void filter_answers_as_the_policy_says(const struct kf_seccomp *policy, uint32_t arch,
					      const char *scmp, const char *what)
{
	static struct program p;
	unsigned asked = 0, wrong = 0;
	int rc = compile(policy, arch, &p);

	ok(rc == 0, "%s compiles with libseccomp: %zu instructions", what, p.n);
	for (int nr = 0; rc == 0 && nr < 512; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(arch, nr);

		for (size_t i = 0; name && i < KF_ARRAY_SIZE(points); i++) {
			const struct kf_seccomp_call call = {
				.arch = scmp, .name = name, .args = {points[i]}};
			struct kf_seccomp_verdict v = kf_seccomp_eval(policy, &call);

			asked++;
			if (ask(&p, arch, nr, call.args) == scmp_action(v.action, true, v.data))
				continue;
			if (!wrong++)
				printf("# %s(%#" PRIx64 "): %s %u, filter %#x\n", name, points[i],
				       v.action, v.data, ask(&p, arch, nr, call.args));
		}
		free(name);
	}
	ok(rc == 0 && asked > 5000 && !wrong, "%s: the filter answers as kf_seccomp_eval()", what);
}

static void levels(void)
{
	static const struct {
		const char *name, *scmp;
		uint32_t arch;
	} arches[] = {{"x86_64", "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
		      {"aarch64", "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64}};
	static const enum kf_seccomp_level all[] = {KF_SECCOMP_LEVEL_RUNTIME_DEFAULT,
						    KF_SECCOMP_LEVEL_AGENT,
						    KF_SECCOMP_LEVEL_RESTRICTED};

	for (size_t a = 0; a < KF_ARRAY_SIZE(arches); a++) {
		for (size_t l = 0; l < KF_ARRAY_SIZE(all); l++) {
			struct kf_seccomp policy = *kf_seccomp_builtin(all[l], arches[a].name);
			char what[64];

			snprintf(what, sizeof(what), "%s for %s", kf_seccomp_level_name(all[l]),
				 arches[a].name);
			filter_answers_as_the_policy_says(&policy, arches[a].arch, arches[a].scmp,
							  what);
		}
	}
}

/* --- random pairs ---------------------------------------------------------- */

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

static const char *const names[] = {"read", "clone", "socket", "ioctl", "personality", "prctl"};

static struct kf_seccomp random_policy(struct kf_arena *arena)
{
	static const char *const actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO",
					      "SCMP_ACT_KILL_PROCESS"};
	static const char *const ops[] = {"SCMP_CMP_EQ",       "SCMP_CMP_NE", "SCMP_CMP_LT",
					  "SCMP_CMP_LE",       "SCMP_CMP_GT", "SCMP_CMP_GE",
					  "SCMP_CMP_MASKED_EQ"};
	/* One action a call: of more, libseccomp 2.5 makes wrong filters or none. */
	const char *action_of[KF_ARRAY_SIZE(names)];
	struct kf_seccomp p = {.nrules = rnd(7)};
	struct kf_seccomp_rule *rules = kf_arena_calloc(arena, p.nrules, sizeof(*rules));

	p.default_action = actions[rnd(4)];
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		action_of[i] = actions[rnd(4)];
	for (size_t i = 0; i < p.nrules; i++) {
		struct kf_seccomp_arg *args = kf_arena_calloc(arena, 2, sizeof(*args));

		size_t name = rnd(KF_ARRAY_SIZE(names));

		rules[i].names = &names[name];
		rules[i].nnames = 1;
		rules[i].action = action_of[name];
		rules[i].has_errno = strcmp(rules[i].action, "SCMP_ACT_ERRNO") == 0;
		rules[i].errno_ret = ENOSYS;
		rules[i].nargs = rnd(10) ? rnd(2) : 2;
		for (size_t k = 0; k < rules[i].nargs; k++)
			args[k] = (struct kf_seccomp_arg){
				.index = (uint32_t)k,
				.op = ops[rnd(7)],
				.value = points[rnd(KF_ARRAY_SIZE(points))],
				.value_two = points[rnd(KF_ARRAY_SIZE(points))]};
		rules[i].args = args;
	}
	p.rules = rules;
	return p;
}

static const char *random_call(uint64_t args[6])
{
	args[0] = points[rnd(KF_ARRAY_SIZE(points))];
	args[1] = points[rnd(KF_ARRAY_SIZE(points))];
	return names[rnd(KF_ARRAY_SIZE(names))];
}

/* Whether libseccomp makes a filter @ret of @policy that does what it says. */
static bool meaningful(const struct kf_seccomp *policy, struct program *ret)
{
	if (compile(policy, seccomp_arch_native(), ret) < 0)
		return false;
	for (unsigned i = 0; i < 300; i++) {
		struct kf_seccomp_call call = {.arch = KF_SECCOMP_ARCH_SCMP};
		struct kf_seccomp_verdict v;

		call.name = random_call(call.args);
		v = kf_seccomp_eval(policy, &call);
		if (rank(ask(ret, seccomp_arch_native(), seccomp_syscall_resolve_name(call.name),
			     call.args)) != rank(scmp_action(v.action, true, v.data)))
			return false;
	}
	return true;
}

static void intersections(void)
{
	static struct program pa, pb, pab;
	unsigned pairs = 0, refused = 0, asked = 0, weaker = 0;
	struct kf_arena arena;

	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	for (unsigned i = 0; i < 3000; i++) {
		struct kf_seccomp a, b, ab = {.nrules = 0};

		seed = i;
		kf_arena_reset(&arena);
		a = random_policy(&arena);
		b = random_policy(&arena);
		/* libseccomp refuses contradictory rules, and of rules with several
		 * arguments and different actions it makes filters that do something
		 * else: such profiles have no meaning that we could keep. */
		if (!meaningful(&a, &pa) || !meaningful(&b, &pb))
			continue;
		pairs++;
		if (kf_seccomp_intersect(&a, &b, &arena, &ab, KF_ERR_IGNORED) < 0 ||
		    compile(&ab, seccomp_arch_native(), &pab) < 0) {
			if (!refused++)
				printf("# seed %u: no filter for the intersection\n", i);
			continue;
		}
		for (unsigned k = 0; k < 200; k++) {
			uint64_t args[6] = {0};
			const char *name = random_call(args);
			int nr = seccomp_syscall_resolve_name(name);

			asked++;
			if (!passes(ask(&pab, seccomp_arch_native(), nr, args)) ||
			    (passes(ask(&pa, seccomp_arch_native(), nr, args)) &&
			     passes(ask(&pb, seccomp_arch_native(), nr, args))))
				continue;
			if (!weaker++)
				printf("# seed %u: %s(%#" PRIx64 ", %#" PRIx64 ") passes\n", i,
				       name, args[0], args[1]);
		}
	}
	printf("# %u random pairs that libseccomp takes, %u questions\n", pairs, asked);
	ok(pairs > 500 && !refused, "libseccomp takes every intersection of what it takes");
	ok(asked > 100000 && !weaker, "no filter of an intersection lets pass what either refuses");
	kf_arena_done(&arena);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	levels();
	intersections();
	printf("1..%u\n", tests);
	return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a container's seccomp policy into the program that the launcher installs.  It is made
 * here, since libseccomp 2.5 does not come to an end with some policies, which a pod may write; the
 * calls' numbers, which it knows, are in syscalls.c. */
#include "nono-runc/program.h"

#include "base/cleanup.h"
#include "nono-runc/syscalls.h"
#include "seccomp/cond.h"
#include "seccomp/internal.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct sock_filter) == sizeof(struct kf_filter_insn), "one instruction");

#define X32_BIT	   0x40000000u
/* Failed comparisons of one rule: two for each of six arguments. */
#define FIXUPS_MAX 12

#define LOAD	   (BPF_LD | BPF_W | BPF_ABS)
#define LOW(arg)   (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (arg))
#define HIGH(arg)  (LOW(arg) + 4)

/* Calls of i386 that have a number of their own and are also made through another call, which says
 * in its first argument, of which 16 bits count, what is meant, and has the arguments in memory. */
#define SOCKETCALL 102
#define IPC	   117

static const struct multiplexed {
	const char *name;
	int number; /* -1: only through the other call */
	int through, as;
} multiplexed[] = {
	{"socket", 359, SOCKETCALL, 1},
	{"bind", 361, SOCKETCALL, 2},
	{"connect", 362, SOCKETCALL, 3},
	{"listen", 363, SOCKETCALL, 4},
	{"accept", -1, SOCKETCALL, 5},
	{"getsockname", 367, SOCKETCALL, 6},
	{"getpeername", 368, SOCKETCALL, 7},
	{"socketpair", 360, SOCKETCALL, 8},
	{"send", -1, SOCKETCALL, 9},
	{"recv", -1, SOCKETCALL, 10},
	{"sendto", 369, SOCKETCALL, 11},
	{"recvfrom", 371, SOCKETCALL, 12},
	{"shutdown", 373, SOCKETCALL, 13},
	{"setsockopt", 366, SOCKETCALL, 14},
	{"getsockopt", 365, SOCKETCALL, 15},
	{"sendmsg", 370, SOCKETCALL, 16},
	{"recvmsg", 372, SOCKETCALL, 17},
	{"accept4", 364, SOCKETCALL, 18},
	{"recvmmsg", 337, SOCKETCALL, 19},
	{"sendmmsg", 345, SOCKETCALL, 20},
	{"semop", -1, IPC, 1},
	{"semget", 393, IPC, 2},
	{"semctl", 394, IPC, 3},
	{"semtimedop", -1, IPC, 4},
	{"msgsnd", 400, IPC, 11},
	{"msgrcv", 401, IPC, 12},
	{"msgget", 399, IPC, 13},
	{"msgctl", 402, IPC, 14},
	{"shmat", 397, IPC, 21},
	{"shmdt", 398, IPC, 22},
	{"shmget", 395, IPC, 23},
	{"shmctl", 396, IPC, 24},
};

static const struct architecture {
	const char *name;
	enum kf_syscall_arch calls;
	uint32_t audit; /* the kernel's */
	bool x32, multiplexes;
} architectures[] = {
#if defined(__x86_64__)
	{"SCMP_ARCH_X86_64", KF_SYSCALL_X86_64, AUDIT_ARCH_X86_64, false, false},
	{"SCMP_ARCH_X86", KF_SYSCALL_X86, AUDIT_ARCH_I386, false, true},
	{"SCMP_ARCH_X32", KF_SYSCALL_X32, AUDIT_ARCH_X86_64, true, false},
#else
	{"SCMP_ARCH_AARCH64", KF_SYSCALL_AARCH64, AUDIT_ARCH_AARCH64, false, false},
	{"SCMP_ARCH_ARM", KF_SYSCALL_ARM, AUDIT_ARCH_ARM, false, false},
#endif
};

/* A rule that names a call, and the next one that does, which is no stricter. */
struct link {
	const struct kf_seccomp_rule *rule;
	int as; /* the rule is about a call that is made through this one; 0 if not */
	struct link *next;
};

/* Calls with numbers from @start to the next span's have one answer. */
struct span {
	unsigned start;
	uint32_t answer;	  /* if there is no rule with conditions */
	const struct link *first; /* NULL if there is none */
};

struct compiler {
	const struct kf_seccomp *policy;
	const struct kf_seccomp_rule **rules; /* strictest first */
	const struct kf_syscall **calls;      /* of all names of all rules, in that order */
	uint32_t fallback;		      /* the default action */
	struct link *links;
	size_t nlinks;
	int highest; /* number that a rule is about, -1 if none is */
	struct link *first[KF_SYSCALL_NUMBERS], *last[KF_SYSCALL_NUMBERS];
	struct span spans[KF_SYSCALL_NUMBERS + 1];
	size_t nspans;
	struct sock_filter *at; /* KF_FILTER_POLICY_MAX */
	size_t n;
	bool full;
};

/* --- the program ----------------------------------------------------------- */

static size_t emit_insn(struct compiler *c, unsigned code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (c->n == KF_FILTER_POLICY_MAX) {
		c->full = true;
		return 0;
	}
	c->at[c->n] = (struct sock_filter){(uint16_t)code, jt, jf, k};
	return c->n++;
}

/* Have the jump at @from lead to what is emitted next. */
static void land_jump(struct compiler *c, size_t from)
{
	c->at[from].k = (uint32_t)(c->n - from - 1);
}

static uint32_t kernel_action(struct kf_seccomp_verdict v)
{
	static const struct {
		const char *name;
		uint32_t action;
	} actions[] = {
		{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
		{"SCMP_ACT_LOG", SECCOMP_RET_LOG},
		{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
		{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
		{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
		{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
		{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, v.action) == 0)
			return actions[i].action | (v.data & SECCOMP_RET_DATA);
	return SECCOMP_RET_KILL_PROCESS;
}

static struct kf_seccomp_verdict verdict_of(const struct kf_seccomp_rule *rule)
{
	return kf_seccomp_verdict(rule->action, rule->has_errno, rule->errno_ret);
}

/* Jumps that are taken when a comparison fails, to be told where to. */
struct fixups {
	struct {
		size_t at;
		bool when; /* the jump that is taken if true, else the other one */
	} v[FIXUPS_MAX];
	size_t n;
};

static void fail_if(struct compiler *c, struct fixups *f, bool when, unsigned op, uint32_t k,
		    uint8_t other)
{
	size_t at = emit_insn(c, BPF_JMP | op | BPF_K, k, when ? 0 : other, when ? other : 0);

	f->v[f->n].at = at;
	f->v[f->n++].when = when;
}

/* Go on behind this if @cmp holds. */
static void emit_comparison(struct compiler *c, struct fixups *f, const struct kf_cmp *cmp)
{
	const uint32_t high = (uint32_t)(cmp->value >> 32), low = (uint32_t)cmp->value;
	const bool masked = cmp->op == KF_CMP_MASKED;

	(void)emit_insn(c, LOAD, HIGH(cmp->index), 0, 0);
	if (masked)
		(void)emit_insn(c, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(cmp->mask >> 32), 0, 0);
	switch (cmp->op) {
	case KF_CMP_NE: /* the upper half differs: past the next two */
		(void)emit_insn(c, BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2);
		break;
	case KF_CMP_GE:
		(void)emit_insn(c, BPF_JMP | BPF_JGT | BPF_K, high, 3, 0);
		fail_if(c, f, false, BPF_JEQ, high, 0);
		break;
	case KF_CMP_LE:
		fail_if(c, f, true, BPF_JGT, high, 0);
		(void)emit_insn(c, BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2);
		break;
	default:
		fail_if(c, f, false, BPF_JEQ, high, 0);
		break;
	}
	(void)emit_insn(c, LOAD, LOW(cmp->index), 0, 0);
	if (masked)
		(void)emit_insn(c, BPF_ALU | BPF_AND | BPF_K, (uint32_t)cmp->mask, 0, 0);
	switch (cmp->op) {
	case KF_CMP_NE:
		fail_if(c, f, true, BPF_JEQ, low, 0);
		break;
	case KF_CMP_GE:
		fail_if(c, f, false, BPF_JGE, low, 0);
		break;
	case KF_CMP_LE:
		fail_if(c, f, true, BPF_JGT, low, 0);
		break;
	default:
		fail_if(c, f, false, BPF_JEQ, low, 0);
		break;
	}
}

/* Answer @answer if all @n conditions @args hold, else go on. */
static void emit_conditions(struct compiler *c, const struct kf_seccomp_arg *args, size_t n,
			    uint32_t answer)
{
	struct fixups f = {.n = 0};

	for (size_t i = 0; i < n; i++) {
		struct kf_cmp cmp;
		size_t some = 0;
		bool never = true;

		(void)kf_cmp_from_arg(&args[i], &cmp, &some, &never);
		if (never) /* what was emitted for it has no effect */
			return;
	}
	for (size_t i = 0; i < n; i++) {
		struct kf_cmp cmp;
		size_t some = 0;
		bool never;

		(void)kf_cmp_from_arg(&args[i], &cmp, &some, &never);
		if (some)
			emit_comparison(c, &f, &cmp);
	}
	(void)emit_insn(c, BPF_RET | BPF_K, answer, 0, 0);
	for (size_t i = 0; i < f.n; i++) {
		struct sock_filter *jump = &c->at[f.v[i].at];

		*(f.v[i].when ? &jump->jt : &jump->jf) = (uint8_t)(c->n - f.v[i].at - 1);
	}
}

static void emit_multiplexed(struct compiler *c, int as, uint32_t answer)
{
	const struct kf_seccomp_arg what = {
		.index = 0, .op = "SCMP_CMP_MASKED_EQ", .value = 0xffff, .value_two = (uint64_t)as};

	emit_conditions(c, &what, 1, answer);
}

/* The strictest rule comes first, so the first that holds decides. */
static void emit_rules(struct compiler *c, const struct link *link)
{
	for (; link; link = link->next) {
		const struct kf_seccomp_rule *rule = link->rule;
		const uint32_t answer = kernel_action(verdict_of(rule));

		if (link->as) {
			emit_multiplexed(c, link->as, answer);
			continue;
		}
		if (!rule->nargs) {
			(void)emit_insn(c, BPF_RET | BPF_K, answer, 0, 0);
			return;
		}
		if (kf_seccomp_rule_splits(rule))
			for (size_t i = 0; i < rule->nargs; i++)
				emit_conditions(c, &rule->args[i], 1, answer);
		else
			emit_conditions(c, rule->args, rule->nargs, answer);
	}
	(void)emit_insn(c, BPF_RET | BPF_K, c->fallback, 0, 0);
}

/* A tree over spans [@from, @to), the call's number being in the accumulator; as deep as their
 * number has bits. */
static void emit_tree(struct compiler *c, size_t from, size_t to)
{
	const size_t middle = from + (to - from) / 2;
	size_t right;

	if (to - from == 1) {
		if (c->spans[from].first)
			emit_rules(c, c->spans[from].first);
		else
			(void)emit_insn(c, BPF_RET | BPF_K, c->spans[from].answer, 0, 0);
		return;
	}
	(void)emit_insn(c, BPF_JMP | BPF_JGE | BPF_K, c->spans[middle].start, 0, 1);
	right = emit_insn(c, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_tree(c, from, middle);
	land_jump(c, right);
	emit_tree(c, middle, to);
}

/* --- what a policy says about each call ------------------------------------- */

static void add_link(struct compiler *c, int nr, const struct kf_seccomp_rule *rule, int as)
{
	struct link *link = c->links + c->nlinks++;

	*link = (struct link){.rule = rule, .as = as};
	if (c->first[nr])
		c->last[nr]->next = link;
	else
		c->first[nr] = link;
	c->last[nr] = link;
	if (nr > c->highest)
		c->highest = nr;
}

/* A call that can be made through another one, whose conditions cannot be seen there: only without
 * any is it let through, and refused even if the conditions would not hold. */
static bool link_multiplexed(struct compiler *c, const struct kf_seccomp_rule *rule,
			     const char *name)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(multiplexed); i++) {
		const struct multiplexed *m = &multiplexed[i];

		/* Most differ here, and this is done for each name. */
		if (*m->name != *name || strcmp(m->name, name) != 0)
			continue;
		if (m->number >= 0)
			add_link(c, m->number, rule, 0);
		if (!rule->nargs || !kf_seccomp_action_passes(rule->action))
			add_link(c, m->through, rule, m->as);
		return true;
	}
	return false;
}

/* Once for all architectures. */
static void find_calls(struct compiler *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->policy->nrules; i++)
		for (size_t k = 0; k < c->rules[i]->nnames; k++)
			c->calls[n++] = kf_syscall_find(c->rules[i]->names[k]);
}

static void link_rules(struct compiler *c, const struct architecture *a)
{
	const struct kf_syscall *const *call = c->calls;

	memset(c->first, 0, sizeof(c->first));
	c->nlinks = 0;
	c->highest = -1;
	for (size_t i = 0; i < c->policy->nrules; i++) {
		const struct kf_seccomp_rule *rule = c->rules[i];

		for (size_t k = 0; k < rule->nnames; k++) {
			int nr = kf_syscall_number(*call++, a->calls);

			if (a->multiplexes && link_multiplexed(c, rule, rule->names[k]))
				continue;
			if (nr >= 0)
				add_link(c, nr, rule, 0);
		}
	}
}

static void add_span(struct compiler *c, unsigned start, uint32_t answer, const struct link *first)
{
	const struct span *before = c->nspans ? &c->spans[c->nspans - 1] : NULL;

	if (!before || before->first || first || before->answer != answer)
		c->spans[c->nspans++] = (struct span){start, answer, first};
}

/* Programs take EPERM for an answer where they would fall back if a call were not there. */
static bool refuses_call(const char *action)
{
	static const char *const refusing[] = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRAP", "SCMP_ACT_KILL",
					       "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(refusing); i++)
		if (strcmp(refusing[i], action) == 0)
			return true;
	return false;
}

static void emit_calls(struct compiler *c, const struct architecture *a)
{
	int highest;

	link_rules(c, a);
	highest = c->highest;
	c->nspans = 0;
	add_span(c, 0, c->fallback, NULL);
	for (int nr = 0; nr <= highest; nr++) {
		const struct link *first = c->first[nr];

		if (!first)
			add_span(c, (unsigned)nr, c->fallback, NULL);
		else if (!first->rule->nargs && !first->as)
			add_span(c, (unsigned)nr, kernel_action(verdict_of(first->rule)), NULL);
		else
			add_span(c, (unsigned)nr, 0, first);
	}
	add_span(c, (unsigned)(highest + 1),
		 highest >= 0 && refuses_call(c->policy->default_action)
			 ? SECCOMP_RET_ERRNO | ENOSYS
			 : c->fallback,
		 NULL);
	/* The first call may have rules of its own. */
	emit_tree(c, c->nspans > 1 && c->spans[1].start == 0 ? 1 : 0, c->nspans);
}

/* The machine's own architecture always counts. */
static bool is_listed(const struct kf_seccomp *policy, const struct architecture *a)
{
	if (a == &architectures[0])
		return true;
	for (size_t i = 0; i < policy->narchitectures; i++)
		if (strcmp(policy->architectures[i], a->name) == 0)
			return true;
	return false;
}

static void emit_architecture(struct compiler *c, const struct architecture *a)
{
	const struct architecture *x32 = NULL;
	size_t other, to_x32;

	for (size_t i = 0; i < KF_ARRAY_SIZE(architectures); i++)
		if (architectures[i].x32 && architectures[i].audit == a->audit)
			x32 = &architectures[i];
	(void)emit_insn(c, BPF_JMP | BPF_JEQ | BPF_K, a->audit, 1, 0);
	other = emit_insn(c, BPF_JMP | BPF_JA, 0, 0, 0);
	(void)emit_insn(c, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
	if (!x32) {
		emit_calls(c, a);
	} else {
		(void)emit_insn(c, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
		to_x32 = emit_insn(c, BPF_JMP | BPF_JA, 0, 0, 0);
		emit_calls(c, a);
		land_jump(c, to_x32);
		if (is_listed(c->policy, x32)) {
			(void)emit_insn(c, BPF_ALU | BPF_AND | BPF_K, ~X32_BIT, 0, 0);
			emit_calls(c, x32);
		} else {
			(void)emit_insn(c, BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD, 0, 0);
		}
	}
	land_jump(c, other);
}

static int strictest_first(const void *a, const void *b)
{
	const struct kf_seccomp_rule *const *x = a, *const *y = b;
	struct kf_seccomp_verdict v = verdict_of(*x), w = verdict_of(*y), s;

	if (kf_seccomp_action_compare(v.action, w.action) == 0 && v.data == w.data)
		return *x < *y ? -1 : *x > *y;
	s = kf_seccomp_stricter(v, w);
	return kf_seccomp_action_compare(s.action, v.action) == 0 && s.data == v.data ? -1 : 1;
}

static int compile_policy(struct compiler *c, struct kf_program *ret, struct kf_err *err)
{
	const struct kf_seccomp *policy = c->policy;
	size_t names = 0;

	for (size_t i = 0; i < policy->nrules; i++)
		names += policy->rules[i].nnames;
	c->rules = calloc(policy->nrules + 1, sizeof(*c->rules));
	c->calls = calloc(names + 1, sizeof(*c->calls));
	c->links = calloc(2 * names + 1, sizeof(*c->links));
	c->at = calloc(KF_FILTER_POLICY_MAX, sizeof(*c->at));
	if (!c->rules || !c->calls || !c->links || !c->at)
		return kf_fail_nomem(err, "seccomp program");
	for (size_t i = 0; i < policy->nrules; i++)
		c->rules[i] = &policy->rules[i];
	qsort(c->rules, policy->nrules, sizeof(*c->rules), strictest_first);
	find_calls(c);
	(void)emit_insn(c, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
	for (size_t i = 0; i < KF_ARRAY_SIZE(architectures); i++)
		if (!architectures[i].x32 && is_listed(policy, &architectures[i]))
			emit_architecture(c, &architectures[i]);
	(void)emit_insn(c, BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD, 0, 0);
	if (c->full)
		return kf_fail(
			err, E2BIG,
			"the seccomp policy is longer than the kernel takes: %d instructions",
			KF_FILTER_POLICY_MAX);
	ret->at = (struct kf_filter_insn *)(void *)KF_STEAL(c->at);
	ret->n = c->n;
	return 0;
}

static int read_flags(const struct kf_seccomp *policy, uint32_t *ret, struct kf_err *err)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} flags[] = {
		{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
		{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		/* The launcher has one thread. */
		{"SECCOMP_FILTER_FLAG_TSYNC", 0},
		/* About listeners. */
		{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0},
	};

	*ret = 0;
	for (size_t i = 0; i < policy->nflags; i++) {
		size_t k = 0;

		while (k < KF_ARRAY_SIZE(flags) && strcmp(flags[k].name, policy->flags[i]) != 0)
			k++;
		if (k == KF_ARRAY_SIZE(flags))
			return kf_fail(err, EINVAL, "seccomp policy: unknown flag '%.64s'",
				       policy->flags[i]);
		*ret |= flags[k].flag;
	}
	return 0;
}

int kf_program_compile(const struct kf_seccomp *policy, struct kf_program *ret, struct kf_err *err)
{
	struct compiler *c = calloc(1, sizeof(*c));
	struct kf_program program = {0};
	int r = c ? read_flags(policy, &program.flags, err) : kf_fail_nomem(err, "seccomp program");

	if (r == 0) {
		c->policy = policy;
		c->fallback = kernel_action(kf_seccomp_verdict(
			policy->default_action, policy->has_default_errno, policy->default_errno));
		r = compile_policy(c, &program, err);
	}
	if (c) {
		free(c->rules);
		free(c->calls);
		free(c->links);
		free(c->at);
		free(c);
	}
	if (r == 0)
		*ret = program;
	return r;
}

void kf_program_done(struct kf_program *program)
{
	free(program->at);
	*program = (struct kf_program){0};
}

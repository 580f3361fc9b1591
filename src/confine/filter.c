/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp program of a daemon, made from the lists of calls that its parts declare.  The
 * launcher's program is another one, in sandbox/filter.c. */
#include "confine/filter.h"

#include "base/cleanup.h"
#include "confine/trap.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEAF 4 /* rows that are tried one after the other */

#if defined(__x86_64__)
#define ARCH \
	AUDIT_ARCH_X86_64 /* x32 has the same architecture but other numbers, which no list has */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "name this architecture as linux/audit.h does"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half comes first");
#define LOWER(arg) ((uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)(arg)))

struct program {
	struct sock_filter *at;
	size_t n;
};

/* If there is no room, only the length is counted; the caller checks it. */
static void emit_insn(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->n < KF_CONFINE_PROGRAM_MAX)
		p->at[p->n] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
	p->n++;
}

static void emit_load(struct program *p, uint32_t offset)
{
	emit_insn(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void emit_return(struct program *p, uint32_t action)
{
	emit_insn(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Allow one call; the accumulator holds the call's number before and after. */
static void emit_allow(struct program *p, const struct kf_call *call)
{
	if (!call->checked) {
		emit_insn(p, BPF_JMP | BPF_JEQ | BPF_K, call->nr, 0, 1);
		emit_return(p, SECCOMP_RET_ALLOW);
		return;
	}
	emit_insn(p, BPF_JMP | BPF_JEQ | BPF_K, call->nr, 0, 5);
	emit_load(p, LOWER(call->arg));
	emit_insn(p, BPF_ALU | BPF_AND | BPF_K, call->mask, 0, 0);
	emit_insn(p, BPF_JMP | BPF_JEQ | BPF_K, call->value, 0, 1);
	emit_return(p, SECCOMP_RET_ALLOW);
	emit_load(p, offsetof(struct seccomp_data, nr));
}

static bool same_call(const struct kf_call *a, const struct kf_call *b)
{
	return a->nr == b->nr && a->checked == b->checked && a->arg == b->arg &&
	       a->mask == b->mask && a->value == b->value;
}

/* The calls of all lists in the order of their numbers, each once, since parts share calls. */
struct rows {
	const struct kf_call *v[KF_CONFINE_CALLS_MAX];
	size_t n;
};

static bool insert_call(struct rows *rows, const struct kf_call *call)
{
	size_t at = rows->n;

	while (at && rows->v[at - 1]->nr > call->nr)
		at--;
	for (size_t i = at; i && rows->v[i - 1]->nr == call->nr; i--)
		if (same_call(rows->v[i - 1], call))
			return true;
	if (rows->n == KF_CONFINE_CALLS_MAX)
		return false;
	memmove(rows->v + at + 1, rows->v + at, (rows->n - at) * sizeof(*rows->v));
	rows->v[at] = call;
	rows->n++;
	return true;
}

/* Emit a binary search over the calls: when a program is installed, the kernel runs it once for
 * every call that exists.  A recursion whose depth is the logarithm of our own lists' length. */
static void emit_search(struct program *p, const struct kf_call *const *v, size_t n,
			uint32_t refuse)
{
	size_t mid = n / 2, jump;

	while (mid && mid < n && v[mid - 1]->nr == v[mid]->nr)
		mid++;
	if (n <= LEAF || mid == n) {
		for (size_t i = 0; i < n; i++)
			emit_allow(p, v[i]);
		emit_return(p, refuse);
		return;
	}
	emit_insn(p, BPF_JMP | BPF_JGE | BPF_K, v[mid]->nr, 0, 1);
	jump = p->n;
	emit_insn(p, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_search(p, v, mid, refuse);
	if (jump < KF_CONFINE_PROGRAM_MAX)
		p->at[jump].k = (uint32_t)(p->n - jump - 1);
	emit_search(p, v + mid, n - mid, refuse);
}

size_t kf_confine_program(const struct kf_calls *const *calls, size_t n, uint32_t refuse,
			  struct sock_filter *prog)
{
	struct program p = {.at = prog};
	struct rows rows = {.n = 0};

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < calls[i]->n; k++)
			if (!insert_call(&rows, &calls[i]->v[k]))
				return 0;
	emit_load(&p, offsetof(struct seccomp_data, arch));
	emit_insn(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	emit_return(&p, SECCOMP_RET_KILL_PROCESS);
	emit_load(&p, offsetof(struct seccomp_data, nr));
	emit_search(&p, rows.v, rows.n, refuse);
	return p.n <= KF_CONFINE_PROGRAM_MAX ? p.n : 0;
}

int kf_confine_filter(const struct kf_calls *const *calls, size_t n, struct kf_err *err)
{
	KF_UNINIT struct sock_filter prog[KF_CONFINE_PROGRAM_MAX];
	struct sock_fprog fprog = {.filter = prog};
	uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;

	if (kf_confine_trap(&refuse, err) < 0)
		return -1;
	fprog.len = (unsigned short)kf_confine_program(calls, n, refuse, prog);
	if (!fprog.len)
		return kf_fail(err, E2BIG, "the seccomp filter is too long");
	/* With this flag refused calls appear in the audit log. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &fprog) == 0)
		return 0;
	/* If the container's policy refuses seccomp(2), prctl(2) still works. */
	if (prctl(PR_SET_SECCOMP, (unsigned long)SECCOMP_MODE_FILTER, &fprog, 0UL, 0UL) < 0)
		return kf_fail_sys(err, "install the seccomp filter");
	return 0;
}

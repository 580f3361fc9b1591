/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's own seccomp program: which sockets and memory files it refuses, and how it is
 * joined with the container's policy.  Paths and ports are Landlock's, in landlock.c; a daemon's
 * program is made in confine/filter.c. */
#include "sandbox/filter.h"

#include "base/cleanup.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface; the musl headers with which the launcher is built do not have it. */
#define LOAD_WORD	    0x20 /* BPF_LD | BPF_W | BPF_ABS */
#define JUMP_EQUAL	    0x15 /* BPF_JMP | BPF_JEQ | BPF_K */
#define JUMP_ANY_BIT	    0x45 /* BPF_JMP | BPF_JSET | BPF_K */
#define AND		    0x54 /* BPF_ALU | BPF_AND | BPF_K */
#define JUMP		    0x05 /* BPF_JMP | BPF_JA */
#define RETURN		    0x06 /* BPF_RET | BPF_K */
#define ACTION_ALLOW	    0x7fff0000u
#define ACTION_ERRNO	    0x00050000u
#define MODE_FILTER	    2
#define SET_MODE_FILTER	    1 /* of seccomp(2) */
#define ROUTE_NETLINK	    0
#define ARCH_X86_64	    0xc000003eu
#define ARCH_I386	    0x40000003u
#define ARCH_AARCH64	    0xc00000b7u
#define ARCH_ARM	    0x40000028u
#define DATA_NR		    0
#define DATA_ARCH	    4
#define DATA_ARG(arg, half) ((uint32_t)(16 + 8 * (arg) + 4 * (half)))

#define X32_BIT		    0x40000000u
#define TYPE_MASK	    0xf /* the rest of socket()'s type are flags */
#define PROTO_MPTCP	    262
#define MSG_TFO		    0x20000000 /* MSG_FASTOPEN: connects without connect() */
#define NR_NONE		    UINT32_MAX
#define NOEXEC_SEAL	    0x8 /* MFD_NOEXEC_SEAL, Linux 6.3 */
#define LOW(arg)	    DATA_ARG(arg, 0)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "LOW()");

/* Numbers of the system calls that create or connect sockets or make memory files.  A machine runs
 * its own programs and those of its 32-bit sibling. */
struct abi {
	uint32_t arch, socket, socketpair, socketcall, io_uring_setup, sendto, sendmsg, sendmmsg,
		memfd_create;
};

static const struct abi abis[] = {
#if defined(__x86_64__)
	{ARCH_X86_64, 41, 53, NR_NONE, 425, 44, 46, 307, 319},
	{ARCH_I386, 359, 360, 102, 425, 369, 370, 345, 356},
#elif defined(__aarch64__)
	{ARCH_AARCH64, 198, 199, NR_NONE, 425, 206, 211, 269, 279},
	{ARCH_ARM, 281, 288, 102, 425, 290, 296, 374, 385},
#else
#error "add the system call numbers of this architecture"
#endif
};

struct prog {
	struct kf_filter_insn *at;
	size_t n;
};

static size_t emit_insn(struct prog *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->n >= KF_FILTER_MAX)
		__builtin_trap();
	p->at[p->n] = (struct kf_filter_insn){.code = code, .jt = jt, .jf = jf, .k = k};
	return p->n++;
}

static void emit_load(struct prog *p, uint32_t offset)
{
	(void)emit_insn(p, LOAD_WORD, offset, 0, 0);
}

static void emit_return(struct prog *p, uint32_t action)
{
	(void)emit_insn(p, RETURN, action, 0, 0);
}

static void emit_refuse(struct prog *p, int code)
{
	emit_return(p, ACTION_ERRNO | (uint32_t)code);
}

/* if (A == k) { ... end_when() }: the code up to end_when() runs only then. */
static size_t begin_when(struct prog *p, uint32_t k)
{
	return emit_insn(p, JUMP_EQUAL, k, 0, 0);
}

static size_t begin_when_bit(struct prog *p, uint32_t k)
{
	return emit_insn(p, JUMP_ANY_BIT, k, 0, 0);
}

static void end_when(struct prog *p, size_t jump)
{
	if (p->n - jump - 1 > UINT8_MAX)
		__builtin_trap();
	p->at[jump].jf = (uint8_t)(p->n - jump - 1);
}

static void when_allow(struct prog *p, uint32_t k)
{
	size_t j = begin_when(p, k);

	emit_return(p, ACTION_ALLOW);
	end_when(p, j);
}

static void protocol_only(struct prog *p, uint32_t type, uint32_t protocol)
{
	size_t j = begin_when(p, type);

	emit_load(p, LOW(2));
	when_allow(p, 0);
	when_allow(p, protocol);
	emit_refuse(p, EACCES);
	end_when(p, j);
}

static void ports_only(struct prog *p, const struct kf_filter *f, uint32_t family)
{
	size_t j = begin_when(p, family);

	emit_load(p, LOW(1));
	(void)emit_insn(p, AND, TYPE_MASK, 0, 0);
	if (f->tcp)
		protocol_only(p, SOCK_STREAM, IPPROTO_TCP);
	if (f->udp)
		protocol_only(p, SOCK_DGRAM, IPPROTO_UDP);
	emit_refuse(p, EACCES);
	end_when(p, j);
}

/* Rules for a new socket: arguments family, type, protocol. */
static void socket_rules(struct prog *p, const struct kf_filter *f, uint32_t nr)
{
	size_t call = begin_when(p, nr), j;

	if (f->block) {
		emit_load(p, LOW(0));
		when_allow(p, AF_UNIX);
		j = begin_when(p, AF_NETLINK); /* libc lists addresses with it */
		emit_load(p, LOW(2));
		when_allow(p, ROUTE_NETLINK);
		emit_refuse(p, EACCES);
		end_when(p, j);
		if (f->tcp || f->udp) {
			ports_only(p, f, AF_INET);
			ports_only(p, f, AF_INET6);
		}
		emit_refuse(p, EACCES);
	} else {
		emit_load(p,
			  LOW(2)); /* Landlock's TCP rules do not see MPTCP; programs fall back */
		j = begin_when(p, PROTO_MPTCP);
		emit_refuse(p, EPROTONOSUPPORT);
		end_when(p, j);
		emit_return(p, ACTION_ALLOW);
	}
	end_when(p, call);
}

/* Rules for sending that connects at the same time. */
static void send_rules(struct prog *p, uint32_t nr, unsigned flags_arg)
{
	size_t call = begin_when(p, nr), j;

	emit_load(p, LOW(flags_arg));
	j = begin_when_bit(p, MSG_TFO);
	emit_refuse(p, EOPNOTSUPP);
	end_when(p, j);
	emit_return(p, ACTION_ALLOW);
	end_when(p, call);
}

static void when_refuse(struct prog *p, uint32_t nr, int code)
{
	size_t call = begin_when(p, nr);

	emit_refuse(p, code);
	end_when(p, call);
}

/* A memory file has no path that a rule could grant or deny.  So the only way to keep programs from
 * being executed from one is to make none of them executable. */
static void memfd_rules(struct prog *p, uint32_t nr)
{
	size_t call = begin_when(p, nr), j;

	emit_load(p, LOW(1));
	j = begin_when_bit(p, NOEXEC_SEAL);
	emit_return(p, ACTION_ALLOW);
	end_when(p, j);
	emit_refuse(p, EACCES);
	end_when(p, call);
}

static void network_rules(struct prog *p, const struct kf_filter *f, const struct abi *abi)
{
	socket_rules(p, f, abi->socket);
	if (f->block)
		socket_rules(p, f, abi->socketpair);
	/* socketcall() has its arguments in memory, where no filter can look; programs have
	 * socket(). */
	if (abi->socketcall != NR_NONE)
		when_refuse(p, abi->socketcall, EACCES);
	when_refuse(p, abi->io_uring_setup,
		    ENOSYS); /* it would make sockets that the filter does not see */
	if (f->restrict_connect) {
		send_rules(p, abi->sendto, 3);
		send_rules(p, abi->sendmsg, 2);
		send_rules(p, abi->sendmmsg, 3);
	}
}

static void abi_rules(struct prog *p, const struct kf_filter *f, const struct abi *abi)
{
	emit_load(p, DATA_NR);
	if (abi->arch == ARCH_X86_64) {
		size_t x32 = begin_when_bit(p, X32_BIT); /* the same calls under other numbers */

		emit_refuse(p, ENOSYS);
		end_when(p, x32);
	}
	if (f->block || f->restrict_connect)
		network_rules(p, f, abi);
	if (f->memfd_noexec)
		memfd_rules(p, abi->memfd_create);
	emit_return(p, ACTION_ALLOW);
}

bool kf_filter_any(const struct kf_filter *filter)
{
	return filter->block || filter->restrict_connect || filter->memfd_noexec;
}

size_t kf_filter_build(const struct kf_filter *filter, struct kf_filter_insn *prog)
{
	struct prog p = {.at = prog};

	emit_load(&p, DATA_ARCH);
	for (size_t i = 0; i < KF_ARRAY_SIZE(abis); i++) {
		size_t arch = begin_when(&p, abis[i].arch);

		abi_rules(&p, filter, &abis[i]);
		end_when(&p, arch);
	}
	emit_refuse(&p, ENOSYS);
	return p.n;
}

/* Build @filter and behind it @policy: calls that the first one lets pass go on to the second. */
static size_t build_both(const struct kf_filter *filter, const struct kf_filter_policy *policy,
			 struct kf_filter_insn *prog)
{
	size_t n = kf_filter_build(filter, prog);

	for (size_t i = 0; policy->n && i < n; i++)
		if (prog[i].code == RETURN && prog[i].k == ACTION_ALLOW)
			prog[i] = (struct kf_filter_insn){.code = JUMP, .k = (uint32_t)(n - i - 1)};
	if (policy->n)
		memcpy(prog + n, policy->at, policy->n * sizeof(*prog));
	return n + policy->n;
}

int kf_filter_install(const struct kf_filter *filter, const struct kf_filter_policy *policy,
		      struct kf_err *err)
{
	struct {
		unsigned short len;
		const struct kf_filter_insn *filter;
	} fprog = {(unsigned short)policy->n, policy->at};
	KF_FREE struct kf_filter_insn *prog = NULL;
	long r;

	if (policy->n > KF_FILTER_POLICY_MAX)
		return kf_fail(err, E2BIG, "seccomp policy: more than %d instructions",
			       KF_FILTER_POLICY_MAX);
	if (kf_filter_any(filter)) {
		prog = malloc((KF_FILTER_MAX + policy->n) * sizeof(*prog));
		if (!prog)
			return kf_fail_nomem(err, "seccomp filter");
		fprog.len = (unsigned short)build_both(filter, policy, prog);
		fprog.filter = prog;
	}
	r = policy->flags ? syscall(SYS_seccomp, SET_MODE_FILTER, policy->flags, &fprog)
			  : prctl(PR_SET_SECCOMP, (unsigned long)MODE_FILTER, &fprog, 0UL, 0UL);
	return r == 0 ? 0 : kf_fail_sys(err, "install the seccomp filter");
}

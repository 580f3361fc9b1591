/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/filter.h"

#include "base/cleanup.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The kernel's interface; the musl headers that the launcher is built with have none of it. */
#define LOAD_WORD	    0x20 /* BPF_LD | BPF_W | BPF_ABS */
#define JUMP_EQUAL	    0x15 /* BPF_JMP | BPF_JEQ | BPF_K */
#define JUMP_ANY_BIT	    0x45 /* BPF_JMP | BPF_JSET | BPF_K */
#define AND		    0x54 /* BPF_ALU | BPF_AND | BPF_K */
#define RETURN		    0x06 /* BPF_RET | BPF_K */
#define ACTION_ALLOW	    0x7fff0000u
#define ACTION_ERRNO	    0x00050000u
#define MODE_FILTER	    2
#define ROUTE_NETLINK	    0
#define ARCH_X86_64	    0xc000003eu
#define ARCH_I386	    0x40000003u
#define ARCH_AARCH64	    0xc00000b7u
#define ARCH_ARM	    0x40000028u
#define DATA_NR		    0
#define DATA_ARCH	    4
#define DATA_ARG(arg, half) ((uint32_t)(16 + 8 * (arg) + 4 * (half)))

/* prctl(MARK_OPTION, policy): no such option exists, so that without our filter
 * the answer is EINVAL. */
#define MARK_OPTION	    0x6b666e6f
#define MARK_ERRNO	    EUCLEAN
#define X32_BIT		    0x40000000u
#define TYPE_MASK	    0xf /* the rest of socket()'s type are flags */
#define PROTO_MPTCP	    262
#define MSG_TFO		    0x20000000 /* MSG_FASTOPEN: connects without connect() */
#define NR_NONE		    UINT32_MAX
#define LOW(arg)	    DATA_ARG(arg, 0)
#define HIGH(arg)	    DATA_ARG(arg, 1)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "LOW() and HIGH()");

/* Numbers of what creates or connects sockets.  A machine runs its own programs
 * and those of its 32-bit sibling. */
struct abi {
	uint32_t arch, socket, socketpair, socketcall, io_uring_setup, sendto, sendmsg, sendmmsg;
};

static const struct abi abis[] = {
#if defined(__x86_64__)
	{ARCH_X86_64, 41, 53, NR_NONE, 425, 44, 46, 307},
	{ARCH_I386, 359, 360, 102, 425, 369, 370, 345},
#elif defined(__aarch64__)
	{ARCH_AARCH64, 198, 199, NR_NONE, 425, 206, 211, 269},
	{ARCH_ARM, 281, 288, 102, 425, 290, 296, 374},
#else
#error "add the system call numbers of this architecture"
#endif
};

struct prog {
	struct kf_filter_insn *at;
	size_t n;
};

static size_t emit(struct prog *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (p->n >= KF_FILTER_MAX)
		__builtin_trap();
	p->at[p->n] = (struct kf_filter_insn){.code = code, .jt = jt, .jf = jf, .k = k};
	return p->n++;
}

static void load(struct prog *p, uint32_t offset)
{
	(void)emit(p, LOAD_WORD, offset, 0, 0);
}

static void ret(struct prog *p, uint32_t action)
{
	(void)emit(p, RETURN, action, 0, 0);
}

static void refuse(struct prog *p, int code)
{
	ret(p, ACTION_ERRNO | (uint32_t)code);
}

/* if (A == k) { ... end() }: code up to end() runs only then. */
static size_t when(struct prog *p, uint32_t k)
{
	return emit(p, JUMP_EQUAL, k, 0, 0);
}

static size_t when_any_bit(struct prog *p, uint32_t k)
{
	return emit(p, JUMP_ANY_BIT, k, 0, 0);
}

static void end(struct prog *p, size_t jump)
{
	if (p->n - jump - 1 > UINT8_MAX)
		__builtin_trap();
	p->at[jump].jf = (uint8_t)(p->n - jump - 1);
}

static void when_allow(struct prog *p, uint32_t k)
{
	size_t j = when(p, k);

	ret(p, ACTION_ALLOW);
	end(p, j);
}

static void tcp_only(struct prog *p, uint32_t family)
{
	size_t j = when(p, family), stream;

	load(p, LOW(1));
	(void)emit(p, AND, TYPE_MASK, 0, 0);
	stream = when(p, SOCK_STREAM);
	load(p, LOW(2));
	when_allow(p, 0);
	when_allow(p, IPPROTO_TCP);
	end(p, stream);
	refuse(p, EACCES);
	end(p, j);
}

/* A new socket: arguments family, type, protocol. */
static void socket_rules(struct prog *p, const struct kf_filter *f, uint32_t nr)
{
	size_t call = when(p, nr), j;

	if (f->block) {
		load(p, LOW(0));
		when_allow(p, AF_UNIX);
		j = when(p, AF_NETLINK); /* libc lists addresses with it */
		load(p, LOW(2));
		when_allow(p, ROUTE_NETLINK);
		refuse(p, EACCES);
		end(p, j);
		if (f->tcp) {
			tcp_only(p, AF_INET);
			tcp_only(p, AF_INET6);
		}
		refuse(p, EACCES);
	} else {
		load(p, LOW(2)); /* Landlock's TCP rules do not see MPTCP; programs fall back */
		j = when(p, PROTO_MPTCP);
		refuse(p, EPROTONOSUPPORT);
		end(p, j);
		ret(p, ACTION_ALLOW);
	}
	end(p, call);
}

/* Sending that connects at the same time. */
static void send_rules(struct prog *p, uint32_t nr, unsigned flags_arg)
{
	size_t call = when(p, nr), j;

	load(p, LOW(flags_arg));
	j = when_any_bit(p, MSG_TFO);
	refuse(p, EOPNOTSUPP);
	end(p, j);
	ret(p, ACTION_ALLOW);
	end(p, call);
}

static void when_refuse(struct prog *p, uint32_t nr, int code)
{
	size_t call = when(p, nr);

	refuse(p, code);
	end(p, call);
}

/* prctl() with the mark's second argument, which no option takes; A holds the call's
 * number before and after.  What the same number means elsewhere has no such argument
 * either. */
static void mark_rule(struct prog *p, uint64_t policy)
{
	size_t call = when(p, SYS_prctl), low, high;

	load(p, LOW(1));
	low = when(p, (uint32_t)policy);
	load(p, HIGH(1));
	high = when(p, (uint32_t)(policy >> 32));
	refuse(p, MARK_ERRNO);
	end(p, high);
	end(p, low);
	load(p, DATA_NR);
	end(p, call);
}

static void abi_rules(struct prog *p, const struct kf_filter *f, const struct abi *abi)
{
	load(p, DATA_NR);
	if (abi->arch == ARCH_X86_64) {
		size_t x32 = when_any_bit(p, X32_BIT); /* the same calls under other numbers */

		refuse(p, ENOSYS);
		end(p, x32);
	}
	socket_rules(p, f, abi->socket);
	if (f->block)
		socket_rules(p, f, abi->socketpair);
	/* Arguments in memory, where no filter can look: programs have socket(). */
	if (abi->socketcall != NR_NONE)
		when_refuse(p, abi->socketcall, EACCES);
	when_refuse(p, abi->io_uring_setup, ENOSYS); /* makes sockets unseen */
	if (f->restrict_connect) {
		send_rules(p, abi->sendto, 3);
		send_rules(p, abi->sendmsg, 2);
		send_rules(p, abi->sendmmsg, 3);
	}
	ret(p, ACTION_ALLOW);
}

size_t kf_filter_build(const struct kf_filter *filter, struct kf_filter_insn *prog)
{
	struct prog p = {.at = prog};

	/* First, and few instructions for all but one call: the kernel tries each call
	 * there is when it installs a filter. */
	load(&p, DATA_NR);
	if (filter->mark)
		mark_rule(&p, filter->policy);
	if (!filter->block && !filter->restrict_connect) {
		ret(&p, ACTION_ALLOW);
		return p.n;
	}
	load(&p, DATA_ARCH);
	for (size_t i = 0; i < KF_ARRAY_SIZE(abis); i++) {
		size_t arch = when(&p, abis[i].arch);

		abi_rules(&p, filter, &abis[i]);
		end(&p, arch);
	}
	refuse(&p, ENOSYS);
	return p.n;
}

/* Apart, for the sake of its buffer. */
__attribute__((noinline)) int kf_filter_install(const struct kf_filter *filter, struct kf_err *err)
{
	KF_UNINIT struct kf_filter_insn prog[KF_FILTER_MAX];
	struct {
		unsigned short len;
		struct kf_filter_insn *filter;
	} fprog = {.filter = prog};

	fprog.len = (unsigned short)kf_filter_build(filter, prog);
	if (prctl(PR_SET_SECCOMP, (unsigned long)MODE_FILTER, &fprog, 0UL, 0UL) < 0)
		return kf_fail_sys(err, "install the seccomp filter with prctl");
	return 0;
}

bool kf_filter_marked(uint64_t policy)
{
	return prctl(MARK_OPTION, (unsigned long)policy, 0UL, 0UL, 0UL) < 0 && errno == MARK_ERRNO;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a program is not to have besides files: capabilities, System V IPC, user namespaces, and
 * what the seccomp programs of the command line refuse. */
#include "nono-bwrap/restrict.h"

#include "base/cleanup.h"
#include "sandbox/filter.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPS_MAX 64

/* As in the kernel's headers, which are not part of the launcher's libc. */
struct cap_head {
	uint32_t version;
	int pid;
};
struct cap_data {
	uint32_t effective, permitted, inheritable;
};
#define CAP_VERSION_3 0x20080522u

struct call_data {
	int nr;
	uint32_t arch;
	uint64_t instruction_pointer, args[6];
};
#define ACTION_ALLOW 0x7fff0000u
#define ACTION_ERRNO 0x00050000u

/* Classic BPF, as the kernel's headers name it. */
enum { LOAD = 0x20, JUMP_EQUAL = 0x15, JUMP_BIT = 0x45, RETURN = 0x06 };
enum {
	DATA_NR = offsetof(struct call_data, nr),
	DATA_ARCH = offsetof(struct call_data, arch),
	/* Little-endian: the low half of the first argument. */
	DATA_FLAGS = offsetof(struct call_data, args),
};
#define REFUSE(code) (ACTION_ERRNO | (code))

#if defined(__x86_64__)
#define ARCH	0xc000003eu
#define X32_BIT 0x40000000u
#elif defined(__aarch64__)
#define ARCH	0xc00000b7u
#define X32_BIT 0x80000000u /* no such calls */
#else
#error "add the architecture's AUDIT_ARCH_*"
#endif

int kf_bwrap_drop_caps(const struct kf_bwrap *b, struct kf_err *err)
{
	const bool all = b->drop_caps_all || b->unshare_user || geteuid() != 0;
	const uint64_t drop = all ? UINT64_MAX : b->drop_caps;
	struct cap_head head = {.version = CAP_VERSION_3};
	struct cap_data data[2], now[2];

	if (!drop)
		return 0;
	if (syscall(SYS_capget, &head, data) < 0)
		return kf_fail_sys(err, "capget");
	for (size_t i = 0; i < 2; i++) {
		const uint32_t keep = ~(uint32_t)(drop >> (32 * i));

		data[i].effective &= keep;
		data[i].permitted &= keep;
		data[i].inheritable &= keep;
	}
	/* The bounding set needs CAP_SETPCAP, and does not matter where no_new_privs is set:
	 * nothing comes back at execve(2).  The ambient set follows the inheritable one. */
	for (unsigned long cap = 0; cap < CAPS_MAX; cap++)
		if (drop >> cap & 1)
			(void)prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL);
	if (syscall(SYS_capset, &head, data) < 0 || syscall(SYS_capget, &head, now) < 0)
		return kf_fail_sys(err, "capset");
	for (size_t i = 0; i < 2; i++)
		if ((now[i].effective | now[i].permitted | now[i].inheritable) &
		    (uint32_t)(drop >> (32 * i)))
			return kf_fail(err, EPERM, "capset has not dropped the capabilities");
	return 0;
}

struct assembly {
	struct kf_filter_insn at[64];
	size_t n;
};

static void emit_one(struct assembly *p, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	p->at[p->n++] = (struct kf_filter_insn){code, jt, jf, k};
}

static void emit_refused(struct assembly *p, long nr, int code)
{
	emit_one(p, JUMP_EQUAL, 0, 1, (uint32_t)nr);
	emit_one(p, RETURN, 0, 0, REFUSE((uint32_t)code));
}

/* Calls of other architectures go by other numbers: none of them works. */
static void emit_head(struct assembly *p)
{
	emit_one(p, LOAD, 0, 0, DATA_ARCH);
	emit_one(p, JUMP_EQUAL, 1, 0, ARCH);
	emit_one(p, RETURN, 0, 0, REFUSE(ENOSYS));
	emit_one(p, LOAD, 0, 0, DATA_NR);
	emit_one(p, JUMP_BIT, 0, 1, X32_BIT);
	emit_one(p, RETURN, 0, 0, REFUSE(ENOSYS));
}

static void emit_ipc(struct assembly *p)
{
	static const unsigned short calls[] = {SYS_shmget,     SYS_shmat,  SYS_semget, SYS_semop,
					       SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv,
					       SYS_shmctl,     SYS_semctl, SYS_msgctl, SYS_mq_open,
					       SYS_mq_unlink};

	for (size_t i = 0; i < KF_ARRAY_SIZE(calls); i++)
		emit_refused(p, calls[i], EACCES);
}

/* clone3() has its flags in memory, where no filter can look; whoever is told that it is missing
 * takes clone(). */
static void emit_userns(struct assembly *p)
{
	static const unsigned short calls[] = {SYS_unshare, SYS_clone};

	emit_refused(p, SYS_clone3, ENOSYS);
	for (size_t i = 0; i < KF_ARRAY_SIZE(calls); i++) {
		emit_one(p, JUMP_EQUAL, 0, 4, calls[i]);
		emit_one(p, LOAD, 0, 0, DATA_FLAGS);
		emit_one(p, JUMP_BIT, 0, 1, CLONE_NEWUSER);
		emit_one(p, RETURN, 0, 0, REFUSE(ENOSPC)); /* as when there are too many */
		emit_one(p, RETURN, 0, 0, ACTION_ALLOW);
	}
}

static int install_program(const struct kf_filter_insn *at, size_t n, struct kf_err *err)
{
	static const struct kf_filter none;
	const struct kf_filter_policy policy = {.at = at, .n = n};

	return kf_filter_install(&none, &policy, err);
}

int kf_bwrap_filter_calls(const struct kf_bwrap *b, struct kf_err *err)
{
	struct assembly p = {.n = 0};

	if (!b->unshare_ipc && !b->no_userns)
		return 0;
	emit_head(&p);
	if (b->unshare_ipc)
		emit_ipc(&p);
	if (b->no_userns)
		emit_userns(&p);
	emit_one(&p, RETURN, 0, 0, ACTION_ALLOW);
	return install_program(p.at, p.n, err);
}

static int add_filter(int fd, struct kf_err *err)
{
	/* Whole, and no more than a kernel takes. */
	KF_FREE struct kf_filter_insn *at = malloc(KF_FILTER_POLICY_MAX * sizeof(*at) + 1);
	size_t n = 0;
	ssize_t got;

	if (!at)
		return kf_fail_nomem(err, "--seccomp");
	while ((got = read(fd, (char *)at + n, KF_FILTER_POLICY_MAX * sizeof(*at) + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return kf_fail_sys(err, "--seccomp: read");
	if (!n || n % sizeof(*at) != 0 || n > KF_FILTER_POLICY_MAX * sizeof(*at))
		return kf_fail(err, EINVAL,
			       "--seccomp: %zu bytes are not a program of 1 to %d instructions", n,
			       KF_FILTER_POLICY_MAX);
	(void)close(fd);
	return install_program(at, n / sizeof(*at), err);
}

int kf_bwrap_add_filters(const struct kf_bwrap *b, struct kf_err *err)
{
	for (size_t i = 0; i < b->nfilters; i++)
		if (add_filter(b->filters[i], err) < 0)
			return -1;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_SYSCALLS_H
#define KF_NONO_RUNC_SYSCALLS_H

/* More than any architecture has. */
#define KF_SYSCALL_NUMBERS 1024

/* Of the machine that this is built for. */
enum kf_syscall_arch {
#if defined(__x86_64__)
	KF_SYSCALL_X86_64,
	KF_SYSCALL_X86,
	KF_SYSCALL_X32, /* numbers without the bit that marks them */
#else
	KF_SYSCALL_AARCH64,
	KF_SYSCALL_ARM,
#endif
	KF_SYSCALL_ARCHS,
};

struct kf_syscall;

/* The system call @name; NULL if no architecture of the machine has one of that name. */
const struct kf_syscall *kf_syscall_find(const char *name);
/* Its number, below KF_SYSCALL_NUMBERS; -1 if @call is NULL or @arch has none. */
int kf_syscall_number(const struct kf_syscall *call, enum kf_syscall_arch arch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_CALLS_H
#define KF_NONO_RUNC_CALLS_H

/* More than any architecture has. */
#define KF_CALL_NUMBERS 1024

/* Of the machine that this is built for. */
enum kf_call_arch {
#if defined(__x86_64__)
	KF_CALL_X86_64,
	KF_CALL_X86,
	KF_CALL_X32, /* numbers without the bit that marks them */
#else
	KF_CALL_AARCH64,
	KF_CALL_ARM,
#endif
	KF_CALL_ARCHS,
};

struct kf_call;

/* The system call @name; NULL if no architecture of the machine has one of that name. */
const struct kf_call *kf_call_find(const char *name);
/* Its number, below KF_CALL_NUMBERS; -1 if @call is NULL or @arch has none. */
int kf_call_number(const struct kf_call *call, enum kf_call_arch arch);

#endif

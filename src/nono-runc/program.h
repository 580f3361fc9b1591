/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_PROGRAM_H
#define KF_NONO_RUNC_PROGRAM_H

#include "base/err.h"
#include "sandbox/filter.h"
#include "seccomp/seccomp.h"

/* A seccomp policy as the program that the kernel runs. */
struct kf_program {
	struct kf_filter_insn *at; /* from malloc() */
	size_t n;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* Compile @policy, which has passed kf_seccomp_check() and asks no listener: of several rules that
 * match the strictest counts, as in kf_seccomp_eval(); names that no kernel has are left out, as
 * runtimes do; and calls newer than all that the policy names are answered with ENOSYS if its
 * default is to refuse.  That is runc's rule (libcontainer/seccomp/patchbpf): programs take EPERM
 * for an answer where they would have fallen back. */
int kf_program_compile(const struct kf_seccomp *policy, struct kf_program *ret, struct kf_err *err);
void kf_program_done(struct kf_program *program);

#endif

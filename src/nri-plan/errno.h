/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_PLAN_ERRNO_H
#define KF_NRI_PLAN_ERRNO_H

#include "base/arena.h"
#include "base/err.h"
#include "seccomp/seccomp.h"

/* @seccomp without any rule that names an error number, which runtimes with
 * NRI 0.10 and 0.11 (containerd 2.2, CRI-O 1.35 and 1.36) do not survive: they follow a nil
 * pointer.
 *
 * Nothing becomes allowed.  "Fail with ENOSYS", which the C library's way back from
 * clone3 to clone depends on, is said as SCMP_ACT_TRACE: without a tracer the kernel
 * answers just that.  A tracer could let such a call through, so ptrace is
 * taken from what is allowed.  Other numbers become the default, EPERM.
 * The result lives in @arena and borrows from @seccomp. */
int kf_nri_seccomp_without_errno(const struct kf_seccomp *seccomp, struct kf_arena *arena,
				 const struct kf_seccomp **ret, struct kf_err *err);

#endif

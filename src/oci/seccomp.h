/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp, read and written. */
#ifndef KF_OCI_SECCOMP_H
#define KF_OCI_SECCOMP_H

#include "base/arena.h"
#include "base/err.h"
#include "seccomp/seccomp.h"

struct kf_json;

/* Read linux.seccomp.  The policy lives in @arena and borrows from @obj. */
int kf_oci_seccomp_view(struct kf_json *obj, struct kf_arena *arena, const struct kf_seccomp **ret,
			struct kf_err *err);
/* Write it: a new object in @arena; NULL if out of memory. */
struct kf_json *kf_oci_seccomp_new(const struct kf_seccomp *seccomp, struct kf_arena *arena);

#endif

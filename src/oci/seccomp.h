/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp, read and written. */
#ifndef KF_OCI_SECCOMP_H
#define KF_OCI_SECCOMP_H

#include "base/arena.h"
#include "base/err.h"
#include "seccomp/seccomp.h"

struct json_object;

/* Read linux.seccomp.  The policy lives in @arena and borrows from @obj. */
int kf_oci_seccomp_view(struct json_object *obj, struct kf_arena *arena,
			const struct kf_seccomp **ret, struct kf_err *err);
/* Write it: a new object, the caller's; NULL if out of memory. */
struct json_object *kf_oci_seccomp_new(const struct kf_seccomp *seccomp);

#endif

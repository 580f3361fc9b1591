/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OCI_SECCOMP_H
#define KF_OCI_SECCOMP_H

#include "base/arena.h"
#include "base/err.h"
#include "seccomp/seccomp.h"

struct json_object;

/* linux.seccomp both ways.  The table lives in @arena and borrows from @obj. */
int kf_oci_seccomp_view(struct json_object *obj, struct kf_arena *arena,
			const struct kf_seccomp **ret, struct kf_err *err);
/* New object, the caller's; NULL if out of memory. */
struct json_object *kf_oci_seccomp_new(const struct kf_seccomp *seccomp);

/* The strings of @array (NULL is empty), NULL-terminated; @where and @key are for
 * messages. */
int kf_oci_strings(struct json_object *array, const char *where, const char *key,
		   struct kf_arena *arena, const char *const **ret, size_t *ret_n,
		   struct kf_err *err);
/* New array of the @n strings @v, the caller's; NULL if out of memory. */
struct json_object *kf_oci_strings_new(const char *const *v, size_t n);

#endif

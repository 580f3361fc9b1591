/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_COND_H
#define KF_SECCOMP_COND_H

#include "seccomp/seccomp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Conditions on the arguments of one system call, and the operations that combining two policies
 * takes: and, not, simplify. */

enum kf_cmp_op { KF_CMP_EQ, KF_CMP_NE, KF_CMP_LE, KF_CMP_GE, KF_CMP_MASKED };

/* One comparison of an argument, unsigned, 64 bits. < and > are kept as <= and >= of the
 * neighbouring value.  @strict remembers that, so that they are written as they were: libseccomp
 * 2.5 makes different filters of the two forms. */
struct kf_cmp {
	uint8_t index;
	uint8_t op;
	bool strict;
	uint64_t value;
	uint64_t mask; /* KF_CMP_MASKED only: (arg & mask) == value */
};

#define KF_COND_MAX 48

/* True if all of @c hold; without any it is always true. */
struct kf_cond {
	size_t n;
	struct kf_cmp c[KF_COND_MAX];
};

enum kf_cond_kind {
	KF_COND_EMPTY, /* never true */
	KF_COND_EXACT, /* one comparison an argument at most: a rule can say it */
	KF_COND_WIDE,  /* true sometimes, but no rule can say when */
};

/* Translate the OCI comparison @arg.  Returns false if its operator or its index is unknown.  For
 * one that always holds *ret_n stays 0; for one that never holds *ret_never is set. */
bool kf_cmp_from_arg(const struct kf_seccomp_arg *arg, struct kf_cmp *ret, size_t *ret_n,
		     bool *ret_never);
void kf_cmp_to_arg(const struct kf_cmp *cmp, struct kf_seccomp_arg *ret);
bool kf_cmp_holds(const struct kf_cmp *cmp, const uint64_t args[6]);

/* Add @cmp to @cond; false when full. */
bool kf_cond_add(struct kf_cond *cond, const struct kf_cmp *cmp);
/* Write @cond as short as possible, sorted by argument. */
enum kf_cond_kind kf_cond_simplify(struct kf_cond *cond);
/* The negation of @cmp: true if any of up to 64 comparisons, in @ret, holds; returns their number.
 */
size_t kf_cmp_negate(const struct kf_cmp *cmp, struct kf_cmp ret[static 64]);
/* Whether @b holds wherever @a does. */
bool kf_cond_implies(const struct kf_cond *a, const struct kf_cond *b);

#endif

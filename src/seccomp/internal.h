/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_INTERNAL_H
#define KF_SECCOMP_INTERNAL_H

#include "seccomp/seccomp.h"

/* What a rule with @action answers; without an errno EPERM, as everywhere. */
struct kf_seccomp_verdict kf_seccomp_verdict(const char *action, bool has_errno,
					     uint32_t errno_ret);
/* The stricter of two; commutative and associative. */
struct kf_seccomp_verdict kf_seccomp_stricter(struct kf_seccomp_verdict a,
					      struct kf_seccomp_verdict b);
/* A rule that compares one argument twice is as many rules as it has
 * comparisons (any, not all): so runc and crun read it. */
bool kf_seccomp_rule_splits(const struct kf_seccomp_rule *rule);

#endif

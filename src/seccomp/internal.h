/* SPDX-License-Identifier: Apache-2.0 */
/* What eval.c and merge.c share. */
#ifndef KF_SECCOMP_INTERNAL_H
#define KF_SECCOMP_INTERNAL_H

#include "seccomp/seccomp.h"

/* The answer of a rule with @action; the errno is EPERM if the rule has none. */
struct kf_seccomp_verdict kf_seccomp_verdict(const char *action, bool has_errno,
					     uint32_t errno_ret);
/* The stricter of two; commutative and associative. */
struct kf_seccomp_verdict kf_seccomp_stricter(struct kf_seccomp_verdict a,
					      struct kf_seccomp_verdict b);
/* Whether @rule compares one argument twice. runc and crun read such a rule as one rule for each
 * comparison: any of them may hold, not all. */
bool kf_seccomp_rule_splits(const struct kf_seccomp_rule *rule);

#endif

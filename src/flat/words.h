/* SPDX-License-Identifier: Apache-2.0 */
/* Words that stand in policies and have a meaning outside of them: variables of paths, and resource
 * limits.  Each list ends with an empty name. */
#ifndef KF_FLAT_WORDS_H
#define KF_FLAT_WORDS_H

#include <stddef.h>

/* A variable that a path may begin with: "$NAME". */
struct kf_policy_variable {
	char name[16];
	/* Below HOME, where the XDG specification puts it if nothing is said; "": nowhere. */
	char fallback[16];
};
#define KF_POLICY_VARIABLES 8
extern const struct kf_policy_variable kf_policy_variables[KF_POLICY_VARIABLES + 1];
/* The one called @name (@n bytes), or NULL. */
const struct kf_policy_variable *kf_policy_variable(const char *name, size_t n);

/* A limit of setrlimit(2). */
struct kf_policy_limit {
	char name[12];
	int number; /* RLIMIT_ */
};
#define KF_POLICY_LIMITS 15
extern const struct kf_policy_limit kf_policy_limits[KF_POLICY_LIMITS + 1];
/* The one called @name, or NULL. */
const struct kf_policy_limit *kf_policy_limit(const char *name);

#endif

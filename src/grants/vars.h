/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GRANTS_VARS_H
#define KF_GRANTS_VARS_H

#include "base/err.h"
#include "flat/flat.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* What paths of a policy may refer to. */
struct kf_vars {
	uid_t uid;
	char *workdir;	  /* "" if it cannot be named */
	char *const *env; /* NAME=VALUE, ends with NULL */
};

/* From this process: its uid, working directory and environment. */
int kf_vars_init(struct kf_vars *ret, struct kf_err *err);

enum kf_expansion {
	KF_EXPANSION_NONE,     /* the variable is not set to an absolute path: nothing to grant */
	KF_EXPANSION_LITERAL,  /* the policy itself says where */
	KF_EXPANSION_VARIABLE, /* the environment says where */
};

/* Make the rules "env expand KEY=PATH" of @policy rules "env set KEY=..." with the variable of
 * PATH replaced.  One whose variable is not set stays as it is, and sets nothing. */
int kf_vars_expand_env(const struct kf_vars *vars, struct kf_policy *policy, struct kf_err *err);

/* Write @path of a policy with its variables replaced to @out, clean. */
enum kf_expansion kf_vars_expand(const struct kf_vars *vars, const char *path,
				 char out[static PATH_MAX]);

#endif

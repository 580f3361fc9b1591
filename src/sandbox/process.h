/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_PROCESS_H
#define KF_SANDBOX_PROCESS_H

#include "base/err.h"
#include "flat/flat.h"

/* What a policy changes about the process itself, apart from what it may reach. */

/* The environment @env ("KEY=VALUE", NULL-terminated) after the policy's env rules: keep, then
 * drop, then set.  A rule "expand" that was not expanded sets nothing.  *ret_env is one allocation,
 * the caller's; its strings borrow from @env and @policy, and their order is kept. */
int kf_process_environment(const struct kf_policy *policy, char *const *env, char ***ret_env,
			   struct kf_err *err);

/* Apply the policy's rlimit rules.  They only ever lower a limit. */
int kf_process_limits(const struct kf_policy *policy, struct kf_err *err);

#endif

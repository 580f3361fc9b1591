/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KATA_AGENT_POLICY_H
#define KF_KATA_AGENT_POLICY_H

#include "base/buf.h"
#include "plan/settings.h"

/* The policy (Rego) for Kata's agent in the guest: no container starts except the pod's pause
 * container, and no process enters one, except through the launcher with a profile of @profiles
 * (valid names).  With @exec KF_EXEC_DENY no process enters at all.  @pause: the pause container's
 * only argument.  Written for OPA and for regorus, which the agent uses, with either version of
 * Rego. */
void kf_kata_agent_policy(const char *const *profiles, size_t nprofiles, enum kf_exec_mode exec,
			  const char *pause, struct kf_buf *out);

#endif

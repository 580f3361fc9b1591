/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_AGENT_CONFINE_H
#define KF_KUBEFENCE_AGENT_CONFINE_H

#include "base/calls.h"
#include "kube/client.h"
#include "kubefence/agent/agent.h"

/* The two parts of the agent that hear from others.  What is done to the node is done by jobs
 * that are not confined: see docs/architecture.md. */

/* What watching the host's directories needs beside the watch. */
extern const struct kf_calls kf_agent_host_calls;

/* The loop: it may write the file for probes, watch directories and order jobs, and can neither
 * make a socket nor start a program.  Logs what came of it. */
int kf_agent_confine_loop(const struct kf_agent_options *options, struct kf_err *err);
/* The job that talks to the API server at @kube: it may read its service account and connect to
 * the server's port, to that of name servers if its name has to be looked up. */
int kf_agent_confine_api(const struct kf_kube *kube, struct kf_err *err);

#endif

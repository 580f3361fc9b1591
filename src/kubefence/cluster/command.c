/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono: the list of its commands.  What they share is in cluster.c. */
#include "kubefence/cluster/cluster.h"
#include "kubefence/commands.h"

static const struct kf_command *const commands[] = {&kf_cmd_cluster_status,
						    &kf_cmd_cluster_doctor,
						    &kf_cmd_cluster_explain,
						    &kf_cmd_cluster_why,
						    &kf_cmd_cluster_suggest,
						    &kf_cmd_cluster_logs,
						    &kf_cmd_cluster_diff,
						    &kf_cmd_cluster_commit,
						    &kf_cmd_cluster_discard,
						    &kf_cmd_cluster_sysdump,
						    NULL};

const struct kf_command kf_cmd_cluster = {
	.name = "kubectl nono",
	.about = "The sandbox, as seen from the cluster.",
	.commands = commands,
	.options = kf_cluster_opts,
};

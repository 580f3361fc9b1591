/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of kubefence and of kubectl-nono, each in a folder of its own. */
#ifndef KF_KUBEFENCE_COMMANDS_H
#define KF_KUBEFENCE_COMMANDS_H

#include "cli/command.h"

extern const struct kf_command kf_cmd_denials, kf_cmd_doctor, kf_cmd_explain, kf_cmd_images,
	kf_cmd_kata, kf_cmd_learn, kf_cmd_logs, kf_cmd_node, kf_cmd_profile, kf_cmd_review,
	kf_cmd_seccomp, kf_cmd_selftest, kf_cmd_status, kf_cmd_sysdump, kf_cmd_try;

/* kubectl nono */
extern const struct kf_command kf_cmd_cluster;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_NODE_COMMANDS_H
#define KF_KUBEFENCE_NODE_COMMANDS_H

#include "cli/command.h"

/* Commands of "kubefence node" with options of their own, for the chart's pods. */
extern const struct kf_command kf_cmd_node_cleanup, kf_cmd_node_programs;

#endif

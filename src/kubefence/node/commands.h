/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_NODE_COMMANDS_H
#define KF_KUBEFENCE_NODE_COMMANDS_H

/* Subcommands of "kubefence node" with command lines of their own: for the chart's pods. */
int kf_node_cleanup_command(int argc, char **argv);
int kf_node_programs_command(int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's parent: one a node, root. */
#ifndef KF_EGRESS_NODE_SERVE_H
#define KF_EGRESS_NODE_SERVE_H

#include "cli/command.h"

/* "nono-egress serve" */
extern const struct kf_command kf_serve_command;

#endif

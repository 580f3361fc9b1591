/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime wrote to the journal of systemd. */
#ifndef KF_NODE_UNIT_LOG_H
#define KF_NODE_UNIT_LOG_H

#include "node/node.h"

#define KF_UNIT_LINE 400

/* The last line of the runtime's units since the machine started that has @needle in it, as a whole
 * if it fits into @line; false if there is none, or no journal that can be read. */
bool kf_unit_logged(const struct kf_node *node, const char *needle, char line[static KF_UNIT_LINE]);

#endif

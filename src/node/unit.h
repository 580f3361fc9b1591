/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_UNIT_H
#define KF_NODE_UNIT_H

#include "node/node.h"

/* The runtime's unit, the first of the distribution's that systemd knows to be
 * active; an error with the remedy if there is none.  @down_too: or one that is
 * enabled, for a restart that failed leaves none active. */
int kf_unit_find(const struct kf_node *node, bool down_too, const char **ret, struct kf_err *err);
/* Restart it through the host's own systemctl and wait until systemd calls it active.
 * @again: whatever systemd holds against it (start limit) is forgotten first. */
int kf_unit_restart(const struct kf_node *node, const char *unit, bool again, struct kf_err *err);
/* Have it read its configuration again, without a restart. */
int kf_unit_reload(const struct kf_node *node, const char *unit, struct kf_err *err);

#endif

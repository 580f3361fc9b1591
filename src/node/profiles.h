/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_PROFILES_H
#define KF_NODE_PROFILES_H

#include "node/node.h"

/* Compiled profiles beside the launcher.  Who writes them is nono-nri, if it has a
 * profiles_dir; else install, if it is given some (options->profiles).  Once the
 * directory exists, what is not in it does not exist; so it appears with all of them. */

/* Whether all of options->profiles are there as they should be. */
int kf_node_profiles_there(const struct kf_node *node, bool *ret, struct kf_err *err);
/* Write those that are not, and say so.  Others stay: pods may run under them. */
int kf_node_profiles_write(const struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Remove the directory with all that is in it. */
int kf_node_profiles_remove(const struct kf_node *node, struct kf_err *err);

#endif

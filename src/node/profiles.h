/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_PROFILES_H
#define KF_NODE_PROFILES_H

#include "node/node.h"

/* Compiled profiles beside the launcher. nono-nri writes them if it has a profiles_dir, otherwise
 * install if it is given some (options->profiles).  Once the directory exists, the launcher knows
 * only the profiles in it; so it appears with all of them. */

/* Whether all of options->profiles are installed as they should be. */
int kf_node_profiles_exist(const struct kf_node *node, bool *ret, struct kf_err *err);
/* Write those that are not, and report them.  Other profiles stay, since pods may run under them.
 */
int kf_node_profiles_write(const struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Remove the directory with everything in it. */
int kf_node_profiles_remove(const struct kf_node *node, struct kf_err *err);

#endif

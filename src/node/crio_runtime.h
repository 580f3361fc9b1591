/* SPDX-License-Identifier: Apache-2.0 */
/* The table of one of CRI-O's handlers, with the guard in it. */
#ifndef KF_NODE_CRIO_RUNTIME_H
#define KF_NODE_CRIO_RUNTIME_H

#include "config/runtime_text.h"
#include "node/crio_files.h"

/* Add to @plan's wants everything that handler @h needs: every key of its table in @files (or of
 * the default runtime's table if it has none), and the guard as its runtime.  @recorded: the
 * runtimes that are behind guards already. */
int kf_crio_plan_handler(const struct kf_node *node, struct kf_node_plan *plan,
			 struct kf_crio_files *files, const struct kf_runtimes *recorded,
			 struct kf_node_handler *h, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_NODE_H
#define KF_NONO_RUNC_NODE_H

#include "base/err.h"
#include "config/runtime_text.h"
#include "config/settings_text.h"

#include <limits.h>

/* What lies on the node for the guard.  Nothing is found through the
 * environment or the command line: /opt/kubefence/{settings,runtime} are
 * "../settings" and "../runtime" as seen from the directory of our own
 * executable, and the handler is the name we were started by: "nono-runc", or
 * X for "nono-runc.X". */
struct kf_guard_node {
	char base[PATH_MAX]; /* /opt/kubefence */
	char handler[64];
};

int kf_guard_node_init(const char *argv0, struct kf_guard_node *ret, struct kf_err *err);
int kf_guard_node_settings(const struct kf_guard_node *node, struct kf_settings_text *ret,
			   struct kf_err *err);
/* Real runtime of our handler, by the runtime file; never the guard itself. */
int kf_guard_node_runtime(const struct kf_guard_node *node, char ret[static PATH_MAX],
			  struct kf_err *err);
/* For commands that must work on a broken node: a runtime in the usual places. */
int kf_guard_node_any_runtime(char ret[static PATH_MAX], struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_CRI_H
#define KF_NODE_CRI_H

#include "node/node.h"

/* Wait, at most the options' timeout, until the runtime answers the CRI's
 * Status request on its socket and lists all @handlers.  Runtimes that list none
 * (before CRI of Kubernetes 1.30) are asked for their configuration instead. */
int kf_cri_wait(const struct kf_node *node, const char *const *handlers, size_t nhandlers,
		struct kf_err *err);
/* How many pods of @handler run.  0 if the runtime has no socket; -1 if it has and
 * does not answer. */
int kf_cri_pods(const struct kf_node *node, const char *handler, unsigned *ret, struct kf_err *err);

#endif

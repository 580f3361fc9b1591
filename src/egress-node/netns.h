/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets in another network namespace. */
#ifndef KF_EGRESS_NODE_NETNS_H
#define KF_EGRESS_NODE_NETNS_H

#include "base/err.h"

#include <stddef.h>

struct kf_netns_socket {
	int family, type, protocol; /* as for socket(2); close-on-exec is added */
};

/* Remember the namespace that this process is in.  Once, before all else. */
int kf_netns_init(struct kf_err *err);

/* Make @n sockets in the network namespace @netns; -1: in the one that this process is in.  All or
 * none.  The process, which has one thread, is there only in between; if it cannot come back, it
 * ends. */
int kf_netns_sockets(int netns, const struct kf_netns_socket *want, size_t n, int *ret,
		     struct kf_err *err);

/* Whether @fd is a network namespace, and not our own, which is the node's. */
int kf_netns_check(int fd, struct kf_err *err);

#endif

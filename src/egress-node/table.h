/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in a pod's network namespace that close every way out but the worker's. */
#ifndef KF_EGRESS_NODE_TABLE_H
#define KF_EGRESS_NODE_TABLE_H

#include "base/err.h"

#include <stdint.h>

#define KF_TABLE_NAME "nono-egress"

/* Make the table in the network namespace of @netlink, a socket of NETLINK_NETFILTER, in one
 * transaction; one that is there is replaced:
 *
 *     table inet nono-egress {
 *         chain out {
 *             type filter hook output priority filter; policy drop;
 *             oif "lo" accept                                the pod itself
 *             meta mark MARK accept                          the worker
 *             meta l4proto tcp tcp flags & (syn|ack) != syn accept   answers to who comes from
 * outside icmpv6 type { 133-136, 143 } accept            neighbours, so that these arrive counter
 * meta l4proto tcp reject with tcp reset      at once instead of after minutes counter all else:
 * EPERM
 *         }
 *     }
 *
 * No process of the pod can send a TCP segment other than a SYN first: it has no raw socket. */
int kf_table_install(int netlink, uint32_t mark, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The name servers of a resolv.conf(5): the guard's for a pod, and the node's. */
#ifndef KF_EGRESS_SERVERS_H
#define KF_EGRESS_SERVERS_H

/* Put the first @max addresses of lines "nameserver ADDRESS" into @ret, and return their number.
 * They point into @text, which is changed.  Whether they are addresses is not looked at. */
unsigned kf_egress_servers(char *text, const char **ret, unsigned max);

#endif

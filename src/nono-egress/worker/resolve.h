/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up the addresses of a name. */
#ifndef KF_NONO_EGRESS_WORKER_RESOLVE_H
#define KF_NONO_EGRESS_WORKER_RESOLVE_H

#include "egress/dns.h"
#include "nono-egress/worker/supply.h"

#include <netinet/in.h>
#include <stdbool.h>

#define KF_WORKER_SERVERS_MAX 4

union kf_worker_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* IPv4 first. */
struct kf_worker_addresses {
	unsigned n;
	union kf_worker_address v[2 * KF_EGRESS_DNS_ADDRESSES_MAX];
};

struct kf_worker_resolver;
struct kf_worker_lookup;

extern const struct kf_calls kf_worker_resolve_calls;

/* @servers: "ADDRESS[:PORT],..." (an IPv6 one with a port in brackets).  *ret_port is the port of
 * the first one. */
int kf_worker_resolver_new(struct event_base *base, struct kf_worker_supply *supply,
			   const char *servers, struct kf_worker_resolver **ret,
			   struct kf_err *err);
void kf_worker_resolver_free(struct kf_worker_resolver *resolver);
/* Append the servers' ports to @ports, which has room for KF_WORKER_SERVERS_MAX; how many. */
unsigned kf_worker_resolver_ports(const struct kf_worker_resolver *resolver, uint16_t *ports);

/* Look up @name, a host's name in lower case.  True: *ret has its addresses already.  False: @done
 * is called later, with none if there are none, unless the lookup is ended before; *ret_lookup is
 * NULL if there is no memory, and @done is never called. */
bool kf_worker_resolve(struct kf_worker_resolver *resolver, const char *name,
		       void (*done)(void *ctx, const struct kf_worker_addresses *addresses),
		       void *ctx, struct kf_worker_addresses *ret,
		       struct kf_worker_lookup **ret_lookup);
void kf_worker_lookup_end(struct kf_worker_lookup *lookup); /* NULL is fine */

#endif

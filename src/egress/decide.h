/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules say of a host, of a request, of a route. */
#ifndef KF_EGRESS_DECIDE_H
#define KF_EGRESS_DECIDE_H

#include "egress/head.h"
#include "egress/reason.h"
#include "egress/rules.h"

/* Whether a connection to @name, as kf_egress_name_read() returns it, may be made by CONNECT: the
 * broker sees no request in it, so a host that is limited to some requests is refused. */
enum kf_egress_reason kf_egress_decide_tunnel(const struct kf_egress_rules *rules, const char *name,
					      uint16_t port);
/* Whether this plain request may be made; @path may have a query. */
enum kf_egress_reason kf_egress_decide_request(const struct kf_egress_rules *rules,
					       const char *name, uint16_t port,
					       struct kf_egress_span method,
					       struct kf_egress_span path);
/* The route that serves @path, the longest one; NULL if there is none. */
const struct kf_egress_route *kf_egress_decide_route(const struct kf_egress_rules *rules,
						     struct kf_egress_span path);
/* Whether the route may be asked for @rest, which is what lies behind the route's own path and
 * begins with '/'. */
enum kf_egress_reason kf_egress_decide_routed(const struct kf_egress_route *route,
					      struct kf_egress_span method,
					      struct kf_egress_span rest);

#endif

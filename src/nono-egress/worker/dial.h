/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to hosts: the name is resolved, each address is checked, then dialled. */
#ifndef KF_NONO_EGRESS_WORKER_DIAL_H
#define KF_NONO_EGRESS_WORKER_DIAL_H

#include "egress/reason.h"
#include "egress/rules.h"
#include "nono-egress/worker/resolve.h"

struct kf_worker_dial;

struct kf_worker_dialler {
	struct event_base *base;
	const struct kf_egress_rules *rules;
	struct kf_worker_supply *supply;
	struct kf_worker_resolver *resolver;
};

struct kf_worker_dialled {
	int fd; /* the callee's; -1 if @reason says why not */
	enum kf_egress_reason reason;
	const char *address; /* dialled or refused, "" if none; valid during the call */
	const char *what;    /* of a refused address, e.g. "private", else NULL */
};

extern const struct kf_calls kf_worker_dial_calls;

/* Connect to @name, or to an address if @literal.  @done is called once, never before this
 * returns, unless the dial is ended.  NULL: no memory. */
struct kf_worker_dial *kf_worker_dial_new(
	const struct kf_worker_dialler *dialler, const char *name, bool literal, uint16_t port,
	void (*done)(void *ctx, const struct kf_worker_dialled *dialled), void *ctx);
void kf_worker_dial_end(struct kf_worker_dial *dial); /* NULL is fine */

#endif

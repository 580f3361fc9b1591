/* SPDX-License-Identifier: Apache-2.0 */
/* The supply of sockets that the parent makes in the pod's network namespace. */
#ifndef KF_NONO_EGRESS_WORKER_SUPPLY_H
#define KF_NONO_EGRESS_WORKER_SUPPLY_H

#include "base/calls.h"
#include "base/err.h"
#include "egress/worker.h"

#include <sys/queue.h>

struct event_base;
struct kf_worker_supply;
struct kf_worker_stock;

/* Somebody who waits for a socket; the caller's storage. */
struct kf_worker_waiter {
	TAILQ_ENTRY(kf_worker_waiter) entry;
	struct kf_worker_stock *stock; /* NULL while nobody waits */
	/* The socket, which belongs to the callee; -1: the parent gives none. */
	void (*given)(void *ctx, int fd);
	void *ctx;
};

extern const struct kf_calls kf_worker_supply_calls;

/* @lost is called when the parent is gone. */
int kf_worker_supply_new(struct event_base *base, int control, void (*lost)(void *ctx), void *ctx,
			 struct kf_worker_supply **ret, struct kf_err *err);
void kf_worker_supply_free(struct kf_worker_supply *supply);
/* Ask for what a pod needs soon; nothing is asked for before. */
void kf_worker_supply_start(struct kf_worker_supply *supply);

/* A socket of this kind, or -1: @waiter is called when there is one. */
int kf_worker_supply_take(struct kf_worker_supply *supply, enum kf_egress_kind kind,
			  struct kf_worker_waiter *waiter);
void kf_worker_supply_cancel(struct kf_worker_waiter *waiter);

#endif

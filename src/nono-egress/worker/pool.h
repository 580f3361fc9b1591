/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to hosts that are open and not in use: the next request to the same host takes one
 * instead of dialling.  All belong to one pod. */
#ifndef KF_NONO_EGRESS_WORKER_POOL_H
#define KF_NONO_EGRESS_WORKER_POOL_H

#include "nono-egress/worker/end.h"

#include <netinet/in.h>
#include <sys/queue.h>

struct kf_worker_parked;

struct kf_worker_pool {
	TAILQ_HEAD(kf_worker_parked_list, kf_worker_parked) parked; /* oldest first */
	unsigned n;
};

void kf_worker_pool_init(struct kf_worker_pool *pool);
void kf_worker_pool_done(struct kf_worker_pool *pool);
/* The connection that was parked last, NULL if there is none; its address into @address. */
struct kf_worker_end *kf_worker_pool_take(struct kf_worker_pool *pool, const char *name,
					  uint16_t port, bool tls,
					  char address[static INET6_ADDRSTRLEN]);
/* Keep @end, which belongs to the pool then, as long as the host does and not much longer. */
void kf_worker_pool_put(struct kf_worker_pool *pool, struct kf_worker_end *end, const char *name,
			uint16_t port, const char *address, int64_t now_ms);
/* Close those that were parked for long. */
void kf_worker_pool_sweep(struct kf_worker_pool *pool, int64_t now_ms);

#endif

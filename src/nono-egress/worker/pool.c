/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of connections.  Whatever arrives on one that is parked, an end or bytes that nobody
 * asked for, closes it. */
#include "nono-egress/worker/pool.h"

#include "egress/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARKED_MAX 8
#define PARKED_MS  15000

struct kf_worker_parked {
	TAILQ_ENTRY(kf_worker_parked) entry;
	struct kf_worker_pool *pool;
	struct kf_worker_end *end;
	int64_t until;
	uint16_t port;
	char address[INET6_ADDRSTRLEN];
	char name[KF_EGRESS_NAME_MAX + 1];
};

void kf_worker_pool_init(struct kf_worker_pool *pool)
{
	TAILQ_INIT(&pool->parked);
	pool->n = 0;
}

static struct kf_worker_end *unpark_end(struct kf_worker_parked *p)
{
	struct kf_worker_end *end = p->end;

	TAILQ_REMOVE(&p->pool->parked, p, entry);
	p->pool->n--;
	free(p);
	end->ready = NULL;
	return end;
}

static void on_parked(void *ctx, short what)
{
	(void)what;
	kf_worker_end_free(unpark_end(ctx));
}

void kf_worker_pool_done(struct kf_worker_pool *pool)
{
	while (!TAILQ_EMPTY(&pool->parked))
		on_parked(TAILQ_FIRST(&pool->parked), 0);
}

struct kf_worker_end *kf_worker_pool_take(struct kf_worker_pool *pool, const char *name,
					  uint16_t port, bool tls,
					  char address[static INET6_ADDRSTRLEN])
{
	struct kf_worker_parked *p, *next;

	for (p = TAILQ_LAST(&pool->parked, kf_worker_parked_list); p; p = next) {
		next = TAILQ_PREV(p, kf_worker_parked_list, entry);
		if (p->port != port || (p->end->ssl != NULL) != tls || strcmp(p->name, name) != 0)
			continue;
		memcpy(address, p->address, INET6_ADDRSTRLEN);
		/* The host may have closed it, and the loop not have told yet. */
		if (kf_worker_end_peek(p->end, kf_worker_scratch, 1) == KF_WORKER_WAIT)
			return unpark_end(p);
		on_parked(p, 0);
	}
	return NULL;
}

void kf_worker_pool_put(struct kf_worker_pool *pool, struct kf_worker_end *end, const char *name,
			uint16_t port, const char *address, int64_t now_ms)
{
	struct kf_worker_parked *p = calloc(1, sizeof(*p));

	kf_worker_end_begin(end);
	end->want = EV_READ;
	if (!p || kf_worker_end_arm(end) < 0) {
		free(p);
		kf_worker_end_free(end);
		return;
	}
	if (pool->n == PARKED_MAX)
		on_parked(TAILQ_FIRST(&pool->parked), 0);
	p->pool = pool;
	p->end = end;
	p->port = port;
	p->until = now_ms + PARKED_MS;
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	(void)snprintf(p->address, sizeof(p->address), "%s", address);
	end->ready = on_parked;
	end->ctx = p;
	TAILQ_INSERT_TAIL(&pool->parked, p, entry);
	pool->n++;
}

void kf_worker_pool_sweep(struct kf_worker_pool *pool, int64_t now_ms)
{
	while (!TAILQ_EMPTY(&pool->parked) && TAILQ_FIRST(&pool->parked)->until <= now_ms)
		on_parked(TAILQ_FIRST(&pool->parked), 0);
}

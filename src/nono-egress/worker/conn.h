/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the pod's: what its steps share. */
#ifndef KF_NONO_EGRESS_WORKER_CONN_H
#define KF_NONO_EGRESS_WORKER_CONN_H

#include "base/buf.h"
#include "base/limits.h"
#include "egress/body.h"
#include "egress/reason.h"
#include "nono-egress/worker/dial.h"
#include "nono-egress/worker/end.h"
#include "nono-egress/worker/pool.h"
#include "nono-egress/worker/record.h"
#include "nono-egress/worker/tls.h"

#include <time.h>

#define KF_WORKER_LISTENERS_MAX 4

TAILQ_HEAD(kf_worker_conns, kf_worker_conn);

/* What all connections share. */
struct kf_worker {
	struct event_base *base;
	struct kf_egress_rules rules;
	struct kf_worker_dialler dialler;
	struct kf_worker_records records;
	struct kf_worker_tls *tls; /* NULL: no route */
	struct kf_worker_pool pool;
	int dirs[KF_LIMIT_EGRESS_DIRS];
	uint16_t ports[KF_WORKER_LISTENERS_MAX]; /* of the listeners */
	unsigned nports;
	struct kf_worker_conns conns; /* the one that did nothing for longest first */
	unsigned nconns, max;
};

enum kf_worker_stage {
	KF_WORKER_HEAD,	    /* a request's head is awaited or read */
	KF_WORKER_HELLO,    /* behind CONNECT: the host is dialled, then the TLS hello awaited */
	KF_WORKER_TUNNEL,   /* bytes pass in both directions */
	KF_WORKER_EXCHANGE, /* the host is dialled, a request and its answer pass */
	KF_WORKER_CLOSING,  /* what is queued is written, then the client closes */
};

struct kf_worker_conn {
	TAILQ_ENTRY(kf_worker_conn) entry;
	struct kf_worker *worker;
	struct kf_worker_end *client, *host; /* @host: NULL before it is dialled */
	struct kf_worker_dial *dial;	     /* NULL: nothing is dialled */
	enum kf_worker_stage stage;
	int64_t deadline;
	struct kf_buf in;   /* a head or a hello, as far as it has arrived */
	size_t seen;	    /* bytes of it that were looked at */
	struct kf_buf head; /* of the request, until its answer begins */

	/* For the record. */
	char name[KF_EGRESS_NAME_MAX + 1];
	char address[INET6_ADDRSTRLEN];
	uint16_t port;
	const struct kf_egress_route *route;
	const char *detail; /* of a refusal, for the client; NULL: none */
	uint64_t sent, received;

	bool checked;	 /* no other hello can come in this tunnel */
	bool hello_sent; /* the first one */

	struct kf_egress_body request, answer;
	bool gone;     /* the client is, while nothing of it was awaited */
	bool begun;    /* the request's head is sent */
	bool reused;   /* over a connection that was open before */
	bool literal;  /* @name is an address */
	bool answered; /* the answer's head is passed on */
	bool to_head, upgrade, one_zero;
	bool keep_client, keep_host;
	bool abandoned; /* the host takes no more of the request */
	uint8_t interim;
};

/* What a step of a stage comes to. */
enum kf_worker_step {
	KF_WORKER_STEP_WAIT,
	KF_WORKER_STEP_AGAIN, /* another stage has begun */
	KF_WORKER_STEP_CLOSE, /* at once */
};

/* Milliseconds of a clock that only goes forward. */
static inline int64_t kf_worker_now(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Write the record of what was done. */
void kf_worker_conn_record(struct kf_worker_conn *c, enum kf_egress_reason reason);
/* Record it, tell the client, let go of the host. */
enum kf_worker_step kf_worker_conn_refuse(struct kf_worker_conn *c, enum kf_egress_reason reason);

/* Take @host, which belongs to the connection then. */
void kf_worker_conn_use(struct kf_worker_conn *c, struct kf_worker_end *host);
/* Dial @c->name; -1: no memory.  A dial has this long, and what follows it to begin. */
#define KF_WORKER_DIAL_MS 20000
int kf_worker_conn_dial(struct kf_worker_conn *c);

/* Begins with the request in @c->head, whose host is dialled. */
enum kf_worker_step kf_worker_exchange_step(struct kf_worker_conn *c);
enum kf_worker_step kf_worker_hello_step(struct kf_worker_conn *c);
enum kf_worker_step kf_worker_tunnel_step(struct kf_worker_conn *c);

/* Read until @c->in has what is looked for: bytes of @end are appended up to @max, and @find tells
 * how long it is (0: more must come, -1: it cannot be).  What lies behind it is not taken.  Returns
 * 1, or 0 at the end of what comes, or WAIT, BROKEN; -3: it cannot be, -4: it is too long. */
int kf_worker_conn_read(struct kf_worker_conn *c, struct kf_worker_end *end, size_t max,
			ssize_t (*find)(const char *text, size_t n, size_t seen));
enum { KF_WORKER_MALFORMED = -3, KF_WORKER_TOO_LONG = -4 };

#endif

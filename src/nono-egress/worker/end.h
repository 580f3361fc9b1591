/* SPDX-License-Identifier: Apache-2.0 */
/* One end of what the worker connects: a socket, with TLS or without. */
#ifndef KF_NONO_EGRESS_WORKER_END_H
#define KF_NONO_EGRESS_WORKER_END_H

#include "base/calls.h"
#include "egress/body.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;

/* An idle end has no buffer.  Bytes are looked at where the kernel, or OpenSSL, keeps them, and
 * taken from there once the other end has taken them. */
struct kf_worker_end {
	struct event event;
	struct event_base *base;
	int fd;
	struct ssl_st *ssl; /* NULL: none */
	short want;	    /* EV_READ, EV_WRITE, EV_CLOSED: what the last run waits for */
	short armed;	    /* what is watched */
	bool again;	    /* there is more to do at once */
	bool shut;	    /* nothing will be written any more */
	/* Written before anything else. */
	char *out;
	size_t nout, sent;
	size_t secret; /* @out is memory for keys, of this size */
	void (*ready)(void *ctx, short what);
	void *ctx;
};

extern const struct kf_calls kf_worker_end_calls;

/* How far an attempt came. */
enum {
	KF_WORKER_EOF = 0,
	KF_WORKER_WAIT = -1,
	KF_WORKER_BROKEN = -2,
};

/* @fd and @ssl belong to the end then.  NULL: no memory, @fd is closed and @ssl freed. */
struct kf_worker_end *kf_worker_end_new(struct event_base *base, int fd, struct ssl_st *ssl);
void kf_worker_end_free(struct kf_worker_end *end); /* NULL is fine */

/* Begin a run: nothing is waited for.  Afterwards kf_worker_end_arm() watches for what the
 * attempts of the run could not do.  -1: no memory. */
void kf_worker_end_begin(struct kf_worker_end *end);
int kf_worker_end_arm(struct kf_worker_end *end);

/* Look at up to @n bytes; how many, or one of the above. */
ssize_t kf_worker_end_peek(struct kf_worker_end *end, void *buf, size_t n);
/* Take @n bytes that were seen. */
int kf_worker_end_take(struct kf_worker_end *end, size_t n);
/* Write what is queued, and behind it as much as can be of the @n bytes; how many of those. */
ssize_t kf_worker_end_write(struct kf_worker_end *end, const void *buf, size_t n);

/* Have @n bytes written before anything else: a copy, or for kf_worker_end_queue_secret() the
 * memory itself, of @size bytes from kf_worker_secret_new().  -1: no memory. */
int kf_worker_end_queue(struct kf_worker_end *end, const void *buf, size_t n);
void kf_worker_end_queue_secret(struct kf_worker_end *end, void *buf, size_t n, size_t size);
/* Write what is queued: 1 when all is written, or WAIT, BROKEN. */
int kf_worker_end_flush(struct kf_worker_end *end);
/* Tell the other side that nothing more comes. */
void kf_worker_end_shut(struct kf_worker_end *end);

/* 1 when TLS is set up, or WAIT, BROKEN. */
int kf_worker_end_handshake(struct kf_worker_end *end);

enum kf_worker_pump {
	KF_WORKER_PUMP_WAIT,
	KF_WORKER_PUMP_DONE, /* the body is complete */
	KF_WORKER_PUMP_EOF,
	KF_WORKER_PUMP_BROKEN_FROM,
	KF_WORKER_PUMP_BROKEN_TO,
	KF_WORKER_PUMP_BAD, /* the body is framed wrongly */
};

/* Pass on what comes, up to the end of @body, or everything if that is NULL; adds to *count. */
enum kf_worker_pump kf_worker_pump(struct kf_worker_end *from, struct kf_worker_end *to,
				   struct kf_egress_body *body, uint64_t *count);

/* Where bytes are looked at; shared, since there is one thread. */
#define KF_WORKER_SCRATCH (64 * 1024)
extern uint8_t kf_worker_scratch[KF_WORKER_SCRATCH];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching the host of a request: what a dial comes to. */
#include "nono-egress/worker/conn.h"

#include <string.h>
#include <unistd.h>

void kf_worker_conn_use(struct kf_worker_conn *c, struct kf_worker_end *host)
{
	c->host = host;
	host->ready = c->client->ready;
	host->ctx = c;
}

/* An end for the socket @fd, NULL if there is none; the socket is closed then. */
static struct kf_worker_end *new_host(const struct kf_worker_conn *c, int fd)
{
	struct ssl_st *ssl = NULL;
	struct kf_err err;

	if (c->route && kf_worker_tls_session(c->worker->tls, c->name, fd, &ssl, &err) < 0) {
		(void)close(fd);
		return NULL;
	}
	return kf_worker_end_new(c->worker->base, fd, ssl);
}

static void on_dialled(void *ctx, const struct kf_worker_dialled *dialled)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	struct kf_worker_conn *c = ctx;
	const bool tunnel = c->stage == KF_WORKER_HELLO;
	struct kf_worker_end *host;

	c->dial = NULL;
	c->deadline = kf_worker_now() + KF_WORKER_DIAL_MS; /* to say something, or to hear it */
	c->detail = dialled->what;
	memcpy(c->address, dialled->address, strlen(dialled->address) + 1);
	host = dialled->fd >= 0 ? new_host(c, dialled->fd) : NULL;
	if (host)
		kf_worker_conn_use(c, host);
	if (!host ||
	    (tunnel && kf_worker_end_queue(c->client, established, sizeof(established) - 1) < 0)) {
		c->stage = KF_WORKER_HEAD;
		(void)kf_worker_conn_refuse(c, dialled->fd >= 0 ? KF_EGRESS_WHY_BUSY
								: dialled->reason);
	}
	c->client->ready(c, 0);
}

int kf_worker_conn_dial(struct kf_worker_conn *c)
{
	c->dial = kf_worker_dial_new(&c->worker->dialler, c->name, c->literal, c->port, on_dialled,
				     c);
	if (!c->dial)
		return -1;
	c->deadline = kf_worker_now() + KF_WORKER_DIAL_MS;
	c->client->want |= EV_CLOSED;
	return 0;
}

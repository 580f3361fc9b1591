/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels: what follows CONNECT must be a TLS hello that names the same host, then bytes pass. */
#include "nono-egress/worker/conn.h"

#include "egress/hello.h"

#include <stdio.h>
#include <string.h>

/* A hello and what a client may send behind it before it hears from the server. */
#define AHEAD_MAX (2 * KF_EGRESS_HELLO_MAX)

/* The first @n bytes that arrived go to the host. */
static int pass_ahead(struct kf_worker_conn *c, size_t n)
{
	if (!n)
		return 0;
	if (kf_worker_end_queue(c->host, c->in.p, n) < 0)
		return -1;
	c->sent += n;
	memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
	return 0;
}

/* Check the hello at the beginning of what arrived: 1 and *ret_n if it names the host, 0 if more
 * must come, -1 and *ret_reason. */
static int check_hello(const struct kf_worker_conn *c, size_t *ret_n,
		       enum kf_egress_reason *ret_reason)
{
	char name[KF_EGRESS_NAME_MAX + 1], text[KF_EGRESS_NAME_MAX + 3];
	ssize_t n = kf_egress_hello_read((const uint8_t *)c->in.p, c->in.n, name, ret_reason);
	char literal[KF_EGRESS_NAME_MAX + 1];

	if (n <= 0)
		return (int)n;
	*ret_n = (size_t)n;
	if (strcmp(name, c->name) == 0)
		return 1;
	*ret_reason = name[0] ? KF_EGRESS_WHY_SNI : KF_EGRESS_WHY_NO_SNI;
	/* To an address, which the rules must name, a hello has no name to give. */
	(void)snprintf(text, sizeof(text), strchr(c->name, ':') ? "[%s]" : "%s", c->name);
	return !name[0] && kf_egress_name_read(text, strlen(text), literal) ==
				       KF_EGRESS_NAME_ADDRESS
		       ? 1
		       : -1;
}

/* Go on with what arrived: 1 if the tunnel is open, 0 if more must come, -1 and *ret_reason. */
static int read_ahead(struct kf_worker_conn *c, enum kf_egress_reason *ret_reason)
{
	size_t n = 0;
	int r;

	if (!c->hello_sent) {
		r = check_hello(c, &n, ret_reason);
		if (r <= 0)
			return r;
		c->hello_sent = true;
		*ret_reason = KF_EGRESS_WHY_BUSY;
		if (pass_ahead(c, n) < 0)
			return -1;
	}
	/* A server may ask for a second hello; nobody but us compares the two names. */
	*ret_reason = KF_EGRESS_WHY_NOT_TLS;
	switch (kf_egress_hello_next((const uint8_t *)c->in.p, c->in.n, &n)) {
	case KF_EGRESS_HELLO_MORE:
		return 0;
	case KF_EGRESS_HELLO_WRONG:
		return -1;
	case KF_EGRESS_HELLO_OTHER:
		break;
	case KF_EGRESS_HELLO_AGAIN:
		if (pass_ahead(c, n) < 0)
			return -1;
		r = check_hello(c, &n, ret_reason);
		if (r <= 0)
			return r;
		break;
	}
	return pass_ahead(c, c->in.n) < 0 ? -1 : 1;
}

/* Any byte is what is looked for: read_ahead() decides. */
static ssize_t find_any(const char *text, size_t n, size_t seen)
{
	(void)text;
	(void)seen;
	return (ssize_t)n;
}

/* Read until the client can send no other hello: 1, WAIT, or -1 and *ret_reason; 0: it is gone. */
static int check_client(struct kf_worker_conn *c, enum kf_egress_reason *ret_reason)
{
	for (;;) {
		int r = kf_worker_conn_read(c, c->client, AHEAD_MAX, find_any);

		if (r == KF_WORKER_WAIT)
			return -2;
		if (r == 0 || r == KF_WORKER_BROKEN)
			return 0;
		*ret_reason = KF_EGRESS_WHY_NOT_TLS;
		r = r == 1 ? read_ahead(c, ret_reason) : -1;
		if (r != 0)
			return r;
	}
}

enum kf_worker_step kf_worker_hello_step(struct kf_worker_conn *c)
{
	enum kf_egress_reason reason;
	int r = kf_worker_end_flush(c->client); /* "200", before which clients say nothing */

	if (r != 1)
		return r == KF_WORKER_WAIT ? KF_WORKER_STEP_WAIT : KF_WORKER_STEP_CLOSE;
	r = check_client(c, &reason);
	if (r == -1)
		return kf_worker_conn_refuse(c, reason);
	if (r == 0) {
		kf_worker_conn_record(c, KF_EGRESS_WHY_BROKEN);
		return KF_WORKER_STEP_CLOSE;
	}
	if (!c->hello_sent)
		return KF_WORKER_STEP_WAIT;
	if (r == 1) {
		c->checked = true;
		kf_buf_done(&c->in);
	}
	c->stage = KF_WORKER_TUNNEL;
	return KF_WORKER_STEP_AGAIN;
}

/* One direction: -1 if the tunnel is broken. */
static int pass_direction(struct kf_worker_end *from, struct kf_worker_end *to, uint64_t *count)
{
	if (to->shut)
		return 0;
	switch (kf_worker_pump(from, to, NULL, count)) {
	case KF_WORKER_PUMP_WAIT:
		return 0;
	case KF_WORKER_PUMP_EOF:
		kf_worker_end_shut(to);
		return 0;
	default:
		return -1;
	}
}

/* The client's direction while another hello may come. */
static int pass_checked(struct kf_worker_conn *c, enum kf_egress_reason *ret_reason)
{
	int r = check_client(c, ret_reason);

	if (r == 1) {
		c->checked = true;
		kf_buf_done(&c->in);
	}
	if (r == 0 && pass_ahead(c, c->in.n) == 0) {
		/* It ended before it said what it wants: a server that closes is heard. */
		c->checked = true;
	}
	return r == -1 ? -1 : 0;
}

enum kf_worker_step kf_worker_tunnel_step(struct kf_worker_conn *c)
{
	enum kf_egress_reason reason = KF_EGRESS_WHY_NOT_TLS;
	int r;

	if (!c->checked && pass_checked(c, &reason) < 0)
		return kf_worker_conn_refuse(c, reason);
	r = c->checked ? pass_direction(c->client, c->host, &c->sent)
		       : kf_worker_end_flush(c->host);
	if (r == KF_WORKER_BROKEN || (c->checked && r < 0) ||
	    pass_direction(c->host, c->client, &c->received) < 0 ||
	    (c->client->shut && c->host->shut)) {
		kf_worker_conn_record(c, KF_EGRESS_WHY_NONE);
		return KF_WORKER_STEP_CLOSE;
	}
	return KF_WORKER_STEP_WAIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that the broker sees: plain ones to hosts, and those of routes, to which it adds the
 * key.  Heads are written anew from what was understood of them; bodies pass as they come. */
#include "nono-egress/worker/conn.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "egress/head.h"
#include "nono-egress/worker/key.h"
#include "nono-egress/worker/secret.h"

#include <string.h>

#define INTERIM_MAX 16
#define MORE_MAX    1024 /* lines of our own in a head */

/* ---- the request ---- */

/* As servers compare them that make variables of names. */
static bool same_header(struct kf_egress_span name, const char *header)
{
	if (name.n != strlen(header))
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char a = name.p[i] == '_' ? '-' : name.p[i], b = header[i] == '_' ? '-' : header[i];

		if ((a >= 'A' && a <= 'Z' ? a + 32 : a) != (b >= 'A' && b <= 'Z' ? b + 32 : b))
			return false;
	}
	return true;
}

/* What the broker writes itself; and to a route the token that stands for its key, in whatever
 * field a client sends it: an upstream would take it for a wrong key. */
static bool is_ours(const struct kf_worker_conn *c, const struct kf_egress_field *field)
{
	const struct kf_egress_span name = field->name;

	if (kf_egress_span_case(name, "host") || kf_egress_span_case(name, "content-length") ||
	    (c->route && memmem(field->value.p, field->value.n, KF_EGRESS_PLACEHOLDER,
				sizeof(KF_EGRESS_PLACEHOLDER) - 1)))
		return true;
	for (const struct kf_egress_credential *k = c->route ? c->route->credentials : NULL; k;
	     k = k->next)
		if (same_header(name, k->header))
			return true;
	return false;
}

static bool is_web_socket(const struct kf_egress_head *head)
{
	return head->upgrade && kf_egress_span_case(head->upgrade_to, "websocket");
}

static void add_span(struct kf_buf *out, struct kf_egress_span s)
{
	kf_buf_add(out, s.p, s.n);
}

static void add_field(struct kf_buf *out, const struct kf_egress_field *f)
{
	add_span(out, f->name);
	kf_buf_adds(out, ": ");
	add_span(out, f->value);
	kf_buf_adds(out, "\r\n");
}

static void add_framing(struct kf_buf *out, const struct kf_egress_head *head)
{
	if (head->framing == KF_EGRESS_CHUNKED)
		kf_buf_adds(out, "Transfer-Encoding: chunked\r\n");
	else if (head->has_length)
		kf_buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)head->length);
}

static void add_target(struct kf_buf *out, const struct kf_worker_conn *c,
		       const struct kf_egress_head *head)
{
	struct kf_egress_span path = head->path;

	if (c->route) {
		const size_t own = strlen(c->route->path);

		path.p += own;
		path.n -= own;
		kf_buf_adds(out, c->route->upstream);
		if (!path.n || *path.p != '/')
			kf_buf_adds(out, "/");
	}
	add_span(out, path);
}

/* The head for the host, without the empty line at its end. */
static void write_request(struct kf_buf *out, const struct kf_worker_conn *c,
			  const struct kf_egress_head *head)
{
	add_span(out, head->method);
	kf_buf_adds(out, " ");
	add_target(out, c, head);
	kf_buf_addf(out, " HTTP/1.%d\r\nHost: ", head->one_zero ? 0 : 1);
	kf_buf_addf(out, strchr(c->name, ':') ? "[%s]" : "%s", c->name);
	if (c->port != (c->route ? 443 : 80))
		kf_buf_addf(out, ":%u", c->port);
	kf_buf_adds(out, "\r\n");
	for (size_t i = 0; i < head->nfields; i++)
		if (!kf_egress_head_hop(head, head->fields[i].name) &&
		    !is_ours(c, &head->fields[i]))
			add_field(out, &head->fields[i]);
	add_framing(out, head);
	if (is_web_socket(head))
		kf_buf_adds(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
}

/* Put the head with its keys into memory for keys, and queue that. */
static int queue_with_keys(struct kf_worker_conn *c, const struct kf_buf *head, struct kf_err *err)
{
	size_t size = head->n + 2, n = head->n;
	void *at;

	for (const struct kf_egress_credential *k = c->route->credentials; k; k = k->next)
		size += KF_WORKER_KEY_LINE;
	if (kf_worker_secret_new(size, &at, err) < 0)
		return -1;
	memcpy(at, head->p, head->n);
	for (const struct kf_egress_credential *k = c->route->credentials; k; k = k->next) {
		if (kf_worker_key_line(c->worker->dirs, k, at, &n, err) < 0) {
			kf_worker_secret_free(at, size);
			return -1;
		}
	}
	memcpy((char *)at + n, "\r\n", 2);
	kf_worker_end_queue_secret(c->host, at, n + 2, size);
	return 0;
}

static enum kf_egress_reason begin_request(struct kf_worker_conn *c)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_EGRESS_HEAD_MAX + MORE_MAX);
	KF_UNINIT struct kf_egress_head head;
	const char *why;
	struct kf_err err;

	/* It was read once before, when the host was chosen. */
	if (kf_egress_head_request(c->head.p, c->head.n, &head, &why) < 0)
		return KF_EGRESS_WHY_HEAD;
	write_request(&out, c, &head);
	kf_egress_body_begin(&c->request, &head, true);
	c->upgrade = is_web_socket(&head);
	c->one_zero = head.one_zero;
	c->keep_client = !head.close;
	if (!c->route)
		kf_buf_adds(&out, "\r\n");
	if (out.failed)
		return KF_EGRESS_WHY_HEAD_SIZE;
	c->sent = out.n;
	if (c->route) {
		if (queue_with_keys(c, &out, &err) == 0)
			return KF_EGRESS_WHY_NONE;
		/* For the node's owner; the agent learns that there is no key. */
		kf_log(KF_LOG_WARN, "key-unreadable", {"pod", c->worker->records.pod},
		       {"route", c->route->path}, {"error", err.msg});
		return KF_EGRESS_WHY_SECRET;
	}
	return kf_worker_end_queue(c->host, out.p, out.n) < 0 ? KF_EGRESS_WHY_BUSY
							      : KF_EGRESS_WHY_NONE;
}

/* ---- the answer ---- */

/* The head for the client. */
static void write_answer(struct kf_buf *out, const struct kf_worker_conn *c,
			 const struct kf_egress_head *head)
{
	kf_buf_addf(out, "HTTP/1.1 %d ", head->status);
	add_span(out, head->reason);
	kf_buf_adds(out, "\r\n");
	for (size_t i = 0; i < head->nfields; i++)
		if (!kf_egress_head_hop(head, head->fields[i].name) &&
		    !kf_egress_span_case(head->fields[i].name, "content-length"))
			add_field(out, &head->fields[i]);
	add_framing(out, head);
	if (head->status == 101)
		kf_buf_adds(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (head->status >= 200 && !c->keep_client)
		kf_buf_adds(out, "Connection: close\r\n");
	kf_buf_adds(out, "\r\n");
}

/* Pass an answer's head on; 1 if the answer has begun, 0 if it was an interim one, -1 if it is
 * wrong, -2 if there is no memory. */
static int take_answer(struct kf_worker_conn *c)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_EGRESS_HEAD_MAX + MORE_MAX);
	KF_UNINIT struct kf_egress_head head;
	int r;

	if (kf_egress_head_answer(c->in.p, c->in.n, c->to_head, &head, &c->detail) < 0 ||
	    (head.status == 101 && (!c->upgrade || !is_web_socket(&head))) ||
	    (head.status < 200 && head.status != 101 && ++c->interim > INTERIM_MAX))
		return -1;
	if (head.framing == KF_EGRESS_UNTIL_CLOSE)
		c->keep_client = false;
	if (head.status >= 200 || head.status == 101)
		c->keep_host = !head.close;
	write_answer(&out, c, &head);
	/* HTTP/1.0 knows no interim answers. */
	r = head.status < 200 && head.status != 101 && c->one_zero
		    ? 0
		    : kf_worker_end_queue(c->client, out.p, out.n);
	kf_buf_done(&c->in);
	c->seen = 0;
	if (out.failed || r < 0)
		return -2;
	c->received += out.n;
	kf_buf_done(&c->head);
	if (head.status == 101) {
		c->stage = KF_WORKER_TUNNEL;
		c->checked = true;
		return 1;
	}
	if (head.status < 200)
		return 0;
	kf_egress_body_begin(&c->answer, &head, false);
	c->answered = true;
	return 1;
}

/* Whether the host closed a connection that was open for long just when it was used again, so that
 * the request can be made once more: it has no body that is gone. */
static bool can_repeat(const struct kf_worker_conn *c)
{
	return c->reused && !c->in.n && c->head.n && c->request.framing == KF_EGRESS_NO_BODY &&
	       (c->to_head || strncmp(c->head.p, "GET ", 4) == 0);
}

/* Read the answer's head: as above, and -3 to wait. */
static int read_answer(struct kf_worker_conn *c, enum kf_egress_reason *ret_reason)
{
	for (;;) {
		int r = kf_worker_conn_read(c, c->host, KF_EGRESS_HEAD_MAX, kf_egress_head_end);

		if (r == KF_WORKER_WAIT)
			return -3;
		*ret_reason = r == 0 || r == KF_WORKER_BROKEN ? KF_EGRESS_WHY_BROKEN
							      : KF_EGRESS_WHY_ANSWER;
		r = r == 1 ? take_answer(c) : -1;
		if (r == -2)
			*ret_reason = KF_EGRESS_WHY_BUSY;
		if (r)
			return r < 0 ? -1 : 1;
	}
}

/* ---- both ---- */

/* The request's body; false and *ret_step if that ends the exchange. */
static bool pass_request(struct kf_worker_conn *c, enum kf_worker_step *ret_step)
{
	if (c->abandoned)
		return true;
	switch (kf_worker_pump(c->client, c->host, &c->request, &c->sent)) {
	case KF_WORKER_PUMP_WAIT:
	case KF_WORKER_PUMP_DONE:
		return true;
	case KF_WORKER_PUMP_BROKEN_TO:
		/* The host may have answered before it had read everything. */
		c->abandoned = true;
		c->keep_client = c->keep_host = false;
		return true;
	case KF_WORKER_PUMP_BAD:
		c->detail = "its body is framed wrongly";
		*ret_step = kf_worker_conn_refuse(c, KF_EGRESS_WHY_HEAD);
		return false;
	default:
		kf_worker_conn_record(c, KF_EGRESS_WHY_BROKEN);
		*ret_step = KF_WORKER_STEP_CLOSE;
		return false;
	}
}

static enum kf_worker_step finish_exchange(struct kf_worker_conn *c)
{
	kf_worker_conn_record(c, KF_EGRESS_WHY_NONE);
	if (c->keep_host && c->request.done && !c->one_zero)
		kf_worker_pool_put(&c->worker->pool, KF_STEAL(c->host), c->name, c->port,
				   c->address, kf_worker_now());
	else
		kf_worker_end_free(KF_STEAL(c->host));
	c->stage = c->keep_client && c->request.done ? KF_WORKER_HEAD : KF_WORKER_CLOSING;
	return KF_WORKER_STEP_AGAIN;
}

static enum kf_worker_step pass_answer(struct kf_worker_conn *c)
{
	switch (kf_worker_pump(c->host, c->client, &c->answer, &c->received)) {
	case KF_WORKER_PUMP_WAIT:
		/* A client that is gone is seen though nothing is written to it. */
		if (c->request.done || c->abandoned)
			c->client->want |= EV_CLOSED;
		return KF_WORKER_STEP_WAIT;
	case KF_WORKER_PUMP_DONE:
		return finish_exchange(c);
	case KF_WORKER_PUMP_EOF:
		if (c->answer.framing == KF_EGRESS_UNTIL_CLOSE)
			return finish_exchange(c);
		__attribute__((fallthrough));
	default:
		kf_worker_conn_record(c, KF_EGRESS_WHY_BROKEN);
		return KF_WORKER_STEP_CLOSE;
	}
}

static enum kf_egress_reason begin_exchange(struct kf_worker_conn *c, bool *ret_wait)
{
	int r = c->host->ssl ? kf_worker_end_handshake(c->host) : 1;

	*ret_wait = r == KF_WORKER_WAIT;
	if (*ret_wait)
		return KF_EGRESS_WHY_NONE;
	if (r != 1) {
		const char *distrust = kf_worker_tls_distrust(c->host->ssl);

		c->detail = *distrust ? distrust : NULL;
		return KF_EGRESS_WHY_TLS;
	}
	c->begun = true;
	return begin_request(c);
}

enum kf_worker_step kf_worker_exchange_step(struct kf_worker_conn *c)
{
	enum kf_egress_reason reason;
	enum kf_worker_step step;
	int r;

	if (c->gone) {
		kf_worker_conn_record(c, KF_EGRESS_WHY_BROKEN);
		return KF_WORKER_STEP_CLOSE;
	}
	if (!c->begun) {
		bool wait;

		reason = begin_exchange(c, &wait);
		if (reason != KF_EGRESS_WHY_NONE)
			return kf_worker_conn_refuse(c, reason);
		if (wait) {
			c->client->want |= EV_CLOSED;
			return KF_WORKER_STEP_WAIT;
		}
	}
	if (!pass_request(c, &step))
		return step;
	if (!c->answered) {
		r = read_answer(c, &reason);
		if (r == -1 && reason == KF_EGRESS_WHY_BROKEN && can_repeat(c)) {
			kf_worker_end_free(KF_STEAL(c->host));
			c->begun = c->reused = false;
			return kf_worker_conn_dial(c) < 0
				       ? kf_worker_conn_refuse(c, KF_EGRESS_WHY_BUSY)
				       : KF_WORKER_STEP_WAIT;
		}
		if (r == -1)
			return kf_worker_conn_refuse(c, reason);
		/* Interim answers. */
		if (r == -3 && kf_worker_end_flush(c->client) == KF_WORKER_BROKEN)
			return KF_WORKER_STEP_CLOSE;
		if (r == -3) {
			if (c->request.done || c->abandoned)
				c->client->want |= EV_CLOSED;
			return KF_WORKER_STEP_WAIT;
		}
		if (c->stage == KF_WORKER_TUNNEL)
			return KF_WORKER_STEP_AGAIN;
	}
	return pass_answer(c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the client hears of a refusal, the record of it, and reading heads: what several stages
 * need. */
#include "nono-egress/worker/conn.h"

#include "base/cleanup.h"

#include <string.h>

/* One answer to a request that is refused, headers and reason. */
#define TEXT_MAX (4 * 1024)

void kf_worker_conn_record(struct kf_worker_conn *c, enum kf_egress_reason reason)
{
	const struct kf_worker_record record = {
		.name = c->name,
		.address = c->address,
		.route = c->route ? c->route->path : NULL,
		.port = c->port,
		.sent = c->sent,
		.received = c->received,
		.reason = reason,
	};

	kf_worker_record_write(&c->worker->records, &record);
	c->sent = c->received = 0;
}

/* Access denied, as a fatal alert: what TLS clients make an error of. */
static const uint8_t tls_alert[] = {21, 3, 3, 0, 2, 2, 49};

/* The sentences that the agent reads. */
static void add_text(struct kf_buf *out, const struct kf_worker_conn *c,
		     enum kf_egress_reason reason)
{
	const struct kf_egress_reason_text *r = kf_egress_reason(reason);
	const struct kf_egress_rules *rules = &c->worker->rules;

	kf_buf_adds(out, "nono-egress: ");
	if (c->name[0])
		kf_buf_addf(out, "%s:%u: ", c->name, c->port);
	kf_buf_adds(out, r->text);
	if (c->address[0] && r->verdict == KF_EGRESS_REFUSED)
		kf_buf_addf(out, " (%s%s%s)", c->address, c->detail ? ": " : "",
			    c->detail ? c->detail : "");
	else if (c->detail)
		kf_buf_addf(out, ": %s", c->detail);
	kf_buf_addf(out, ".\nThe rules are those of profile '%s'.", rules->profile);
	if (r->verdict == KF_EGRESS_REFUSED && rules->ask)
		kf_buf_addf(out, " Whom to ask: %s", rules->ask);
	kf_buf_adds(out, "\n");
}

static const char *phrase_of(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{408, "Request Timeout"},
		{431, "Request Header Fields Too Large"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Error";
}

static int queue_reply(struct kf_worker_conn *c, enum kf_egress_reason reason)
{
	const struct kf_egress_reason_text *r = kf_egress_reason(reason);
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(TEXT_MAX);
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(2 * TEXT_MAX);

	add_text(&text, c, reason);
	kf_buf_addf(&out,
		    "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "Content-Length: %zu\r\nX-Nono-Egress: %s\r\nCache-Control: no-store\r\n"
		    "Connection: close\r\n\r\n",
		    r->status, phrase_of(r->status), text.n, r->word);
	if (!c->to_head)
		kf_buf_add(&out, text.p, text.n);
	return text.failed || out.failed ? -1 : kf_worker_end_queue(c->client, out.p, out.n);
}

enum kf_worker_step kf_worker_conn_refuse(struct kf_worker_conn *c, enum kf_egress_reason reason)
{
	const bool inside = c->stage == KF_WORKER_HELLO || c->stage == KF_WORKER_TUNNEL;

	kf_worker_conn_record(c, reason);
	kf_worker_end_free(KF_STEAL(c->host));
	kf_buf_done(&c->in);
	kf_buf_done(&c->head);
	/* An answer that has begun cannot be taken back: the client sees that it ends early. */
	if (c->answered)
		return KF_WORKER_STEP_CLOSE;
	if (inside ? kf_worker_end_queue(c->client, tls_alert, sizeof(tls_alert)) < 0
		   : queue_reply(c, reason) < 0)
		return KF_WORKER_STEP_CLOSE;
	c->stage = KF_WORKER_CLOSING;
	return KF_WORKER_STEP_AGAIN;
}

int kf_worker_conn_read(struct kf_worker_conn *c, struct kf_worker_end *end, size_t max,
			ssize_t (*find)(const char *text, size_t n, size_t seen))
{
	for (;;) {
		const size_t before = c->in.n;
		ssize_t n, found;

		if (before >= max)
			return KF_WORKER_TOO_LONG;
		n = kf_worker_end_peek(end, kf_worker_scratch,
				       max - before < KF_WORKER_SCRATCH ? max - before
									: KF_WORKER_SCRATCH);
		if (n <= 0)
			return (int)n;
		c->in.max = max;
		kf_buf_add(&c->in, kf_worker_scratch, (size_t)n);
		if (c->in.failed)
			return KF_WORKER_BROKEN;
		found = find(c->in.p, c->in.n, c->seen);
		if (found < 0)
			return KF_WORKER_MALFORMED;
		if (found) {
			c->in.n = (size_t)found;
			c->in.p[found] = '\0';
		}
		c->seen = c->in.n;
		if (kf_worker_end_take(end, c->in.n - before) < 0)
			return KF_WORKER_BROKEN;
		if (found)
			return 1;
	}
}

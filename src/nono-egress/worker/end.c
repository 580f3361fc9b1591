/* SPDX-License-Identifier: Apache-2.0 */
/* Ends: reading, writing and waiting, the same for plain sockets and for TLS, and passing bytes
 * from one end to another. */
#include "nono-egress/worker/end.h"

#include "nono-egress/worker/secret.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUNDS_MAX 16 /* then other connections have their turn */

KF_CALLS(kf_worker_end_calls, KF_CALL(recvfrom), KF_CALL(sendto), KF_CALL(sendmsg),
	 KF_CALL(shutdown), KF_CALL_IS(setsockopt, 1, IPPROTO_TCP));

uint8_t kf_worker_scratch[KF_WORKER_SCRATCH];

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct kf_worker_end *end = arg;

	(void)fd;
	if (end->ready)
		end->ready(end->ctx, what);
}

struct kf_worker_end *kf_worker_end_new(struct event_base *base, int fd, struct ssl_st *ssl)
{
	struct kf_worker_end *end = calloc(1, sizeof(*end));

	if (!end) {
		SSL_free(ssl);
		(void)close(fd);
		return NULL;
	}
	*end = (struct kf_worker_end){.base = base, .fd = fd, .ssl = ssl};
	(void)event_assign(&end->event, base, fd, 0, on_event, end);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return end;
}

static void drop_out(struct kf_worker_end *end)
{
	if (end->secret)
		kf_worker_secret_free(end->out, end->secret);
	else
		free(end->out);
	end->out = NULL;
	end->nout = end->sent = end->secret = 0;
}

void kf_worker_end_free(struct kf_worker_end *end)
{
	if (!end)
		return;
	(void)event_del(&end->event);
	drop_out(end);
	SSL_free(end->ssl);
	(void)close(end->fd);
	free(end);
}

void kf_worker_end_begin(struct kf_worker_end *end)
{
	end->want = 0;
	end->again = false;
}

int kf_worker_end_arm(struct kf_worker_end *end)
{
	if (end->want != end->armed) {
		if (event_del(&end->event) < 0 ||
		    event_assign(&end->event, end->base, end->fd, (short)(end->want | EV_PERSIST),
				 on_event, end) < 0 ||
		    (end->want && event_add(&end->event, NULL) < 0))
			return -1;
		end->armed = end->want;
	}
	if (end->again)
		event_active(&end->event, EV_TIMEOUT, 0);
	return 0;
}

/* ---- one attempt ---- */

static ssize_t tls_result(struct kf_worker_end *end, int r)
{
	switch (SSL_get_error(end->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		end->want |= EV_READ;
		return KF_WORKER_WAIT;
	case SSL_ERROR_WANT_WRITE:
		end->want |= EV_WRITE;
		return KF_WORKER_WAIT;
	case SSL_ERROR_ZERO_RETURN:
		return KF_WORKER_EOF;
	default:
		return KF_WORKER_BROKEN;
	}
}

static ssize_t socket_result(struct kf_worker_end *end, ssize_t n, short what)
{
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return KF_WORKER_BROKEN;
	end->want |= what;
	return KF_WORKER_WAIT;
}

ssize_t kf_worker_end_peek(struct kf_worker_end *end, void *buf, size_t n)
{
	int r;

	if (!end->ssl)
		return socket_result(end, recv(end->fd, buf, n, MSG_PEEK), EV_READ);
	ERR_clear_error();
	r = SSL_peek(end->ssl, buf, (int)n);
	return r > 0 ? r : tls_result(end, r);
}

int kf_worker_end_take(struct kf_worker_end *end, size_t n)
{
	static uint8_t taken[16 * 1024];

	while (n) {
		ssize_t r;

		if (end->ssl) {
			ERR_clear_error();
			r = SSL_read(end->ssl, taken, (int)(n < sizeof(taken) ? n : sizeof(taken)));
		} else {
			/* On TCP this drops the bytes without copying them. */
			r = recv(end->fd, NULL, n, MSG_TRUNC);
		}
		if (r < 0 && !end->ssl && errno == EINTR)
			continue;
		if (r <= 0)
			return KF_WORKER_BROKEN;
		n -= (size_t)r;
	}
	return 0;
}

static ssize_t write_some(struct kf_worker_end *end, const void *buf, size_t n)
{
	int r;

	if (end->shut)
		return KF_WORKER_BROKEN;
	if (!end->ssl)
		return socket_result(end, send(end->fd, buf, n, MSG_NOSIGNAL), EV_WRITE);
	ERR_clear_error();
	r = SSL_write(end->ssl, buf, (int)n);
	if (r > 0)
		return r;
	/* The end of what comes is no place to write to. */
	return tls_result(end, r) == KF_WORKER_WAIT ? KF_WORKER_WAIT : KF_WORKER_BROKEN;
}

int kf_worker_end_handshake(struct kf_worker_end *end)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(end->ssl);
	if (r == 1)
		return 1;
	return tls_result(end, r) == KF_WORKER_WAIT ? KF_WORKER_WAIT : KF_WORKER_BROKEN;
}

/* ---- what is written first ---- */

int kf_worker_end_queue(struct kf_worker_end *end, const void *buf, size_t n)
{
	const size_t left = end->nout - end->sent;
	char *out = malloc(left + n);

	if (!out)
		return -1;
	if (left)
		memcpy(out, end->out + end->sent, left);
	memcpy(out + left, buf, n);
	drop_out(end);
	end->out = out;
	end->nout = left + n;
	return 0;
}

void kf_worker_end_queue_secret(struct kf_worker_end *end, void *buf, size_t n, size_t size)
{
	drop_out(end);
	end->out = buf;
	end->nout = n;
	end->secret = size;
}

int kf_worker_end_flush(struct kf_worker_end *end)
{
	while (end->sent < end->nout) {
		ssize_t n = write_some(end, end->out + end->sent, end->nout - end->sent);

		if (n < 0)
			return (int)n;
		end->sent += (size_t)n;
	}
	if (end->out)
		drop_out(end);
	return 1;
}

/* What is queued and @buf in one packet: a client wakes up once for an answer, not for its head and
 * for its body. */
static ssize_t write_behind(struct kf_worker_end *end, const void *buf, size_t n)
{
	const size_t queued = end->nout - end->sent;
	struct iovec parts[2] = {{end->out + end->sent, queued}, {(void *)(uintptr_t)buf, n}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t r = socket_result(end, sendmsg(end->fd, &msg, MSG_NOSIGNAL), EV_WRITE);

	if (r < 0)
		return r;
	if ((size_t)r > queued) {
		drop_out(end);
		return r - (ssize_t)queued;
	}
	end->sent += (size_t)r;
	end->want |= EV_WRITE;
	return KF_WORKER_WAIT;
}

ssize_t kf_worker_end_write(struct kf_worker_end *end, const void *buf, size_t n)
{
	int r;

	if (end->out && !end->ssl && !end->shut)
		return write_behind(end, buf, n);
	r = kf_worker_end_flush(end);
	return r == 1 ? write_some(end, buf, n) : r;
}

void kf_worker_end_shut(struct kf_worker_end *end)
{
	if (end->shut)
		return;
	end->shut = true;
	if (end->ssl) {
		ERR_clear_error();
		(void)SSL_shutdown(end->ssl);
	}
	(void)shutdown(end->fd, SHUT_WR);
}

/* ---- from one end to another ---- */

/* How many of the @n bytes in the scratch are @body's; -1: framed wrongly. */
static ssize_t scan_part(struct kf_egress_body *body, size_t n)
{
	return body ? kf_egress_body_scan(body, (const char *)kf_worker_scratch, n) : (ssize_t)n;
}

/* One round: 0 to go on, else minus one of enum kf_worker_pump, minus one. */
static int pass_part(struct kf_worker_end *from, struct kf_worker_end *to,
		     struct kf_egress_body *body, uint64_t *count)
{
	struct kf_egress_body ahead = {0};
	ssize_t n = kf_worker_end_peek(from, kf_worker_scratch, sizeof(kf_worker_scratch)), w;

	if (n <= 0)
		return n == KF_WORKER_WAIT  ? -1 - KF_WORKER_PUMP_WAIT
		       : n == KF_WORKER_EOF ? -1 - KF_WORKER_PUMP_EOF
					    : -1 - KF_WORKER_PUMP_BROKEN_FROM;
	if (body)
		ahead = *body;
	n = scan_part(body ? &ahead : NULL, (size_t)n);
	if (n < 0)
		return -1 - KF_WORKER_PUMP_BAD;
	w = kf_worker_end_write(to, kf_worker_scratch, (size_t)n);
	if (w < 0)
		return w == KF_WORKER_WAIT ? -1 - KF_WORKER_PUMP_WAIT
					   : -1 - KF_WORKER_PUMP_BROKEN_TO;
	/* Taking from TLS does not change the scratch. */
	(void)scan_part(body, (size_t)w);
	*count += (uint64_t)w;
	return kf_worker_end_take(from, (size_t)w) < 0 ? -1 - KF_WORKER_PUMP_BROKEN_FROM : 0;
}

/* What is queued goes out in any case before the pump says that it is at an end. */
static enum kf_worker_pump end_pump(struct kf_worker_end *to, enum kf_worker_pump result)
{
	int r = result == KF_WORKER_PUMP_BROKEN_TO ? 1 : kf_worker_end_flush(to);

	if (r == 1)
		return result;
	return r == KF_WORKER_WAIT ? KF_WORKER_PUMP_WAIT : KF_WORKER_PUMP_BROKEN_TO;
}

enum kf_worker_pump kf_worker_pump(struct kf_worker_end *from, struct kf_worker_end *to,
				   struct kf_egress_body *body, uint64_t *count)
{
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		int r = body && body->done ? -1 - KF_WORKER_PUMP_DONE
					   : pass_part(from, to, body, count);

		if (r < 0)
			return end_pump(to, (enum kf_worker_pump)(-1 - r));
	}
	from->again = true;
	return KF_WORKER_PUMP_WAIT;
}

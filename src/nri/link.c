/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: bytes in, messages out to its owner, and the other way round.  What the messages
 * mean is dispatch.c's (a plugin) and runtime.c's. */
#include "nri/link.h"

#include "base/cleanup.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define READ_SIZE (64 * 1024)
/* How long to wait for the rest of a message before others have their turn. */
#define REST_MS	  1
/* Two of the largest messages: a peer that reads less than it asks for is not worth more. */
#define OUT_MAX	  (2 * (NRI_TRUNK_FRAME_MAX + 2 * NRI_TRUNK_HEADER))

void nri_link_init(struct nri_link *link, struct event_base *base, uint32_t served,
		   const struct nri_link_ops *ops, void *ctx)
{
	*link = (struct nri_link){
		.base = base,
		.ops = ops,
		.ctx = ctx,
		.served = served,
		.fd = -1,
		.out = KF_BUF_INIT(OUT_MAX),
	};
}

void nri_link_close(struct nri_link *link)
{
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	link->readable = link->writable = NULL;
	if (link->fd >= 0)
		(void)close(link->fd);
	link->fd = -1;
}

static void release_buffers(struct nri_link *link)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(link->in); i++)
		nri_ttrpc_done(&link->in[i]);
	kf_buf_done(&link->out);
	link->out_sent = 0;
}

void nri_link_done(struct nri_link *link)
{
	nri_link_close(link);
	release_buffers(link);
	free(link->buffer);
	link->buffer = NULL;
}

static void break_link(struct nri_link *link, const struct nri_error *why)
{
	if (link->fd < 0)
		return;
	nri_link_close(link);
	link->ops->closed(link->ctx, why);
}

/* ---- reading ---- */

static void serve_message(struct nri_link *link, const struct nri_ttrpc_message *msg)
{
	struct nri_ttrpc_request req;
	struct nri_error err;
	int bad = 0;

	if (msg->type != NRI_TTRPC_REQUEST)
		return;
	if (msg->stream % 2 == 0)
		bad = nri_fail(&err, NRI_INVALID_ARGUMENT,
			       "stream %u: requests have odd stream numbers", msg->stream);
	else if (msg->stream <= link->last_request)
		bad = nri_fail(&err, NRI_INVALID_ARGUMENT, "stream %u: number used before",
			       msg->stream);
	else
		link->last_request = msg->stream;
	if (!bad && msg->too_large)
		bad = nri_fail(&err, NRI_RESOURCE_EXHAUSTED, "request of more than %d bytes",
			       NRI_TTRPC_DATA_MAX);
	if (!bad && !nri_ttrpc_parse_request(msg->data, msg->n, &req))
		bad = nri_fail(&err, NRI_INVALID_ARGUMENT, "malformed request");
	if (bad)
		nri_link_reply_error(link, msg->stream, &err);
	else
		link->ops->request(link->ctx, msg->stream, &req);
}

static int served_message(void *ctx, const struct nri_ttrpc_message *msg)
{
	struct nri_link *link = ctx;

	serve_message(link, msg);
	return link->fd < 0 ? -1 : 0;
}

static int called_message(void *ctx, const struct nri_ttrpc_message *msg)
{
	struct nri_link *link = ctx;
	struct nri_ttrpc_response resp;
	bool good;

	if (msg->type != NRI_TTRPC_RESPONSE)
		return 0;
	good = !msg->too_large && nri_ttrpc_parse_response(msg->data, msg->n, &resp);
	link->ops->response(link->ctx, msg->stream, good ? &resp : NULL);
	return link->fd < 0 ? -1 : 0;
}

struct feed {
	struct nri_link *link;
	struct nri_error *err;
};

static int take_fragment(void *ctx, uint32_t conn, const uint8_t *data, size_t n)
{
	struct feed *feed = ctx;
	struct nri_link *link = feed->link;

	if (conn != NRI_TRUNK_PLUGIN_SERVICE && conn != NRI_TRUNK_RUNTIME_SERVICE)
		return 0; /* nobody is there; Go's reader drops it as well */
	return nri_ttrpc_feed(&link->in[conn - 1], data, n,
			      conn == link->served ? served_message : called_message, link,
			      feed->err);
}

/* Whether a message has begun whose rest is being written at this moment: Go's peer makes four
 * writes of one, and to wait for them here costs less than to come back through the event loop for
 * each. */
static bool in_the_middle(const struct nri_link *link)
{
	return link->trunk.nheader || link->trunk.left || nri_ttrpc_begun(&link->in[0]) ||
	       nri_ttrpc_begun(&link->in[1]);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct nri_link *link = arg;
	struct nri_error err;
	struct feed feed = {link, &err};
	int flags = MSG_DONTWAIT;
	ssize_t n;

	(void)what;
	do {
		do
			n = recv(fd, link->buffer, READ_SIZE, flags);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN) {
			link->slow = !flags;
			return;
		}
		if (n < 0)
			nri_error_set(&err, NRI_UNAVAILABLE, "reading: %s", strerror(errno));
		else if (n == 0)
			nri_error_set(&err, NRI_UNAVAILABLE, "the peer closed the connection");
		if (n <= 0 || nri_trunk_feed(&link->trunk, link->buffer, (size_t)n, take_fragment,
					     &feed, &err) < 0) {
			/* If a callback closed the link, this does nothing. */
			break_link(link, &err);
			return;
		}
		flags = MSG_DONTWAIT;
		if (!in_the_middle(link))
			link->slow = false;
		else if (!link->slow)
			flags = 0;
	} while (n == READ_SIZE || !flags);
}

/* ---- writing ---- */

static void send_failed(struct nri_link *link)
{
	struct nri_error err;

	nri_error_set(&err, NRI_UNAVAILABLE, "writing: %s", strerror(errno));
	break_link(link, &err);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct nri_link *link = arg;
	ssize_t n;

	(void)what;
	do
		n = send(fd, link->out.p + link->out_sent, link->out.n - link->out_sent,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			send_failed(link);
		return;
	}
	link->out_sent += (size_t)n;
	if (link->out_sent == link->out.n) {
		(void)event_del(link->writable);
		kf_buf_done(&link->out);
		link->out_sent = 0;
	}
}

/* Send the pieces, whose bytes are ours only now, in one go or keep what is left of them. */
static void send_pieces(struct nri_link *link, struct iovec *iov, size_t niov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = niov};
	bool waiting = link->out.n > 0;
	ssize_t sent = 0;
	struct nri_error err;

	if (!waiting) {
		do
			sent = sendmsg(link->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (sent < 0 && errno == EINTR);
		if (sent < 0 && errno != EAGAIN) {
			send_failed(link);
			return;
		}
	}
	for (size_t skip = sent > 0 ? (size_t)sent : 0; niov; iov++, niov--) {
		size_t k = nri_min(skip, iov->iov_len);

		skip -= k;
		kf_buf_add(&link->out, (char *)iov->iov_base + k, iov->iov_len - k);
	}
	if (link->out.failed) {
		nri_error_set(&err, NRI_RESOURCE_EXHAUSTED,
			      "the peer does not read what it asked for");
		break_link(link, &err);
	} else if (link->out.n && !waiting) {
		(void)event_add(link->writable, NULL);
	}
}

/* One ttrpc message made of @head and @body, as frames of @conn: the first 4096 bytes, and
 * the rest. */
static void send_message(struct nri_link *link, uint32_t conn, uint32_t stream,
			 enum nri_ttrpc_type type, const uint8_t *head, size_t nhead,
			 const void *body, size_t nbody)
{
	uint8_t start[NRI_TRUNK_HEADER + NRI_TTRPC_HEADER], second[NRI_TRUNK_HEADER];
	size_t total = NRI_TTRPC_HEADER + nhead + nbody;
	size_t first = nri_min(total, NRI_TRUNK_FIRST_MAX);
	size_t split = first - NRI_TTRPC_HEADER - nhead; /* of the body */
	struct iovec iov[5] = {
		{start, sizeof(start)},
		{(void *)(uintptr_t)head, nhead},
		{(void *)(uintptr_t)body, split},
		{second, sizeof(second)},
		{(char *)(uintptr_t)body + split, nbody - split},
	};

	nri_trunk_header(start, conn, (uint32_t)first);
	nri_ttrpc_header(start + NRI_TRUNK_HEADER, (uint32_t)(nhead + nbody), stream, type);
	nri_trunk_header(second, conn, (uint32_t)(total - first));
	send_pieces(link, iov, total > first ? 5 : 3);
}

_Static_assert(NRI_TTRPC_HEADER + NRI_TTRPC_ENVELOPE_MAX < NRI_TRUNK_FIRST_MAX &&
		       NRI_TTRPC_HEADER + NRI_TTRPC_ERROR_MAX < NRI_TRUNK_FIRST_MAX,
	       "only the body is ever split");

void nri_link_reply(struct nri_link *link, uint32_t stream, const void *payload, size_t n)
{
	uint8_t head[NRI_TTRPC_ENVELOPE_MAX];

	if (link->fd < 0)
		return;
	send_message(link, link->served, stream, NRI_TTRPC_RESPONSE, head,
		     nri_ttrpc_put_response(head, n), n ? payload : "", n);
}

void nri_link_reply_error(struct nri_link *link, uint32_t stream, const struct nri_error *err)
{
	uint8_t message[NRI_TTRPC_ERROR_MAX];

	if (link->fd < 0)
		return;
	send_message(link, link->served, stream, NRI_TTRPC_RESPONSE, message,
		     nri_ttrpc_put_error(message, err), "", 0);
}

int nri_link_request(struct nri_link *link, const char *service, const char *method,
		     const void *payload, size_t n, unsigned timeout_ms, uint32_t *ret_stream,
		     struct nri_error *err)
{
	uint8_t head[NRI_TTRPC_ENVELOPE_MAX];
	uint32_t stream = link->next_stream;

	if (link->fd < 0)
		return nri_fail(err, NRI_UNAVAILABLE, "%s: not connected", method);
	if (strlen(service) > NRI_TTRPC_NAME_MAX || strlen(method) > NRI_TTRPC_NAME_MAX)
		return nri_fail(err, NRI_INVALID_ARGUMENT, "%s: name too long", method);
	if (n > NRI_TTRPC_DATA_MAX - sizeof(head))
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED,
				"%s: request of %zu bytes, more than the protocol's %d", method, n,
				NRI_TTRPC_DATA_MAX);
	link->next_stream += 2;
	*ret_stream = stream;
	send_message(link,
		     link->served == NRI_TRUNK_PLUGIN_SERVICE ? NRI_TRUNK_RUNTIME_SERVICE
							      : NRI_TRUNK_PLUGIN_SERVICE,
		     stream, NRI_TTRPC_REQUEST, head,
		     nri_ttrpc_put_request(head, service, method, timeout_ms * UINT64_C(1000000),
					   n),
		     n ? payload : "", n);
	return 0;
}

/* ---- opening ---- */

/* Calls block, for the rest of a message only and for a short time, unless they say that they do
 * not. */
static int make_patient(int fd)
{
	static const struct timeval patience = {.tv_usec = REST_MS * 1000};
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
			       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
					  sizeof(patience)) < 0
		       ? -1
		       : 0;
}

int nri_link_open(struct nri_link *link, int fd, struct nri_error *err)
{
	nri_link_close(link);
	release_buffers(link);
	link->trunk = (struct nri_trunk){0};
	link->slow = false;
	link->last_request = 0;
	link->next_stream = 1;
	if (make_patient(fd) < 0 || evutil_make_socket_closeonexec(fd) < 0)
		return nri_fail(err, NRI_UNAVAILABLE, "descriptor %d: %s", fd, strerror(errno));
	if (!link->buffer)
		link->buffer = malloc(READ_SIZE);
	link->readable = event_new(link->base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
	if (!link->buffer || !link->readable || !link->writable ||
	    event_add(link->readable, NULL) < 0) {
		nri_link_close(link);
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "connection: out of memory");
	}
	link->fd = fd;
	return 0;
}

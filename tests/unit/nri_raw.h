/* SPDX-License-Identifier: Apache-2.0 */
/* A peer made of bytes: sends what no library would send, and notes what comes back, frame by
 * frame.  It lives in the event loop of what it talks to. */
#ifndef KF_TESTS_NRI_RAW_H
#define KF_TESTS_NRI_RAW_H

#include "base/buf.h"
#include "kf_test.h"
#include "nri/link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAW_MESSAGES 32
#define RAW_FRAMES   64
#define RAW_MAX	     (64 * 1024 * 1024)

struct raw_message {
	uint32_t conn, stream;
	uint8_t type;
	uint8_t *data;
	size_t n;
};

struct raw {
	struct event_base *base;
	int fd; /* -1 once the other side has closed */
	struct event *readable;
	struct kf_buf in;	 /* bytes that are not a whole frame yet */
	struct kf_buf stream[3]; /* bytes that are not a whole message yet, by connection */
	size_t frames[RAW_FRAMES], nframes;
	struct raw_message messages[RAW_MESSAGES];
	size_t nmessages;
	/* Called for each message that has arrived. */
	void (*hook)(struct raw *raw, const struct raw_message *msg);
	void *ctx;
};

static inline void raw_drop(struct kf_buf *buf, size_t n)
{
	memmove(buf->p, buf->p + n, buf->n - n);
	buf->n -= n;
}

static inline void raw_take_messages(struct raw *raw, uint32_t conn)
{
	struct kf_buf *s = &raw->stream[conn];

	while (s->n >= NRI_TTRPC_HEADER) {
		const uint8_t *p = (const uint8_t *)s->p;
		struct raw_message *m = &raw->messages[raw->nmessages];
		size_t n = nri_get_be32(p);

		if (s->n < NRI_TTRPC_HEADER + n)
			return;
		assert_true(raw->nmessages < RAW_MESSAGES);
		*m = (struct raw_message){conn, nri_get_be32(p + 4), p[8], malloc(n + 1), n};
		assert_non_null(m->data);
		assert_int_equal(p[9], 0);
		memcpy(m->data, p + NRI_TTRPC_HEADER, n);
		raw_drop(s, NRI_TTRPC_HEADER + n);
		raw->nmessages++;
		if (raw->hook)
			raw->hook(raw, m);
	}
}

static inline void raw_take_frames(struct raw *raw)
{
	while (raw->in.n >= NRI_TRUNK_HEADER) {
		const uint8_t *p = (const uint8_t *)raw->in.p;
		uint32_t conn = nri_get_be32(p), n = nri_get_be32(p + 4);

		assert_true(conn == 1 || conn == 2);
		if (raw->in.n < NRI_TRUNK_HEADER + (size_t)n)
			return;
		if (raw->nframes < RAW_FRAMES)
			raw->frames[raw->nframes++] = n;
		kf_buf_add(&raw->stream[conn], p + NRI_TRUNK_HEADER, n);
		raw_drop(&raw->in, NRI_TRUNK_HEADER + (size_t)n);
		raw_take_messages(raw, conn);
	}
}

static inline void raw_on_readable(evutil_socket_t fd, short what, void *arg)
{
	static char buffer[1 << 16];
	struct raw *raw = arg;
	ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		event_free(raw->readable);
		raw->readable = NULL;
		close(raw->fd);
		raw->fd = -1;
		return;
	}
	kf_buf_add(&raw->in, buffer, (size_t)n);
	raw_take_frames(raw);
}

/* Returns the other end. */
static inline int raw_open(struct raw *raw, struct event_base *base)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*raw = (struct raw){.base = base, .fd = fds[0], .in = KF_BUF_INIT(RAW_MAX)};
	for (size_t i = 0; i < 3; i++)
		raw->stream[i] = (struct kf_buf)KF_BUF_INIT(RAW_MAX);
	raw->readable = event_new(base, raw->fd, EV_READ | EV_PERSIST, raw_on_readable, raw);
	assert_non_null(raw->readable);
	event_add(raw->readable, NULL);
	return fds[1];
}

static inline void raw_forget(struct raw *raw)
{
	for (size_t i = 0; i < raw->nmessages; i++)
		free(raw->messages[i].data);
	raw->nmessages = 0;
	raw->nframes = 0;
}

static inline void raw_hang_up(struct raw *raw)
{
	if (raw->readable)
		event_free(raw->readable);
	raw->readable = NULL;
	if (raw->fd >= 0)
		close(raw->fd);
	raw->fd = -1;
}

static inline void raw_close(struct raw *raw)
{
	raw_hang_up(raw);
	raw_forget(raw);
	kf_buf_done(&raw->in);
	for (size_t i = 0; i < 3; i++)
		kf_buf_done(&raw->stream[i]);
}

/* Run the loop until nothing more happens by itself. */
static inline void raw_settle(struct raw *raw)
{
	/* Each pass handles everything that is ready; what it caused is ready in the next. */
	for (int i = 0; i < 4; i++)
		event_base_loop(raw->base, EVLOOP_NONBLOCK);
}

static inline void raw_send(struct raw *raw, const void *data, size_t n)
{
	const char *p = data;

	while (n && raw->fd >= 0) {
		ssize_t k = send(raw->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else if (errno != EAGAIN) {
			break;
		}
		if (n)
			event_base_loop(raw->base, EVLOOP_NONBLOCK);
	}
}

/* Append @data as frames of at most @size bytes of connection @conn. */
static inline void put_frames(struct kf_buf *out, uint32_t conn, const void *data, size_t n,
			      size_t size)
{
	const char *p = data;

	while (n) {
		uint8_t header[NRI_TRUNK_HEADER];
		size_t k = n < size ? n : size;

		nri_trunk_header(header, conn, (uint32_t)k);
		kf_buf_add(out, header, sizeof(header));
		kf_buf_add(out, p, k);
		p += k;
		n -= k;
	}
}

/* Append a ttrpc message to a stream. */
static inline void put_message(struct kf_buf *out, uint32_t stream, uint8_t type, const void *data,
			       size_t n)
{
	uint8_t header[NRI_TTRPC_HEADER];

	nri_ttrpc_header(header, (uint32_t)n, stream, type);
	kf_buf_add(out, header, sizeof(header));
	kf_buf_add(out, data, n);
}

static inline void put_request(struct kf_buf *out, uint32_t stream, const char *service,
			       const char *method, const void *payload, size_t n)
{
	struct kf_buf body = KF_BUF_INIT(RAW_MAX);
	uint8_t head[NRI_TTRPC_ENVELOPE_MAX];

	kf_buf_add(&body, head, nri_ttrpc_put_request(head, service, method, 1, n));
	kf_buf_add(&body, payload, n);
	put_message(out, stream, NRI_TTRPC_REQUEST, body.p, body.n);
	kf_buf_done(&body);
}

static inline void put_call(struct kf_buf *out, uint32_t stream, const char *method,
			    const ProtobufCMessage *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	protobuf_c_message_pack(msg, p);
	put_request(out, stream, NRI_SERVICE_PLUGIN, method, p, n);
	free(p);
}

/* Append a successful answer whose payload is @msg. */
static inline void put_answer(struct kf_buf *out, uint32_t stream, const ProtobufCMessage *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	uint8_t head[NRI_TTRPC_ENVELOPE_MAX], *p = malloc(n + 1);
	struct kf_buf body = KF_BUF_INIT(RAW_MAX);

	assert_non_null(p);
	protobuf_c_message_pack(msg, p);
	kf_buf_add(&body, head, nri_ttrpc_put_response(head, n));
	kf_buf_add(&body, p, n);
	put_message(out, stream, NRI_TTRPC_RESPONSE, n ? body.p : "", body.n);
	kf_buf_done(&body);
	free(p);
}

/* The last answer's status code; -1 if there was none. */
static inline int raw_last_code(const struct raw *raw)
{
	struct nri_ttrpc_response resp;
	const struct raw_message *m;

	if (!raw->nmessages)
		return -1;
	m = &raw->messages[raw->nmessages - 1];
	assert_int_equal(m->type, NRI_TTRPC_RESPONSE);
	assert_true(nri_ttrpc_parse_response(m->data, m->n, &resp));
	return (int)resp.code;
}

#endif

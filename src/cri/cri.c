/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the CRI with as little gRPC as that takes: HTTP/2 with prior knowledge on a unix
 * socket, one stream, headers never indexed, the answer's headers not read; and the few messages
 * that are read.  What is done with the answers is decided in src/node. */
#include "cri/cri.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "host/unit_log.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define WINDOW		(16 * 1024 * 1024) /* as large as the kubelet's */
#define FRAME_MAX	(16 * 1024)	   /* HTTP/2's default, which we do not raise */
/* One answer: a window of it, since we ask for no second one. */
#define ANSWER_MAX	WINDOW
#define PART_MAX	256  /* the headers of a request, or its message: constants of ours */
#define REQUEST_MAX	4096 /* all frames of a request */
#define IMAGE_MAX	120  /* a name of ours; its length takes one byte of a message */
/* For so long a socket may refuse connections before the runtime counts as absent. */
#define REFUSED_SECONDS 5
/* And for so long an answer may take. */
#define PATIENCE	10

enum {
	H2_DATA = 0,
	H2_HEADERS = 1,
	H2_RST = 3,
	H2_SETTINGS = 4,
	H2_PING = 6,
	H2_GOAWAY = 7,
	H2_WINDOW = 8
};
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4, H2_PADDED = 8 };

static void add_frame(struct kf_buf *buf, unsigned type, unsigned flags, uint32_t stream,
		      const void *data, size_t n)
{
	const unsigned char head[9] = {
		(unsigned char)(n >> 16),
		(unsigned char)(n >> 8),
		(unsigned char)n,
		(unsigned char)type,
		(unsigned char)flags,
		(unsigned char)(stream >> 24),
		(unsigned char)(stream >> 16),
		(unsigned char)(stream >> 8),
		(unsigned char)stream,
	};

	kf_buf_add(buf, head, sizeof(head));
	kf_buf_add(buf, data, n);
}

/* A question: the method, with its length in front, and the request. */
struct cri_question {
	const char *path;
	const char *message;
	size_t n;
};
#define MESSAGE(s) (s), sizeof(s) - 1
/* StatusRequest{verbose: true} */
static const struct cri_question status = {"\x21/runtime.v1.RuntimeService/Status",
					   MESSAGE("\x08\x01")};
/* ListPodSandboxRequest{filter: {state: {state: SANDBOX_READY}}} */
static const struct cri_question list_pods = {"\x29/runtime.v1.RuntimeService/ListPodSandbox",
					      MESSAGE("\x0a\x02\x12\x00")};
/* ListPodSandboxRequest{}, ListContainersRequest{}: whatever their state */
static const struct cri_question all_pods = {"\x29/runtime.v1.RuntimeService/ListPodSandbox",
					     MESSAGE("")};
static const struct cri_question all_containers = {"\x29/runtime.v1.RuntimeService/ListContainers",
						   MESSAGE("")};

/* Append everything that we send before the answer. */
static void add_request(struct kf_buf *buf, const struct cri_question *q)
{
	static const char method[] = "\x83\x86\x04";	  /* POST, http, :path */
	static const char headers[] = "\x01\x09localhost" /* :authority */
				      "\x0f\x10\x10"
				      "application/grpc" /* content-type */
				      "\x00\x02te\x08trailers";
	const char size[5] = {0, 0, 0, 0, (char)q->n};
	const uint32_t window = htonl(WINDOW);
	struct kf_buf part = KF_BUF_INIT(PART_MAX);
	unsigned char settings[6] = {0, 4}; /* INITIAL_WINDOW_SIZE */

	memcpy(settings + 2, &window, 4);
	kf_buf_adds(buf, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	add_frame(buf, H2_SETTINGS, 0, 0, settings, sizeof(settings));
	add_frame(buf, H2_WINDOW, 0, 0, &window, sizeof(window));
	kf_buf_add(&part, method, sizeof(method) - 1);
	kf_buf_adds(&part, q->path);
	kf_buf_add(&part, headers, sizeof(headers) - 1);
	add_frame(buf, H2_HEADERS, H2_END_HEADERS, 1, part.p, part.n);
	kf_buf_reset(&part);
	kf_buf_add(&part, size, sizeof(size));
	kf_buf_add(&part, q->message, q->n);
	add_frame(buf, H2_DATA, H2_END_STREAM, 1, part.p, part.n);
	buf->failed = buf->failed || part.failed;
	kf_buf_done(&part);
}

/* Read frames into @answer until the stream ends. */
static int read_answer(int fd, struct kf_buf *answer, struct kf_err *err)
{
	unsigned char head[9], payload[FRAME_MAX];
	struct kf_buf reply = KF_BUF_INIT(FRAME_MAX + 9);
	int r = 0;

	for (bool end = false; !end && r == 0;) {
		size_t n, pad = 0;

		if (kf_read_all(fd, head, sizeof(head), err) < 0)
			return -1;
		n = ((size_t)head[0] << 16) | ((size_t)head[1] << 8) | head[2];
		if (n > sizeof(payload))
			return kf_fail(err, EPROTO, "frame of %zu bytes", n);
		if (kf_read_all(fd, payload, n, err) < 0)
			return -1;
		if ((head[3] == H2_SETTINGS || head[3] == H2_PING) && !(head[4] & H2_ACK)) {
			add_frame(&reply, head[3], H2_ACK, 0, payload, head[3] == H2_PING ? n : 0);
			r = kf_write_all(fd, reply.p, reply.n, err);
			kf_buf_reset(&reply);
		} else if (head[3] == H2_RST || head[3] == H2_GOAWAY) {
			r = kf_fail(err, ECONNRESET, "the runtime refused the request");
		} else if (head[3] == H2_DATA) {
			if (head[4] & H2_PADDED)
				pad = n ? payload[0] + 1u : 0;
			if (pad > n)
				r = kf_fail(err, EPROTO, "bad padding");
			else
				kf_buf_add(answer, payload + (pad ? 1 : 0), n - pad);
		}
		end = (head[3] == H2_DATA || head[3] == H2_HEADERS) && (head[4] & H2_END_STREAM);
	}
	kf_buf_done(&reply);
	if (r == 0 && answer->failed)
		r = kf_fail(err, EFBIG, "answer of more than %d bytes", ANSWER_MAX);
	return r;
}

static int connect_to(const struct kf_host_runtime *rt, const char *path, int *ret_fd,
		      struct kf_err *err)
{
	const struct timeval patience = {.tv_sec = PATIENCE};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	KF_CLOSE int at = -1;
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || kf_host_fd(rt->host, path, O_PATH, &at, err) < 0)
		return fd < 0 ? kf_fail_sys(err, "socket") : -1;
	/* The address is a descriptor, since the path is the host's and may be too long. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return kf_fail_sys(err, "connect to '%s'", path);
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

/* A protobuf field. */
struct field {
	uint64_t number;
	const char *p; /* length-delimited only */
	size_t n;
};

static bool read_varint(const char **at, const char *end, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		unsigned char c = (unsigned char)*(*at)++;

		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

static bool next_field(const char **at, const char *end, struct field *ret)
{
	uint64_t tag, n;

	if (*at >= end || !read_varint(at, end, &tag))
		return false;
	*ret = (struct field){.number = tag >> 3};
	if ((tag & 7) == 0)
		return read_varint(at, end, &n);
	n = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : 0;
	if ((tag & 7) == 2 && !read_varint(at, end, &n))
		return false;
	if (n > (uint64_t)(end - *at))
		return false;
	ret->p = *at;
	ret->n = (size_t)n;
	*at += n;
	return true;
}

static bool equals_string(const struct field *f, const char *s)
{
	return f->p && f->n == strlen(s) && memcmp(f->p, s, f->n) == 0;
}

/* Whether StatusResponse @p lists @handler: in runtime_handlers (3) or, if that is empty, in the
 * configuration in info (2): JSON with "HANDLER":{ in it. */
static bool lists_handler(const char *p, size_t n, const char *handler)
{
	const char *end = p + n;
	bool any = false, configured = false;
	char quoted[80];
	struct field f, in;

	(void)snprintf(quoted, sizeof(quoted), "\"%s\":{", handler);
	while (next_field(&p, end, &f)) {
		const char *at = f.p;

		if (!f.p || (f.number != 2 && f.number != 3))
			continue;
		any = any || f.number == 3;
		while (next_field(&at, f.p + f.n, &in))
			if (f.number == 3 && in.number == 1 && equals_string(&in, handler))
				return true;
			else if (f.number == 2 && in.number == 2 && in.p)
				configured = configured ||
					     memmem(in.p, in.n, quoted, strlen(quoted)) != NULL;
	}
	return !any && configured;
}

/* Send @q to the socket @path; the answer begins with gRPC's own header. */
static int ask_once(const struct kf_host_runtime *rt, const char *path,
		    const struct cri_question *q, struct kf_buf *answer, struct kf_err *err)
{
	struct kf_buf request = KF_BUF_INIT(REQUEST_MAX);
	KF_CLOSE int fd = -1;
	int r = connect_to(rt, path, &fd, err);

	add_request(&request, q);
	if (r == 0)
		r = request.failed ? kf_fail_nomem(err, "request")
				   : kf_write_all(fd, request.p, request.n, err);
	if (r == 0)
		r = read_answer(fd, answer, err);
	if (r < 0 && err->code == EAGAIN)
		r = kf_fail(err, EAGAIN, "'%s' does not answer within %d s", path, PATIENCE);
	/* The header: not compressed, length. */
	if (r == 0 && (answer->n < 5 || answer->p[0] != 0))
		r = kf_fail(err, EAGAIN, "the runtime is not ready");
	kf_buf_done(&request);
	return r;
}

int kf_cri_ask(const struct kf_host_runtime *rt, const char *const *handlers, size_t nhandlers,
	       const char **ret_missing, struct kf_err *err)
{
	const char *path = kf_host_first(rt->host, rt->distro->sockets), *missing = NULL;
	struct kf_buf answer = KF_BUF_INIT(ANSWER_MAX);
	int r;

	if (!path)
		return kf_fail(err, ENOENT, "there is no socket '%s'", rt->distro->sockets[0]);
	r = ask_once(rt, path, &status, &answer, err);
	for (size_t i = 0; i < nhandlers && r == 0 && !missing; i++)
		if (!lists_handler(answer.p + 5, answer.n - 5, handlers[i]))
			missing = handlers[i];
	kf_buf_done(&answer);
	if (r == 0)
		*ret_missing = missing;
	return r;
}

/* Count the pods (1) with runtime_handler (7) @handler in ListPodSandboxResponse @p. */
static unsigned count_pods(const char *p, size_t n, const char *handler)
{
	const char *end = p + n;
	struct field f, in;
	unsigned count = 0;

	while (next_field(&p, end, &f)) {
		const char *at = f.p;

		while (f.p && f.number == 1 && next_field(&at, f.p + f.n, &in))
			count += in.number == 7 && equals_string(&in, handler);
	}
	return count;
}

int kf_cri_pods(const struct kf_host_runtime *rt, const char *handler, unsigned *ret,
		struct kf_err *err)
{
	const char *path = kf_host_first(rt->host, rt->distro->sockets);
	struct kf_buf answer = KF_BUF_INIT(ANSWER_MAX);
	int r;

	if (!path) { /* there is no runtime that could have started one */
		*ret = 0;
		return 0;
	}
	r = ask_once(rt, path, &list_pods, &answer, err);
	if (r == 0)
		*ret = count_pods(answer.p + 5, answer.n - 5, handler);
	kf_buf_done(&answer);
	return r;
}

/* Find the line of the runtime's log that says why it does not serve @handler; false if there is
 * none. */
static bool find_reason(const struct kf_host_runtime *rt, const char *handler,
			char line[static KF_UNIT_LINE])
{
	char needle[80];

	/* CRI-O ignores a handler that it does not accept, and starts without it. */
	(void)snprintf(needle, sizeof(needle), "\"%.60s\\\" is being ignored", handler);
	return rt->distro->kind == KF_RUNTIME_CRIO && kf_unit_logged(rt, needle, line);
}

int kf_cri_fail(const struct kf_host_runtime *rt, const char *handler, struct kf_err *err)
{
	char line[KF_UNIT_LINE];
	bool found = find_reason(rt, handler, line);

	return kf_fail(err, ENOENT, "the runtime answers, but does not list handler '%s'; %s%s",
		       handler, found ? "its log: " : "see its log", found ? line : "");
}

/* Read the string fields of a message: @text[number - 1], for the first @n numbers. */
static void read_strings(struct field message, struct field *text, size_t n)
{
	const char *at = message.p, *end = message.p + message.n;
	struct field f;

	memset(text, 0, n * sizeof(*text));
	while (next_field(&at, end, &f))
		if (f.p && f.number >= 1 && f.number <= n)
			text[f.number - 1] = f;
}

/* @f as a string in @arena, "" if it is absent; NULL if out of memory. */
static const char *text_of(struct kf_arena *arena, const struct field *f)
{
	return kf_arena_printf(arena, "%.*s", (int)f->n, f->p ? f->p : "");
}

/* PodSandbox: id 1, metadata 2 (name 1, namespace 3), runtime_handler 7. */
static bool take_pod(struct kf_arena *arena, struct field item, struct kf_cri_pod *ret)
{
	struct field in[7], meta[3];

	read_strings(item, in, KF_ARRAY_SIZE(in));
	read_strings(in[1], meta, KF_ARRAY_SIZE(meta));
	*ret = (struct kf_cri_pod){
		.id = text_of(arena, &in[0]),
		.handler = text_of(arena, &in[6]),
		.name = kf_arena_printf(arena, "%.*s/%.*s", (int)meta[2].n,
					meta[2].p ? meta[2].p : "", (int)meta[0].n,
					meta[0].p ? meta[0].p : ""),
	};
	return ret->id && ret->handler && ret->name;
}

/* Container: id 1, pod_sandbox_id 2. */
static bool take_container(struct kf_arena *arena, struct field item, struct kf_cri_container *ret)
{
	struct field in[2];

	read_strings(item, in, KF_ARRAY_SIZE(in));
	*ret = (struct kf_cri_container){text_of(arena, &in[0]), text_of(arena, &in[1])};
	return ret->id && ret->pod;
}

/* The number of items (1) in the list @p. */
static size_t count_items(const char *p, size_t n)
{
	const char *end = p + n;
	struct field f;
	size_t count = 0;

	while (next_field(&p, end, &f))
		count += f.p && f.number == 1;
	return count;
}

static int read_lists(struct kf_arena *arena, const struct kf_buf *pods,
		      const struct kf_buf *containers, struct kf_cri_list *ret, struct kf_err *err)
{
	const char *at = pods->p + 5, *end = pods->p + pods->n;
	struct field f;
	bool ok;

	ret->pods = kf_arena_calloc(arena, count_items(at, pods->n - 5) + 1, sizeof(*ret->pods));
	ret->containers =
		kf_arena_calloc(arena, count_items(containers->p + 5, containers->n - 5) + 1,
				sizeof(*ret->containers));
	ok = ret->pods && ret->containers;
	while (ok && next_field(&at, end, &f))
		if (f.p && f.number == 1)
			ok = take_pod(arena, f, &ret->pods[ret->npods++]);
	at = containers->p + 5;
	end = containers->p + containers->n;
	while (ok && next_field(&at, end, &f))
		if (f.p && f.number == 1)
			ok = take_container(arena, f, &ret->containers[ret->ncontainers++]);
	return ok ? 0 : kf_fail_nomem(err, "list of pods");
}

/* As ask_once(), but try again for a while if nobody listens, for the runtime may be restarting. */
static int ask_again(const struct kf_host_runtime *rt, const char *path,
		     const struct cri_question *q, struct kf_buf *answer, struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	for (unsigned i = 0; ask_once(rt, path, q, answer, err) < 0; i++) {
		if (err->code != ECONNREFUSED || i == REFUSED_SECONDS * 10)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int kf_cri_list(const struct kf_host_runtime *rt, struct kf_arena *arena, struct kf_cri_list *ret,
		struct kf_err *err)
{
	const char *path = kf_host_first(rt->host, rt->distro->sockets);
	struct kf_buf pods = KF_BUF_INIT(ANSWER_MAX), containers = KF_BUF_INIT(ANSWER_MAX);
	struct kf_cri_list list = {0};
	int r = 0;

	/* Ask for the containers first: then each one's pod is in the list that is made later. */
	if (path) {
		r = ask_again(rt, path, &all_containers, &containers, err);
		list.runs = r == 0;
		if (r < 0 && err->code == ECONNREFUSED)
			r = 0;
	}
	if (list.runs)
		r = ask_once(rt, path, &all_pods, &pods, err);
	if (list.runs && r == 0)
		r = read_lists(arena, &pods, &containers, &list, err);
	kf_buf_done(&pods);
	kf_buf_done(&containers);
	if (r == 0)
		*ret = list;
	return r;
}

/* ImageStatusRequest{image 1: {image 1}}; ImageStatusResponse{image 1: {id 1}}. */
int kf_cri_image(const struct kf_host_runtime *rt, const char *image, struct kf_arena *arena,
		 const char **ret_id, struct kf_err *err)
{
	const char *path = kf_host_first(rt->host, rt->distro->sockets), *at, *id = NULL;
	struct kf_buf answer = KF_BUF_INIT(ANSWER_MAX);
	char message[4 + IMAGE_MAX];
	struct cri_question q = {"\x24/runtime.v1.ImageService/ImageStatus", message, 0};
	size_t n = strlen(image);
	struct field f, in[1];
	int r;

	if (n > IMAGE_MAX)
		return kf_fail(err, EINVAL, "an image's name has at most %d bytes", IMAGE_MAX);
	if (!path)
		return kf_fail(err, ENOENT, "there is no socket '%s'", rt->distro->sockets[0]);
	message[0] = message[2] = 0x0a;
	message[1] = (char)(n + 2);
	message[3] = (char)n;
	memcpy(message + 4, image, n);
	q.n = n + 4;
	r = ask_again(rt, path, &q, &answer, err);
	at = answer.p + 5;
	while (r == 0 && next_field(&at, answer.p + answer.n, &f))
		if (f.p && f.number == 1) {
			read_strings(f, in, 1);
			id = text_of(arena, &in[0]);
			r = id ? 0 : kf_fail_nomem(err, "image");
		}
	kf_buf_done(&answer);
	if (r == 0)
		*ret_id = id;
	return r;
}

int kf_cri_wait(const struct kf_host_runtime *rt, const char *const *handlers, size_t nhandlers,
		struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	struct timespec start, now, looked = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		const char *missing = NULL;
		char line[KF_UNIT_LINE];

		if (kf_cri_ask(rt, handlers, nhandlers, &missing, err) == 0 && !missing)
			return 0;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (missing && now.tv_sec != looked.tv_sec) {
			looked = now;
			if (find_reason(rt, missing, line))
				return kf_cri_fail(rt, missing, err);
		}
		if (now.tv_sec - start.tv_sec >= (time_t)rt->timeout)
			return missing ? kf_cri_fail(rt, missing, err)
				       : kf_fail_wrap(err, "no answer on the CRI socket after %u s",
						      rt->timeout);
		(void)nanosleep(&pause, NULL);
	}
}

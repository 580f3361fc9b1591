/* SPDX-License-Identifier: Apache-2.0 */
/* reference SOCKET INDEX EVENTS [ANSWER]: the least plugin in C, without any library.  It
 * subscribes to the events of that mask (8: CreateContainer only) and answers CreateContainer with
 * the bytes of file ANSWER, without a file with none: "no change".  One blocking read and one write
 * for a request, and of a request nothing is read but its method. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAME	    8	 /* header of the multiplexer: connection, length */
#define MESSAGE	    10	 /* header of ttrpc: length, stream, type, flags */
#define FIRST_MAX   4096 /* longest first frame of a message that Go's reader takes */
#define MESSAGE_MAX (MESSAGE + 4 * 1024 * 1024)
#define SERVED	    1
#define CALLED	    2
#define RESPONSE    2

static int sock;
static uint8_t input[2 * FRAME + MESSAGE_MAX], message[MESSAGE_MAX], answer[MESSAGE_MAX],
	head[FRAME + MESSAGE + 16];
static uint8_t subscription[8] = {2 << 3};
static size_t nmessage, nanswer, nsubscription;

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, size_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

/* A length of up to 21 bits. */
static size_t get_length(const uint8_t **p)
{
	size_t n = *(*p)++ & 0x7f;

	for (unsigned shift = 7; (*p)[-1] & 0x80; shift += 7)
		n |= (size_t)(*(*p)++ & 0x7f) << shift;
	return n;
}

static size_t put_length(uint8_t *p, size_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

static void send_all(const struct iovec *iov, int n)
{
	const struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
				   .msg_iovlen = (size_t)n};

	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		exit(EXIT_FAILURE);
}

static void respond(uint32_t stream, const uint8_t *data, size_t n)
{
	size_t nhead = FRAME + MESSAGE, total, first;
	uint8_t second[FRAME];

	if (n) {
		head[nhead++] = 2 << 3 | 2; /* payload */
		nhead += put_length(head + nhead, n);
	}
	total = nhead - FRAME + n;
	first = total < FIRST_MAX ? total : FIRST_MAX;
	put32(head, SERVED);
	put32(head + 4, first);
	put32(head + FRAME, total - MESSAGE);
	put32(head + FRAME + 4, stream);
	head[FRAME + 8] = RESPONSE;
	put32(second, SERVED);
	put32(second + 4, total - first);
	first -= nhead - FRAME; /* of the data */
	send_all((struct iovec[]){{head, nhead},
				  {(void *)(uintptr_t)data, first},
				  {second, FRAME},
				  {(uint8_t *)(uintptr_t)data + first, n - first}},
		 first < n ? 4 : 2);
}

/* Request: service 1, method 2, payload 3. */
static void serve(const uint8_t *p, uint32_t stream)
{
	static const uint8_t more[] = {2 << 3, 1};
	const uint8_t *method;
	size_t n, length;

	p++;
	n = get_length(&p);
	p += n + 1;
	length = get_length(&p);
	method = p;
	p += length;
	if (length == 15 && memcmp(method, "CreateContainer", 15) == 0) {
		respond(stream, answer, nanswer);
	} else if (length == 9 && memcmp(method, "Configure", 9) == 0) {
		respond(stream, subscription, nsubscription);
	} else if (length == 11 && memcmp(method, "Synchronize", 11) == 0) {
		/* "More to come" is the last field of a part. */
		n = *p++ == (3 << 3 | 2) ? get_length(&p) : 0;
		respond(stream, more,
			n >= 2 && p[n - 2] == 3 << 3 && p[n - 1] == 1 ? sizeof(more) : 0);
	} else {
		respond(stream, answer, 0);
	}
}

/* One frame's bytes. */
static void take(uint32_t conn, const uint8_t *data, size_t n)
{
	if (conn != SERVED)
		return;
	if (!nmessage && n >= MESSAGE && n == MESSAGE + get32(data)) {
		serve(data + MESSAGE, get32(data + 4));
		return;
	}
	memcpy(message + nmessage, data, n);
	nmessage += n;
	if (nmessage >= MESSAGE && nmessage == MESSAGE + get32(message)) {
		nmessage = 0;
		serve(message + MESSAGE, get32(message + 4));
	}
}

static void enrol(const char *index)
{
	static const char request[] =
		"\x0a\x1cnri.pkg.api.v1alpha1."
		"Runtime\x12\x0eRegisterPlugin\x1a\x0f\x0a\x09reference\x12\x02";
	const size_t n = sizeof(request) - 1 + 2;

	put32(head, CALLED);
	put32(head + 4, MESSAGE + n);
	put32(head + FRAME, n);
	put32(head + FRAME + 4, 1);
	head[FRAME + 8] = 1;
	send_all((struct iovec[]){{head, FRAME + MESSAGE},
				  {(void *)(uintptr_t)request, sizeof(request) - 1},
				  {(void *)(uintptr_t)index, 2}},
		 3);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t have = 0;
	FILE *f = argc > 4 ? fopen(argv[4], "re") : NULL;
	ssize_t got;

	if (argc < 4 || (argc > 4 && !f))
		return EXIT_FAILURE;
	nanswer = f ? fread(answer, 1, sizeof(answer), f) : 0;
	nsubscription = 1 + put_length(subscription + 1, strtoul(argv[3], NULL, 0));
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", argv[1]);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return EXIT_FAILURE;
	enrol(argv[2]);
	while ((got = recv(sock, input + have, sizeof(input) - have, 0)) > 0) {
		size_t at = 0;

		have += (size_t)got;
		while (have - at >= FRAME && have - at - FRAME >= get32(input + at + 4)) {
			take(get32(input + at), input + at + FRAME, get32(input + at + 4));
			at += FRAME + get32(input + at + 4);
		}
		have -= at;
		memmove(input, input + at, have);
	}
	return EXIT_SUCCESS;
}

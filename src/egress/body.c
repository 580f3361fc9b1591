/* SPDX-License-Identifier: Apache-2.0 */
/* Framing of bodies.  Chunks are passed on as they are, so they must be written in the one way that
 * everybody reads alike. */
#include "egress/body.h"

#define DIGITS_MAX 12
#define LINE_MAX   8192

enum {
	SIZE,	   /* digits of a chunk's size */
	EXTENSION, /* behind ';' */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,      /* at the beginning of a line */
	TRAILER_LINE, /* in it */
	TRAILER_LF,
	END_LF,
};

void kf_egress_body_begin(struct kf_egress_body *body, const struct kf_egress_head *head,
			  bool strict)
{
	*body = (struct kf_egress_body){
		.framing = head->framing,
		.strict = strict,
		.done = head->framing == KF_EGRESS_NO_BODY,
		.left = head->framing == KF_EGRESS_LENGTH ? head->length : 0,
	};
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int read_size(struct kf_egress_body *b, char c)
{
	const int digit = hex_digit(c);

	if (digit >= 0) {
		if (++b->digits > DIGITS_MAX)
			return -1;
		b->left = 16 * b->left + (uint64_t)digit;
		return SIZE;
	}
	if (!b->digits)
		return -1;
	if (c == '\r')
		return SIZE_LF;
	b->line = 0;
	return (c == ';' || c == ' ' || c == '\t') && !b->strict ? EXTENSION : -1;
}

/* A character of an extension or trailer. */
static int read_text(struct kf_egress_body *b, char c, int same, int next)
{
	if (c == '\r')
		return next;
	if ((c >= 0 && c < ' ' && c != '\t') || c == 0x7f || ++b->line > LINE_MAX)
		return -1;
	return same;
}

/* The state after one byte that is no data; -1: wrong. */
static int read_frame(struct kf_egress_body *b, char c)
{
	switch (b->state) {
	case SIZE:
		return read_size(b, c);
	case EXTENSION:
		return read_text(b, c, EXTENSION, SIZE_LF);
	case SIZE_LF:
		return c != '\n' ? -1 : b->left ? DATA : TRAILER;
	case DATA_CR:
		return c == '\r' ? DATA_LF : -1;
	case DATA_LF:
		b->digits = 0;
		return c == '\n' ? SIZE : -1;
	case TRAILER:
		if (c == '\r')
			return END_LF;
		__attribute__((fallthrough));
	case TRAILER_LINE:
		return b->strict ? -1 : read_text(b, c, TRAILER_LINE, TRAILER_LF);
	case TRAILER_LF:
		return c == '\n' ? TRAILER : -1;
	case END_LF:
		b->done = c == '\n';
		return b->done ? END_LF : -1;
	default:
		return -1;
	}
}

static ssize_t scan_chunks(struct kf_egress_body *b, const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && !b->done) {
		int next;

		if (b->state == DATA) {
			size_t part = n - i < b->left ? n - i : (size_t)b->left;

			i += part;
			b->left -= part;
			if (!b->left)
				b->state = DATA_CR;
			continue;
		}
		next = read_frame(b, p[i++]);
		if (next < 0)
			return -1;
		b->state = (uint8_t)next;
	}
	return (ssize_t)i;
}

ssize_t kf_egress_body_scan(struct kf_egress_body *body, const char *p, size_t n)
{
	switch (body->framing) {
	case KF_EGRESS_LENGTH:
		n = n < body->left ? n : (size_t)body->left;
		body->left -= n;
		body->done = !body->left;
		return (ssize_t)n;
	case KF_EGRESS_CHUNKED:
		return scan_chunks(body, p, n);
	case KF_EGRESS_UNTIL_CLOSE:
		return (ssize_t)n;
	case KF_EGRESS_NO_BODY:
		break;
	}
	return 0;
}

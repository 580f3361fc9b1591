/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and bodies of HTTP/1 as the egress broker reads them, in whatever pieces they come.  What
 * is accepted, written anew from what was understood, is understood the same way again: nothing
 * that frames a message hides in what was not looked at.  The first byte says whether it is an
 * answer. */
#include "egress/body.h"
#include "egress/head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define need(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static struct kf_egress_head head, again;

static size_t put(char *out, size_t at, struct kf_egress_span s, const char *behind)
{
	if (s.n)
		memcpy(out + at, s.p, s.n);
	memcpy(out + at + s.n, behind, strlen(behind));
	return at + s.n + strlen(behind);
}

static int parse(const char *text, size_t n, bool answer, struct kf_egress_head *ret)
{
	const char *why = NULL;
	int r = answer ? kf_egress_head_answer(text, n, false, ret, &why)
		       : kf_egress_head_request(text, n, ret, &why);

	need(r == 0 || why);
	return r;
}

/* Every field with one blank, nothing else changed. */
static void check_written_anew(const char *text, size_t n, bool answer)
{
	const char *line = memchr(text, '\r', n);
	char *out = malloc(2 * n + 16);
	size_t at = put(out, 0, (struct kf_egress_span){text, (size_t)(line - text)}, "\r\n");

	for (size_t i = 0; i < head.nfields; i++) {
		need(head.fields[i].name.n);
		at = put(out, at, head.fields[i].name, ": ");
		at = put(out, at, head.fields[i].value, "\r\n");
	}
	memcpy(out + at, "\r\n", 2);
	at += 2;
	need(parse(out, at, answer, &again) == 0);
	need(again.framing == head.framing && again.length == head.length &&
	     again.close == head.close && again.upgrade == head.upgrade &&
	     again.nfields == head.nfields && again.status == head.status &&
	     again.target == head.target && again.port == head.port &&
	     again.path.n == head.path.n && again.host.n == head.host.n);
	free(out);
}

/* One byte at a time ends where all at once does. */
static void check_body(const char *p, size_t n, bool answer)
{
	struct kf_egress_body whole, pieces;
	ssize_t end, one = 0;
	size_t at = 0;

	kf_egress_body_begin(&whole, &head, !answer);
	pieces = whole;
	end = kf_egress_body_scan(&whole, p, n);
	need(end <= (ssize_t)n);
	while (at < n && !pieces.done && one >= 0) {
		char *byte = malloc(1);

		*byte = p[at];
		one = kf_egress_body_scan(&pieces, byte, 1);
		free(byte);
		at += one > 0;
		if (one == 0)
			break;
	}
	need((one < 0) == (end < 0));
	need(end < 0 || ((size_t)end == at && whole.done == pieces.done));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const bool answer = n && data[0] & 1;
	ssize_t whole, end = 0;
	char *text;

	if (n < 2)
		return 0;
	n--;
	text = malloc(n); /* exactly as long as it is, for AddressSanitizer */
	need(text);
	memcpy(text, data + 1, n);
	whole = kf_egress_head_end(text, n, 0);
	for (size_t i = 1; i <= n && !end; i++)
		end = kf_egress_head_end(text, i, i - 1);
	/* A wrong byte behind the end is not seen when it comes later. */
	need(whole == end || (whole < 0 && end > 0) || (whole > 0 && end == whole));
	if (whole > 0) {
		char *exact = malloc((size_t)whole);

		need(exact);
		memcpy(exact, text, (size_t)whole);
		if (parse(exact, (size_t)whole, answer, &head) == 0) {
			need(answer || head.framing != KF_EGRESS_UNTIL_CLOSE);
			need(head.target != KF_EGRESS_AUTHORITY ||
			     head.framing == KF_EGRESS_NO_BODY);
			check_written_anew(exact, (size_t)whole, answer);
			check_body(text + whole, n - (size_t)whole, answer);
		}
		free(exact);
	}
	free(text);
	return 0;
}

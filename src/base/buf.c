/* SPDX-License-Identifier: Apache-2.0 */
/* Strings that grow, and the three ways to append text of others: escaped for people, as a line, as
 * JSON.  What is escaped is decided in escape.c. */
#include "base/buf.h"

#include "base/escape.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make room for @n more bytes and a NUL. */
static bool reserve_space(struct kf_buf *buf, size_t n)
{
	size_t need, cap = buf->cap ? buf->cap : 128;
	char *p;

	if (buf->failed)
		return false;
	if (__builtin_add_overflow(buf->n, n, &need) || need > buf->max || need == SIZE_MAX) {
		buf->failed = true;
		return false;
	}
	need++;
	if (need <= buf->cap)
		return true;
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			cap = need;
	p = realloc(buf->p, cap);
	if (!p) {
		buf->failed = true;
		return false;
	}
	buf->p = p;
	buf->cap = cap;
	return true;
}

void kf_buf_add(struct kf_buf *buf, const void *data, size_t n)
{
	if (!reserve_space(buf, n))
		return;
	if (n)
		memcpy(buf->p + buf->n, data, n);
	buf->n += n;
	buf->p[buf->n] = '\0';
}

char *kf_buf_extend(struct kf_buf *buf, size_t n)
{
	char *p;

	if (!reserve_space(buf, n))
		return NULL;
	p = buf->p + buf->n;
	buf->n += n;
	buf->p[buf->n] = '\0';
	return p;
}

void kf_buf_adds(struct kf_buf *buf, const char *s)
{
	kf_buf_add(buf, s, strlen(s));
}

__attribute__((format(printf, 2, 0))) static void add_formatted(struct kf_buf *buf, const char *fmt,
								va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		buf->failed = true;
	if (n < 0 || !reserve_space(buf, (size_t)n))
		return;
	(void)vsnprintf(buf->p + buf->n, (size_t)n + 1, fmt, ap);
	buf->n += (size_t)n;
}

void kf_buf_addf(struct kf_buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_formatted(buf, fmt, ap);
	va_end(ap);
}

void kf_buf_add_escaped(struct kf_buf *buf, const char *s)
{
	size_t left = strlen(s);

	while (left) {
		char piece[1025];
		size_t n = left < 256 ? left : 256, len;
		bool plain;

		/* A piece ends between two characters, never inside one. */
		for (len = 0; len < n && len + 4 <= 256;)
			len += kf_escape_next(s + len, left - len, &plain);
		kf_buf_add(buf, piece, kf_escape(piece, sizeof(piece), s, len));
		s += len;
		left -= len;
	}
}

void kf_buf_add_line(struct kf_buf *buf, const char *fmt, ...)
{
	struct kf_buf line = KF_BUF_INIT(buf->max);
	va_list ap;

	va_start(ap, fmt);
	add_formatted(&line, fmt, ap);
	va_end(ap);
	if (line.failed)
		buf->failed = true;
	else
		kf_buf_add_escaped(buf, line.p ? line.p : "");
	kf_buf_add(buf, "\n", 1);
	kf_buf_done(&line);
}

/* The number of bytes at the start of @s that need no escape in a JSON string. */
static size_t plain_json(const char *s)
{
	size_t n = 0;

	while (s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

/* Append the well-formed sequence of @len (2 to 4) bytes at @u as \uXXXX escapes. */
static void add_code_point(struct kf_buf *buf, const unsigned char *u, size_t len)
{
	unsigned code = u[0] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++)
		code = code << 6 | (u[i] & 0x3f);
	if (code < 0x10000) {
		kf_buf_addf(buf, "\\u%04x", code);
		return;
	}
	code -= 0x10000;
	kf_buf_addf(buf, "\\u%04x\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
}

void kf_buf_add_json(struct kf_buf *buf, const char *s)
{
	size_t left = strlen(s);

	while (left) {
		size_t run = plain_json(s), len = run ? run : kf_utf8_sequence(s, left);
		unsigned char c = (unsigned char)*s;
		bool plain = true;

		if (!run && len > 1)
			(void)kf_escape_next(s, left, &plain);
		if (!plain) {
			add_code_point(buf, (const unsigned char *)s, len);
		} else if (!len) {
			kf_buf_adds(buf, "\\ufffd");
			len = 1;
		} else if (c == '"' || c == '\\') {
			kf_buf_addf(buf, "\\%c", c);
		} else if (c == '\n') {
			kf_buf_adds(buf, "\\n");
		} else if (c < 0x20 || c == 0x7f) {
			kf_buf_addf(buf, "\\u%04x", c);
		} else {
			kf_buf_add(buf, s, len);
		}
		s += len;
		left -= len;
	}
}

char *kf_buf_take(struct kf_buf *buf)
{
	char *p;

	kf_buf_add(buf, "", 0);
	p = buf->failed ? NULL : buf->p;
	if (!p)
		free(buf->p);
	*buf = (struct kf_buf){.max = buf->max};
	return p;
}

void kf_buf_reset(struct kf_buf *buf)
{
	buf->n = 0;
	buf->failed = false;
	if (buf->p)
		buf->p[0] = '\0';
}

void kf_buf_done(struct kf_buf *buf)
{
	free(buf->p);
	*buf = (struct kf_buf){.max = buf->max};
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_BUF_H
#define KF_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Growable byte string.  @p is NULL only while @n is 0 and nothing was ever
 * added; otherwise p[n] is NUL.  Out of memory or over @max sets @failed and
 * further additions do nothing: check it once, at the end. */
struct kf_buf {
	char *p;
	size_t n, cap, max;
	bool failed;
};

#define KF_BUF_INIT(limit)     \
	{                      \
		.max = (limit) \
	}

void kf_buf_add(struct kf_buf *buf, const void *data, size_t n);
/* Append @n bytes that the caller fills in at once; NULL if that failed. */
char *kf_buf_extend(struct kf_buf *buf, size_t n);
void kf_buf_adds(struct kf_buf *buf, const char *s);
void kf_buf_addf(struct kf_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Append @s escaped for a terminal, as base/escape.h says. */
void kf_buf_add_escaped(struct kf_buf *buf, const char *s);
/* Append one line: the formatted text is escaped, and a line end follows. */
void kf_buf_add_line(struct kf_buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Append @s as the inside of a JSON string (no quotes).  Invalid UTF-8 becomes U+FFFD; characters
 * that a terminal would obey or hide become \u escapes. */
void kf_buf_add_json(struct kf_buf *buf, const char *s);
/* Give the string to the caller (free()); NULL if an addition failed.  The
 * buffer is empty afterwards.  An empty buffer yields "". */
char *kf_buf_take(struct kf_buf *buf);
/* Keep the memory, drop the contents and the failure. */
void kf_buf_reset(struct kf_buf *buf);
void kf_buf_done(struct kf_buf *buf);

#endif

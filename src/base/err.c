/* SPDX-License-Identifier: Apache-2.0 */
/* The error object: its message is formatted, escaped and cut here.  Nothing here prints; programs
 * do that with cli/print.c. */
#include "base/err.h"

#include "base/escape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Messages name objects of pods and images, and end in terminals, logs and Events: so they are
 * escaped here, where each message is made.  @tail may be NULL; otherwise it follows behind ": ".
 */
__attribute__((format(printf, 2, 0))) static void set_message(struct kf_err *err, const char *fmt,
							      va_list ap, const char *tail)
{
	char raw[KF_ERR_MSG_MAX];
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (tail && len < sizeof(raw)) {
		n = snprintf(raw + len, sizeof(raw) - len, ": %s", tail);
		len += n < 0 ? 0 : (size_t)n;
	}
	/* A message that was cut ends in "...", so that nobody takes it for the whole. */
	if (kf_escape(err->msg, sizeof(err->msg), raw, strlen(raw)) < sizeof(err->msg) &&
	    len < sizeof(raw))
		return;
	(void)kf_escape(err->msg, sizeof(err->msg) - 3, raw, strlen(raw));
	memcpy(err->msg + strlen(err->msg), "...", 4);
}

void kf_err_set(struct kf_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	err->code = code ? code : EINVAL;
	va_start(ap, fmt);
	set_message(err, fmt, ap, NULL);
	va_end(ap);
}

void kf_err_set_sys(struct kf_err *err, const char *fmt, ...)
{
	int code = errno;
	va_list ap;

	err->code = code ? code : EINVAL;
	va_start(ap, fmt);
	set_message(err, fmt, ap, strerror(err->code));
	va_end(ap);
}

void kf_err_wrap(struct kf_err *err, const char *fmt, ...)
{
	char inner[KF_ERR_MSG_MAX];
	va_list ap;

	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	set_message(err, fmt, ap, inner);
	va_end(ap);
}

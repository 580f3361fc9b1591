/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Mark a message that did not fit, so that nobody takes it for the whole. */
static void mark_cut(char msg[static KF_ERR_MSG_MAX], int len)
{
	if (len >= KF_ERR_MSG_MAX)
		memcpy(msg + KF_ERR_MSG_MAX - 4, "...", 4);
}

void kf_err_set(struct kf_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	err->code = code ? code : EINVAL;
	va_start(ap, fmt);
	mark_cut(err->msg, vsnprintf(err->msg, sizeof(err->msg), fmt, ap));
	va_end(ap);
}

void kf_err_set_sys(struct kf_err *err, const char *fmt, ...)
{
	int code = errno;
	size_t len;
	va_list ap;

	if (!err)
		return;
	err->code = code ? code : EINVAL;
	va_start(ap, fmt);
	mark_cut(err->msg, vsnprintf(err->msg, sizeof(err->msg), fmt, ap));
	va_end(ap);
	len = strlen(err->msg);
	mark_cut(err->msg, (int)len + snprintf(err->msg + len, sizeof(err->msg) - len, ": %s",
					       strerror(err->code)));
}

void kf_err_wrap(struct kf_err *err, const char *fmt, ...)
{
	char inner[KF_ERR_MSG_MAX];
	size_t len;
	va_list ap;

	if (!err)
		return;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	mark_cut(err->msg, vsnprintf(err->msg, sizeof(err->msg), fmt, ap));
	va_end(ap);
	len = strlen(err->msg);
	mark_cut(err->msg,
		 (int)len + snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", inner));
}

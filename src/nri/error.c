/* SPDX-License-Identifier: Apache-2.0 */
#include <nri/nri.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nri_error_set(struct nri_error *err, int code, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!err)
		return;
	err->code = code != NRI_OK ? code : NRI_UNKNOWN;
	va_start(ap, fmt);
	n = vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(err->message))
		memcpy(err->message + sizeof(err->message) - 4, "...", 4);
}

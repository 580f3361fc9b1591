/* SPDX-License-Identifier: Apache-2.0 */
/* Fills in errors; their texts end in the runtime's log and in pods' events. */
#include "base/escape.h"

#include <nri/nri.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nri_error_set(struct nri_error *err, int code, const char *fmt, ...)
{
	char raw[sizeof(err->message)];
	va_list ap;
	int n;

	if (!err)
		return;
	err->code = code != NRI_OK ? code : NRI_UNKNOWN;
	va_start(ap, fmt);
	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	/* It ends in the runtime's log and in the pod's Events. */
	if (kf_escape(err->message, sizeof(err->message), raw, strlen(raw)) <
		    sizeof(err->message) &&
	    n < (int)sizeof(raw))
		return;
	(void)kf_escape(err->message, sizeof(err->message) - 3, raw, strlen(raw));
	memcpy(err->message + strlen(err->message), "...", 4);
}

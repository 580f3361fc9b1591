/* SPDX-License-Identifier: Apache-2.0 */
/* All that the program prints goes through here. */
#include "nono-bwrap/output.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void kf_bwrap_print(int fd, const char *fmt, ...)
{
	KF_UNINIT char buf[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	(void)!write(fd, buf, strlen(buf));
}

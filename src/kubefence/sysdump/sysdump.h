/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_SYSDUMP_SYSDUMP_H
#define KF_KUBEFENCE_SYSDUMP_SYSDUMP_H

#include "base/err.h"

#include <stddef.h>

/* One archive for a bug report. */

/* What a program says, or what a file holds, and its name in the archive. */
struct kf_sysdump_part {
	const char *name;
	const char *argv[20]; /* NULL-terminated; the first one NULL: a file */
	const char *file;
};

/* Write the @n parts to a new archive @path ("-": standard output).  A part that cannot be had is
 * there all the same, with the reason in it. */
int kf_sysdump_write(const char *path, const struct kf_sysdump_part *parts, size_t n,
		     struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of two texts. */
#ifndef KF_TEXT_DIFF_H
#define KF_TEXT_DIFF_H

#include "base/buf.h"

/* Append to @out what "diff -u" would print for two versions of @path; nothing
 * if they are equal.  @existed false: there is no old version (/dev/null). */
void kf_diff_unified(const char *path, bool existed, const char *before, size_t nbefore,
		     const char *after, size_t nafter, struct kf_buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BWRAP_OUTPUT_H
#define KF_BWRAP_OUTPUT_H

#include <stddef.h>

/* Formatted text to @fd, at most 4 KiB a call. */
void kf_bwrap_print(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The file that says to a probe whether a daemon is ready. */
#ifndef KF_EVENT_READY_H
#define KF_EVENT_READY_H

#include "base/err.h"

#include <stdbool.h>

/* Write to the file @path whether the daemon is ready, and why not in @message.  To be called every
 * @period seconds; otherwise the file becomes stale. */
int kf_ready_write(const char *path, bool ready, unsigned period, const char *message,
		   struct kf_err *err);
/* 0 if the file says ready and is not stale. */
int kf_ready_check(const char *path, struct kf_err *err);

#endif

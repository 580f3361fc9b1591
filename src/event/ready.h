/* SPDX-License-Identifier: Apache-2.0 */
/* The file that says to a probe whether a daemon is ready. */
#ifndef KF_EVENT_READY_H
#define KF_EVENT_READY_H

#include "base/err.h"

#include <stdbool.h>

/* Say in the file @path whether all is well, and why not in @message; said again every @period
 * seconds, or nobody believes it any more. */
int kf_ready_write(const char *path, bool ready, unsigned period, const char *message,
		   struct kf_err *err);
/* 0: ready, and said so not long ago. */
int kf_ready_check(const char *path, struct kf_err *err);

#endif

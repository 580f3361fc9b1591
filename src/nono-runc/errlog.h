/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_ERRLOG_H
#define KF_NONO_RUNC_ERRLOG_H

#include "base/err.h"

/* Say what went wrong the way runc does: on stderr, and as an entry of level
 * error in @log (may be NULL) in @format ("json", else text), from where it gets
 * into the pod's events. */
void kf_errlog(const char *log, const char *format, const struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: read from the pod's Secret when a request needs them. */
#ifndef KF_NONO_EGRESS_WORKER_KEY_H
#define KF_NONO_EGRESS_WORKER_KEY_H

#include "base/calls.h"
#include "base/err.h"
#include "egress/rules.h"

/* A key is at most this long, a header with it at most KF_WORKER_KEY_LINE. */
#define KF_WORKER_KEY_MAX  (8 * 1024)
#define KF_WORKER_KEY_LINE (16 * 1024)

extern const struct kf_calls kf_worker_key_calls;

/* Append "HEADER: VALUE\r\n" for @c to the *n bytes at @at, memory for keys with room for
 * KF_WORKER_KEY_LINE more.  @dirs are the directories that the rules count. */
int kf_worker_key_line(const int *dirs, const struct kf_egress_credential *c, char *at, size_t *n,
		       struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys. */
#ifndef KF_NONO_EGRESS_WORKER_SECRET_H
#define KF_NONO_EGRESS_WORKER_SECRET_H

#include "base/calls.h"
#include "base/err.h"

#include <stddef.h>

extern const struct kf_calls kf_worker_secret_calls;

/* Memory that is never written to swap, in no core dump and in no child; it is cleared when it is
 * given back.  Returns -1 and *err if the kernel gives none like that. */
int kf_worker_secret_new(size_t size, void **ret, struct kf_err *err);
/* NULL is fine; @size as above. */
void kf_worker_secret_free(void *p, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker's parent gives up once it has begun. */
#ifndef KF_EGRESS_NODE_CONFINE_H
#define KF_EGRESS_NODE_CONFINE_H

#include "base/err.h"

/* Confine this process and all workers that it starts: it writes only below @dir, starts only
 * @worker, keeps the few capabilities that it needs, and makes only the calls that it and a worker
 * make. */
int kf_pods_confine(const char *dir, const char *worker, struct kf_err *err);

#endif

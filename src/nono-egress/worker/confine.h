/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker gives up before it hears from its pod. */
#ifndef KF_NONO_EGRESS_WORKER_CONFINE_H
#define KF_NONO_EGRESS_WORKER_CONFINE_H

#include "nono-egress/worker/conn.h"

/* From here on the worker can read the directories with keys that it was given, connect sockets
 * that it is given to the ports of its rules and name servers, and nothing else: it has no
 * capability, makes no socket, opens no other path, starts no program. */
int kf_worker_confine(const struct kf_worker *worker, const struct kf_worker_resolver *resolver,
		      struct kf_err *err);

#endif

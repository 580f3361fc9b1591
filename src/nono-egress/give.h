/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's side of the control socket: answering a worker that asks for sockets. */
#ifndef KF_NONO_EGRESS_GIVE_H
#define KF_NONO_EGRESS_GIVE_H

#include "base/err.h"
#include "egress/worker.h"

/* Answer one request that has arrived at @control.  @make returns a socket, or -1 with errno set;
 * the worker has its own copy, so it is closed afterwards.  Returns 1, 0 if the worker is gone, or
 * -1 and *err if it does not keep to the protocol. */
int kf_broker_give(int control, int (*make)(void *ctx, enum kf_egress_kind kind), void *ctx,
		   struct kf_err *err);

/* A socket of this kind as a worker expects it, in the caller's network namespace; or -1. */
int kf_broker_socket(enum kf_egress_kind kind);

#endif

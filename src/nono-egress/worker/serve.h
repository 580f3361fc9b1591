/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting the pod's connections and running them. */
#ifndef KF_NONO_EGRESS_WORKER_SERVE_H
#define KF_NONO_EGRESS_WORKER_SERVE_H

#include "base/calls.h"
#include "base/err.h"
#include "nono-egress/worker/conn.h"

struct kf_worker_server;

extern const struct kf_calls kf_worker_serve_calls;

/* Serve what connects to the @n listeners with @worker, whose ports are filled in. */
int kf_worker_serve(struct kf_worker *worker, const int *listeners, size_t n,
		    struct kf_worker_server **ret, struct kf_err *err);
void kf_worker_serve_end(struct kf_worker_server *server);

#endif

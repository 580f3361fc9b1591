/* SPDX-License-Identifier: Apache-2.0 */
/* The process that serves one pod. */
#ifndef KF_NONO_EGRESS_WORKER_WORKER_H
#define KF_NONO_EGRESS_WORKER_WORKER_H

#include "cli/command.h"

/* "nono-egress worker": see egress/worker.h.  Not for people. */
extern const struct kf_command kf_worker_command;

#endif

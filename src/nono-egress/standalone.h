/* SPDX-License-Identifier: Apache-2.0 */
/* The broker without a pod. */
#ifndef KF_NONO_EGRESS_STANDALONE_H
#define KF_NONO_EGRESS_STANDALONE_H

#include "cli/command.h"

/* "nono-egress run": a worker for one command. */
extern const struct kf_command kf_broker_run;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker tells of each connection. */
#ifndef KF_NONO_EGRESS_WORKER_RECORD_H
#define KF_NONO_EGRESS_WORKER_RECORD_H

#include "egress/reason.h"

#include <stdint.h>

/* Where records go. */
struct kf_worker_records {
	int fd;
	const char *pod, *profile;
	uint64_t lost; /* since the last that was written */
};

struct kf_worker_record {
	const char *name, *address;
	const char *route; /* NULL: none */
	uint16_t port;
	uint64_t sent, received;
	enum kf_egress_reason reason;
};

/* Write a record, at once or never. */
void kf_worker_record_write(struct kf_worker_records *to, const struct kf_worker_record *record);

#endif

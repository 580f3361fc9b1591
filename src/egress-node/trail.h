/* SPDX-License-Identifier: Apache-2.0 */
/* The records of all workers: in one file, and counted. */
#ifndef KF_EGRESS_NODE_TRAIL_H
#define KF_EGRESS_NODE_TRAIL_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define KF_TRAIL_LINE_MAX 2048		    /* of one record */
#define KF_TRAIL_FILE_MAX (8 * 1024 * 1024) /* then the file is FILE.1, and a new one begins */

struct kf_trail {
	const char *path; /* NULL: only counted */
	int fd;
	uint64_t size;
	uint64_t allowed, refused, failed, broken; /* broken: no record at all */
	uint64_t started, ended;		   /* workers */
};

int kf_trail_open(struct kf_trail *trail, const char *path, struct kf_err *err);
/* Take the record @line, @n bytes without a line break, which a worker for @pod has written: a
 * worker is not trusted to write of other pods, nor more than text. */
void kf_trail_record(struct kf_trail *trail, const char *pod, const char *line, size_t n);
/* Counters and gauges for Prometheus. */
void kf_trail_metrics(const struct kf_trail *trail, unsigned pods, unsigned serving,
		      struct kf_buf *out);

#endif

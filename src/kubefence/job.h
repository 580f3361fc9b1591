/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_JOB_H
#define KF_KUBEFENCE_JOB_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event;
struct event_base;

/* Something that blocks, done in a process of its own beside an event loop, which can
 * kill it. */
struct kf_job {
	pid_t pid; /* 0: none is running */
	struct event *event;
	int fd;
	void *result;
	size_t size, have;
	void (*done)(void *ctx, const void *result);
	void *ctx;
};

/* Run @work in a child; it fills @size bytes at @result, which are then given to
 * @done in this process: NULL if the child ended without a result.  @ctx is for both. */
int kf_job_start(struct kf_job *job, struct event_base *base, size_t size,
		 void (*work)(void *ctx, void *result), void (*done)(void *ctx, const void *result),
		 void *ctx, struct kf_err *err);
/* Kill it, if it runs, without calling done(). */
void kf_job_stop(struct kf_job *job);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that an event loop leaves to other processes. */
#ifndef KF_EVENT_JOB_H
#define KF_EVENT_JOB_H

#include "base/calls.h"
#include "base/err.h"
#include "event/child.h"

#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;

/* Work that blocks, or that needs rights which the process with the event loop has given up, is
 * done by processes of its own.  One process, forked before the loop gives up its rights, starts
 * them, one for each job.  It knows a fixed list of jobs.  From the loop it takes only which job is
 * to be done, and an order of fixed size: never code or an address. */

struct kf_job_kind {
	size_t order, result; /* sizes; no pointers in either */
	/* Done in the job's process.  @result is all zeroes. */
	void (*work)(const void *ctx, const void *order, void *result);
};

struct kf_jobs {
	const struct kf_job_kind *kinds;
	size_t nkinds;
	struct kf_child starter; /* the process that starts them */
};

struct kf_job {
	bool running;
	struct event *event;
	int fd;
	void *result;
	size_t size, have;
	void (*done)(void *ctx, const void *result);
	void *ctx;
};

/* The system calls that the loop needs for the functions below. */
extern const struct kf_calls kf_job_calls;

/* Start the process that starts jobs; @ctx is for their work().  It ends with this one, or with
 * kf_jobs_stop(), and all jobs with it. */
int kf_jobs_start(const struct kf_job_kind *kinds, size_t nkinds, const void *ctx,
		  struct kf_jobs *ret, struct kf_err *err);
void kf_jobs_stop(struct kf_jobs *jobs);

/* Have a job of @kind (an index) done according to @order.  Its result is given to @done with
 * @ctx: NULL if it ended without one. */
int kf_job_start(const struct kf_jobs *jobs, size_t kind, const void *order, struct kf_job *job,
		 struct event_base *base, void (*done)(void *ctx, const void *result), void *ctx,
		 struct kf_err *err);
/* Forget the job: its result is not read, and done() is not called. */
void kf_job_drop(struct kf_job *job);

#endif

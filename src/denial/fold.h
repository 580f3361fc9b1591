/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_FOLD_H
#define KF_DENIAL_FOLD_H

#include "denial/bucket.h"
#include "denial/denial.h"

/* What is told of many denials: the first of its kind at once, and those that are the same as one
 * number when the window is over.  A container that is denied different things too fast is told of
 * by their number alone.  Every denial is in exactly one line's count, or in kf_fold.untold. */

#define KF_FOLD_MAX	2048
#define KF_FOLD_BUCKETS 1024

struct kf_fold_options {
	unsigned window;		  /* milliseconds */
	struct kf_bucket_limit each, all; /* lines about one container, and about all */
};

struct kf_fold_entry;

struct kf_fold {
	struct kf_fold_options options;
	struct kf_who_table *owners;
	void (*line)(void *ctx, const struct kf_denial *denial);
	void *ctx;
	struct kf_bucket all;
	struct kf_fold_entry *buckets[KF_FOLD_BUCKETS];
	/* By the end of their window, the first one first. */
	struct kf_fold_entry *first, *last;
	size_t n;
	uint64_t lines;	 /* told */
	uint64_t untold; /* denials that no line counts */
};

/* @denial happened at @now (milliseconds, a clock that does not go back); it is copied, with a
 * reference of its container.  One that is ->untold already is told as a number. */
void kf_fold_add(struct kf_fold *fold, const struct kf_denial *denial, uint64_t now);
/* Tell what has become due. */
void kf_fold_tick(struct kf_fold *fold, uint64_t now);
/* Tell everything, and forget it. */
void kf_fold_done(struct kf_fold *fold, uint64_t now);

#endif

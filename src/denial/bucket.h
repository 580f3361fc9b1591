/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_BUCKET_H
#define KF_DENIAL_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* A limit of a rate: @burst at once, then @rate in @period milliseconds. */
struct kf_bucket_limit {
	unsigned burst, rate, period;
};

/* All zeroes: full. */
struct kf_bucket {
	uint64_t used; /* in parts of which one item takes @period */
	uint64_t since;
};

/* Take one item at @now, in milliseconds of a clock that does not go back; false: not yet. */
bool kf_bucket_take(struct kf_bucket *bucket, const struct kf_bucket_limit *limit, uint64_t now);

#endif

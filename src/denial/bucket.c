/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of rates, as a bucket that leaks. */
#include "denial/bucket.h"

bool kf_bucket_take(struct kf_bucket *bucket, const struct kf_bucket_limit *limit, uint64_t now)
{
	const uint64_t passed = now > bucket->since ? now - bucket->since : 0;
	const uint64_t room = (uint64_t)limit->burst * limit->period;
	/* So long after the last one it is empty in any case, and nothing overflows. */
	const uint64_t leaked = passed < room ? passed * limit->rate : bucket->used;

	bucket->used -= leaked < bucket->used ? leaked : bucket->used;
	bucket->since = now;
	if (bucket->used + limit->period > room)
		return false;
	bucket->used += limit->period;
	return true;
}

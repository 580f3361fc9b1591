/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_MERGE_H
#define KF_NODE_MERGE_H

#include "base/buf.h"
#include "base/err.h"

struct kf_text {
	const char *p;
	size_t n;
};

/* Take back what turned the lines of @original into those of @ours in a file that is @now,
 * because somebody else changed it since: their lines stay byte for byte, ours go, and
 * what they changed in lines of ours, or added inside a table of ours, goes with them.
 * -1 if one change of theirs covers lines of both. */
int kf_merge_back(struct kf_text original, struct kf_text ours, struct kf_text now,
		  struct kf_buf *out, struct kf_err *err);

#endif

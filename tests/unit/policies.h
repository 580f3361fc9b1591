/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of tests, by their rules alone. */
#ifndef KF_TESTS_POLICIES_H
#define KF_TESTS_POLICIES_H

#include "base/buf.h"
#include "base/sha256.h"
#include "flat/flat.h"

#include <stdbool.h>
#include <stdio.h>

/* Parse @rules, to which the rest of a policy is added. */
static inline bool parse_rules(const char *rules, struct kf_policy *ret)
{
	struct kf_buf buf = KF_BUF_INIT(64 * 1024);
	char sum[KF_SHA256_HEX + 1];
	struct kf_err err;
	int r;

	kf_buf_addf(&buf, "nono-policy 1\nname test\n%s", rules);
	kf_sha256_hex(buf.p, buf.n, sum);
	kf_buf_addf(&buf, "sum %s\n", sum);
	r = buf.failed ? -1 : kf_policy_parse(buf.p, buf.n, ret, &err);
	if (r < 0)
		(void)fprintf(stderr, "# %s\n", err.msg);
	kf_buf_done(&buf);
	return r == 0;
}

#endif

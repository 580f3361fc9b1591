/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/flat.h"

int kf_policy_parse(const char *text, size_t n, struct kf_policy *ret, struct kf_err *err)
{
	(void)text;
	(void)n;
	(void)ret;
	return kf_fail(err, ENOSYS, "policy parser");
}

void kf_policy_done(struct kf_policy *policy)
{
	(void)policy;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Flat policy text.  The checksum would keep a fuzzer out, so the input is also
 * tried as a body between a right header and a right checksum.  What parses must
 * format to a text that parses to the same rules and formats to itself, and its
 * paths are clean, since nobody cleans them again. */
#include "base/buf.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/sha256.h"
#include "flat/flat.h"
#include "profile/format.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_string(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_same(const struct kf_policy *a, const struct kf_policy *b)
{
	assert(a->nrules == b->nrules && strcmp(a->name, b->name) == 0);
	for (size_t i = 0; i < a->nrules; i++) {
		const struct kf_rule *x = &a->rules[i], *y = &b->rules[i];

		assert(x->kind == y->kind && x->access == y->access && x->port == y->port);
		assert(x->soft == y->soft && x->hard == y->hard);
		assert(same_string(x->verb, y->verb) && same_string(x->arg, y->arg));
	}
}

static void check_paths(const struct kf_policy *policy)
{
	char clean[PATH_MAX];

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *r = &policy->rules[i];

		if ((r->kind == KF_RULE_FS || r->kind == KF_RULE_FS_DENY ||
		     r->kind == KF_RULE_FS_READONLY) &&
		    *r->arg == '/')
			assert(kf_path_clean(r->arg, clean, sizeof(clean)) &&
			       strcmp(clean, r->arg) == 0);
	}
}

static void check(const char *text, size_t n)
{
	struct kf_buf once = KF_BUF_INIT(8 * KF_LIMIT_POLICY_TEXT);
	struct kf_buf twice = KF_BUF_INIT(8 * KF_LIMIT_POLICY_TEXT);
	struct kf_policy policy = {0}, again = {0};
	struct kf_err err = {0};

	if (kf_policy_parse(text, n, &policy, &err) < 0) {
		assert(err.code && *err.msg && !policy.text);
		return;
	}
	check_paths(&policy);
	kf_policy_format(policy.name, policy.rules, policy.nrules, &once);
	assert(!once.failed);
	/* One rule a port: a list of ports may grow beyond the limit. */
	if (once.n <= KF_LIMIT_POLICY_TEXT) {
		assert(kf_policy_parse(once.p, once.n, &again, &err) == 0);
		check_same(&policy, &again);
		kf_policy_format(again.name, again.rules, again.nrules, &twice);
		assert(twice.n == once.n && memcmp(twice.p, once.p, once.n) == 0);
		kf_policy_done(&again);
	}
	kf_buf_done(&once);
	kf_buf_done(&twice);
	kf_policy_done(&policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kf_buf sealed = KF_BUF_INIT(2 * KF_LIMIT_POLICY_TEXT);
	char sum[KF_SHA256_HEX + 1];

	check((const char *)data, size);
	kf_buf_adds(&sealed, "nono-policy 1\nname f\n");
	kf_buf_add(&sealed, data, size);
	if (!sealed.failed) {
		kf_sha256_hex(sealed.p, sealed.n, sum);
		kf_buf_addf(&sealed, "sum %s\n", sum);
		check(sealed.p, sealed.n);
	}
	kf_buf_done(&sealed);
	return 0;
}

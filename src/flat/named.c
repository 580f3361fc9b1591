/* SPDX-License-Identifier: Apache-2.0 */
/* What it means that a rule names a path itself: it is an exception from a denial above it,
 * and where a volume is mounted at that very path it says all that may be done there. */
#include "base/path.h"
#include "flat/flat.h"

#include <string.h>

const char *kf_policy_run_path(const char *path)
{
	return kf_path_under(path, "/var/run") ? path + strlen("/var") : path;
}

bool kf_policy_is_exception(const struct kf_rule *rule, const struct kf_rule *deny)
{
	return rule->kind == KF_RULE_FS && deny->kind == KF_RULE_FS_DENY &&
	       kf_path_under(kf_policy_run_path(rule->arg), kf_policy_run_path(deny->arg));
}

bool kf_policy_has_exception(const struct kf_policy *policy, const struct kf_rule *deny)
{
	const char *denied;

	if (deny->kind != KF_RULE_FS_DENY)
		return false;
	denied = kf_policy_run_path(deny->arg);
	for (size_t i = 0; i < policy->nrules; i++)
		if (policy->rules[i].kind == KF_RULE_FS &&
		    kf_path_under(kf_policy_run_path(policy->rules[i].arg), denied))
			return true;
	return false;
}

unsigned kf_policy_named_access(const struct kf_rule *rules, size_t nrules, const char *path,
				unsigned access)
{
	unsigned named = 0;

	for (size_t i = 0; i < nrules; i++)
		if (rules[i].kind == KF_RULE_FS && strcmp(rules[i].arg, path) == 0)
			named |= rules[i].access;
	return named ? access & named : access;
}

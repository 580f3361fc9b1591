/* SPDX-License-Identifier: Apache-2.0 */
/* Says a seccomp policy without error numbers, for runtimes whose NRI drops them. */
#include "nri-plan/errno.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FAIL  "SCMP_ACT_ERRNO"
#define TRACE "SCMP_ACT_TRACE"

static bool says_enosys(const struct kf_seccomp_rule *rule)
{
	return rule->has_errno && rule->errno_ret == ENOSYS && strcmp(rule->action, FAIL) == 0;
}

/* Whether a call that @rule is about takes place, or may. */
static bool may_pass(const struct kf_seccomp_rule *rule)
{
	return strcmp(rule->action, FAIL) != 0 && strncmp(rule->action, "SCMP_ACT_KILL", 13) != 0;
}

static int drop_name(const struct kf_seccomp_rule *from, const char *name, struct kf_arena *arena,
		     struct kf_seccomp_rule *ret)
{
	const char **names = kf_arena_calloc(arena, from->nnames, sizeof(*names));

	if (!names)
		return -1;
	*ret = *from;
	ret->names = names;
	ret->nnames = 0;
	for (size_t i = 0; i < from->nnames; i++)
		if (strcmp(from->names[i], name) != 0)
			names[ret->nnames++] = from->names[i];
	return 0;
}

int kf_nri_seccomp_without_errno(const struct kf_seccomp *seccomp, struct kf_arena *arena,
				 const struct kf_seccomp **ret, struct kf_err *err)
{
	struct kf_seccomp *policy = kf_arena_alloc(arena, sizeof(*policy));
	struct kf_seccomp_rule *rules = kf_arena_calloc(arena, seccomp->nrules, sizeof(*rules));
	bool traced = false;

	if (!policy || !rules)
		return kf_fail_nomem(err, "seccomp policy");
	*policy = *seccomp;
	policy->rules = rules;
	policy->nrules = 0;
	for (size_t i = 0; i < seccomp->nrules; i++)
		traced = traced || says_enosys(&seccomp->rules[i]);
	for (size_t i = 0; i < seccomp->nrules; i++) {
		const struct kf_seccomp_rule *from = &seccomp->rules[i];
		struct kf_seccomp_rule *to = &rules[policy->nrules];

		*to = *from;
		if (traced && may_pass(from) && drop_name(from, "ptrace", arena, to) < 0)
			return kf_fail_nomem(err, "seccomp policy");
		if (says_enosys(from))
			to->action = TRACE;
		to->has_errno = false;
		to->errno_ret = 0;
		if (to->nnames)
			policy->nrules++;
	}
	*ret = policy;
	return 0;
}

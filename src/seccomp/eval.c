/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy answers to a system call, and which of two answers is stricter.  The intersection
 * of two policies is made in merge.c. */
#include "base/cleanup.h"
#include "seccomp/cond.h"
#include "seccomp/internal.h"
#include "seccomp/seccomp.h"

#include <string.h>

#define ACT_NOTIFY "SCMP_ACT_NOTIFY"

/* The kernel's precedence between stacked filters (seccomp(2)), weakest first. */
static const struct {
	const char *name;
	int rank;
	bool passes;
} actions[] = {
	{"SCMP_ACT_ALLOW", 0, true},	     {"SCMP_ACT_LOG", 1, true},
	{"SCMP_ACT_TRACE", 2, true},	     {ACT_NOTIFY, 3, true},
	{"SCMP_ACT_ERRNO", 4, false},	     {"SCMP_ACT_TRAP", 5, false},
	{"SCMP_ACT_KILL", 6, false},	     {"SCMP_ACT_KILL_THREAD", 6, false},
	{"SCMP_ACT_KILL_PROCESS", 7, false},
};
#define RANK_UNKNOWN 8

static int action_rank(const char *action)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, action) == 0)
			return actions[i].rank;
	return RANK_UNKNOWN;
}

int kf_seccomp_action_compare(const char *a, const char *b)
{
	return action_rank(a) - action_rank(b);
}

bool kf_seccomp_action_passes(const char *action)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, action) == 0)
			return actions[i].passes;
	return false;
}

bool kf_seccomp_notifies(const struct kf_seccomp *policy)
{
	bool any = strcmp(policy->default_action, ACT_NOTIFY) == 0;

	for (size_t i = 0; !any && i < policy->nrules; i++)
		any = strcmp(policy->rules[i].action, ACT_NOTIFY) == 0;
	return any;
}

struct kf_seccomp_verdict kf_seccomp_verdict(const char *action, bool has_errno, uint32_t errno_ret)
{
	struct kf_seccomp_verdict v = {.action = action};

	if (strcmp(action, "SCMP_ACT_ERRNO") == 0 || strcmp(action, "SCMP_ACT_TRACE") == 0)
		v.data = has_errno ? errno_ret : EPERM;
	return v;
}

struct kf_seccomp_verdict kf_seccomp_stricter(struct kf_seccomp_verdict a,
					      struct kf_seccomp_verdict b)
{
	int order = kf_seccomp_action_compare(a.action, b.action);

	if (order != 0)
		return order > 0 ? a : b;
	if (a.data != b.data && (a.data == ENOSYS || b.data == ENOSYS))
		return a.data == ENOSYS ? a : b;
	return a.data <= b.data ? a : b;
}

int kf_seccomp_check(const struct kf_seccomp *policy, struct kf_err *err)
{
	if (action_rank(policy->default_action) == RANK_UNKNOWN)
		return kf_fail(err, EINVAL, "seccomp profile: unknown default action '%.64s'",
			       policy->default_action);
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_seccomp_rule *rule = &policy->rules[i];

		if (action_rank(rule->action) == RANK_UNKNOWN)
			return kf_fail(err, EINVAL, "seccomp profile: unknown action '%.64s'",
				       rule->action);
		for (size_t k = 0; k < rule->nargs; k++) {
			struct kf_cmp cmp;
			size_t n;
			bool never;

			if (!kf_cmp_from_arg(&rule->args[k], &cmp, &n, &never))
				return kf_fail(err, EINVAL,
					       "seccomp profile: unknown comparison '%.64s' of "
					       "argument %u of '%.64s'",
					       rule->args[k].op, rule->args[k].index,
					       rule->nnames ? rule->names[0] : "");
		}
	}
	return 0;
}

bool kf_seccomp_rule_splits(const struct kf_seccomp_rule *rule)
{
	unsigned seen = 0;

	for (size_t i = 0; i < rule->nargs; i++) {
		unsigned bit = 1U << rule->args[i].index;

		if (seen & bit)
			return true;
		seen |= bit;
	}
	return false;
}

static bool arg_matches(const struct kf_seccomp_arg *arg, const uint64_t args[6])
{
	struct kf_cmp cmp;
	size_t n = 0;
	bool never = true;

	kf_cmp_from_arg(arg, &cmp, &n, &never);
	return !never && (n == 0 || kf_cmp_holds(&cmp, args));
}

static bool rule_matches(const struct kf_seccomp_rule *rule, const struct kf_seccomp_call *call)
{
	bool any = kf_seccomp_rule_splits(rule), named = false;

	for (size_t i = 0; !named && i < rule->nnames; i++)
		named = strcmp(rule->names[i], call->name) == 0;
	if (!named || !rule->nargs)
		return named;
	for (size_t i = 0; i < rule->nargs; i++)
		if (arg_matches(&rule->args[i], call->args) == any)
			return any;
	return !any;
}

static bool arch_known(const struct kf_seccomp *policy, const char *arch)
{
	if (strcmp(arch, KF_SECCOMP_ARCH_SCMP) == 0)
		return true;
	for (size_t i = 0; i < policy->narchitectures; i++)
		if (strcmp(policy->architectures[i], arch) == 0)
			return true;
	return false;
}

struct kf_seccomp_verdict kf_seccomp_eval(const struct kf_seccomp *policy,
					  const struct kf_seccomp_call *call)
{
	struct kf_seccomp_verdict v = {.action = NULL};

	if (!arch_known(policy, call->arch))
		return (struct kf_seccomp_verdict){.action = "SCMP_ACT_KILL_THREAD"};
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_seccomp_rule *rule = &policy->rules[i];

		if (rule_matches(rule, call)) {
			struct kf_seccomp_verdict this =
				kf_seccomp_verdict(rule->action, rule->has_errno, rule->errno_ret);

			v = v.action ? kf_seccomp_stricter(v, this) : this;
		}
	}
	return v.action ? v
			: kf_seccomp_verdict(policy->default_action, policy->has_default_errno,
					     policy->default_errno);
}

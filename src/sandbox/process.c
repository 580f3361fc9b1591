/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy changes about the process itself: its environment and its resource limits.  What it
 * may reach is in landlock.c and filter.c. */
#include "sandbox/process.h"

#include "base/cleanup.h"
#include "flat/words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static char lower_case(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Whether @pattern matches the name that ends at "=" or at the end of @name.  "*" in the pattern
 * stands for any number of characters. */
static bool name_matches(const char *name, const char *pattern, bool any_case)
{
	const char *star = NULL, *retry = NULL;

	while (*name && *name != '=') {
		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (*pattern == *name ||
			   (any_case && lower_case(*pattern) == lower_case(*name))) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern || *pattern == '=';
}

/* Whether a rule @verb, or "@verb-anycase", applies to the variable of @entry ("KEY=VALUE"). */
static bool any_rule(const struct kf_policy *policy, const char *verb, const char *entry)
{
	const size_t n = strlen(verb);

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (rule->kind == KF_RULE_ENV && strncmp(rule->verb, verb, n) == 0 &&
		    (!rule->verb[n] || rule->verb[n] == '-') &&
		    name_matches(entry, rule->arg, rule->verb[n] == '-'))
			return true;
	}
	return false;
}

int kf_process_environment(const struct kf_policy *policy, char *const *env, char ***ret_env,
			   struct kf_err *err)
{
	bool keeps = false, any = false;
	size_t n = 0, kept = 0;
	char **out;

	for (size_t i = 0; i < policy->nrules; i++) {
		if (policy->rules[i].kind == KF_RULE_ENV) {
			any = true;
			keeps |= strncmp(policy->rules[i].verb, "keep", strlen("keep")) == 0;
		}
	}

	while (env[n])
		n++;
	out = calloc(n + policy->nrules + 1, sizeof(*out));
	if (!out)
		return kf_fail_nomem(err, "environment");
	for (size_t i = 0; i < n; i++)
		if (!any ||
		    ((!keeps || any_rule(policy, "keep", env[i])) &&
		     !any_rule(policy, "drop", env[i]) && !any_rule(policy, "set", env[i]) &&
		     !any_rule(policy, "expand", env[i])))
			out[kept++] = env[i];
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (rule->kind == KF_RULE_ENV && strcmp(rule->verb, "set") == 0)
			out[kept++] =
				(char *)(uintptr_t)rule->arg; /* execve() does not write to it */
	}
	*ret_env = out;
	return 0;
}

static rlim_t lower_limit(uint64_t wanted, rlim_t now)
{
	/* RLIM_INFINITY is the largest value, as is our "unlimited". */
	return wanted < now ? (rlim_t)wanted : now;
}

/* prlimit64() by its number, since musl's setrlimit() first stops all threads, and we have none. */
int kf_process_limits(const struct kf_policy *policy, struct kf_err *err)
{
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];
		struct rlimit limit;
		const struct kf_policy_limit *which;

		if (rule->kind != KF_RULE_RLIMIT)
			continue;
		which = kf_policy_limit(rule->verb);
		if (!which || syscall(SYS_prlimit64, 0, which->number, NULL, &limit) < 0)
			return kf_fail(err, EINVAL, "line %u: rlimit %s: not on this system",
				       rule->line, rule->verb);
		limit.rlim_cur = lower_limit(rule->soft, limit.rlim_cur);
		limit.rlim_max = lower_limit(rule->hard, limit.rlim_max);
		if (limit.rlim_cur > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		if (syscall(SYS_prlimit64, 0, which->number, &limit, NULL) < 0)
			return kf_fail_sys(err, "line %u: rlimit %s", rule->line, rule->verb);
	}
	return 0;
}

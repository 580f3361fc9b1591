/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a policy out of the table of those that are built into the launcher.  The table is made
 * from profiles/ while building (src/profilec). */
#include "flat/builtin.h"

#include <stdlib.h>
#include <string.h>

int kf_builtin_policy(const char *name, struct kf_policy *ret, struct kf_err *err)
{
	const struct kf_builtin_policy *p = kf_builtin_policies;
	struct kf_rule *rules;

	while (p->nrules && strcmp(p->name, name) != 0)
		p++;
	if (!p->nrules)
		return kf_fail(err, ENOENT,
			       "there is no built-in profile '%s', and no directory 'profiles' "
			       "beside this program",
			       name);
	rules = malloc(p->nrules * sizeof(*rules));
	if (!rules)
		return kf_fail_nomem(err, "policy");
	for (unsigned i = 0; i < p->nrules; i++) {
		const struct kf_builtin_rule *r = &p->rules[i];

		rules[i] = (struct kf_rule){
			.kind = (enum kf_rule_kind)r->kind,
			.line = i + KF_BUILTIN_FIRST_LINE,
			.access = r->access,
			.arg = r->arg ? kf_builtin_args + r->arg : NULL,
		};
	}
	*ret = (struct kf_policy){.name = p->name, .rules = rules, .nrules = p->nrules};
	return 0;
}

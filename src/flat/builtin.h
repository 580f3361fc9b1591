/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_FLAT_BUILTIN_H
#define KF_FLAT_BUILTIN_H

#include "flat/flat.h"

/* The policies that the launcher needs no file for, parsed while building (by
 * kf-profilec): a start that reads them as text spends more on that than on any other
 * thing it does itself. */

/* In a policy's text, after "nono-policy" and "name". */
#define KF_BUILTIN_FIRST_LINE 3
#define KF_BUILTIN_RULES_MAX  96

struct kf_builtin_rule {
	unsigned char kind, access;
	unsigned short arg; /* where in kf_builtin_args; 0, the empty one: none */
};

struct kf_builtin_policy {
	char name[16];
	unsigned nrules;
	struct kf_builtin_rule rules[KF_BUILTIN_RULES_MAX];
};

/* One after the other, each with its NUL, the first one empty. */
extern const char kf_builtin_args[];
/* One without rules ends. */
extern const struct kf_builtin_policy kf_builtin_policies[];

/* The built-in policy @name; its strings are the program's. */
int kf_builtin_policy(const char *name, struct kf_policy *ret, struct kf_err *err);

#endif

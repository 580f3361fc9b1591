/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in profiles, compiled to flat policy text from profiles/ while building. */
#ifndef KF_PROFILE_BUILTIN_H
#define KF_PROFILE_BUILTIN_H

#include <stddef.h>

struct kf_builtin {
	const char *name;
	const char *text;
	size_t n;
};
extern const struct kf_builtin kf_builtins[];
extern const size_t kf_nbuiltins;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seccomp.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const level_names[] = {
	[KF_SECCOMP_LEVEL_NONE] = "",
	[KF_SECCOMP_LEVEL_RUNTIME_DEFAULT] = "runtime-default",
	[KF_SECCOMP_LEVEL_AGENT] = "agent",
	[KF_SECCOMP_LEVEL_RESTRICTED] = "restricted",
};

bool kf_seccomp_level_parse(const char *s, enum kf_seccomp_level *ret)
{
	for (unsigned i = 0; i < KF_ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum kf_seccomp_level)i;
			return true;
		}
	}
	return false;
}

const char *kf_seccomp_level_name(enum kf_seccomp_level level)
{
	return level_names[level];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the seccomp levels, and the policy that belongs to each; the policies themselves are
 * generated from seccomp.table. */
#include "seccomp/seccomp.h"

#include "base/cleanup.h"
#include "seccomp/table.h"

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

const struct kf_seccomp *kf_seccomp_builtin(enum kf_seccomp_level level, const char *arch)
{
	if (level == KF_SECCOMP_LEVEL_NONE)
		return NULL;
	for (size_t i = 0; i < kf_nseccomp_tables; i++)
		if (strcmp(kf_seccomp_tables[i].arch, arch) == 0)
			return &kf_seccomp_tables[i].levels[level];
	return NULL;
}

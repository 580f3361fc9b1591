/* SPDX-License-Identifier: Apache-2.0 */
/* The variables and resource limits that policies know. */
#include "flat/words.h"

#include <string.h>
#include <sys/resource.h>

const struct kf_policy_variable kf_policy_variables[] = {
	{"HOME", ""},
	{"WORKDIR", ""},
	{"TMPDIR", ""},
	{"XDG_CONFIG_HOME", ".config"},
	{"XDG_DATA_HOME", ".local/share"},
	{"XDG_STATE_HOME", ".local/state"},
	{"XDG_CACHE_HOME", ".cache"},
	{"XDG_RUNTIME_DIR", ""},
	{"", ""},
};

const struct kf_policy_variable *kf_policy_variable(const char *name, size_t n)
{
	for (const struct kf_policy_variable *v = kf_policy_variables; *v->name; v++)
		if (strlen(v->name) == n && memcmp(v->name, name, n) == 0)
			return v;
	return NULL;
}

const struct kf_policy_limit kf_policy_limits[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
	{"", 0},
};

const struct kf_policy_limit *kf_policy_limit(const char *name)
{
	for (const struct kf_policy_limit *l = kf_policy_limits; *l->name; l++)
		if (strcmp(l->name, name) == 0)
			return l;
	return NULL;
}

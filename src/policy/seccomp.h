/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_POLICY_SECCOMP_H
#define KF_POLICY_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A seccomp policy as the OCI runtime specification and NRI both say it; the
 * strings are OCI names (SCMP_ACT_ERRNO, SCMP_ARCH_X86_64, SCMP_CMP_EQ).  All
 * pointers are borrowed. */

struct kf_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	const char *op;
};

struct kf_seccomp_rule {
	const char *const *names;
	size_t nnames;
	const char *action;
	bool has_errno;
	uint32_t errno_ret;
	const struct kf_seccomp_arg *args;
	size_t nargs;
};

struct kf_seccomp {
	const char *default_action;
	bool has_default_errno;
	uint32_t default_errno;
	const char *const *architectures;
	size_t narchitectures;
	const char *const *flags;
	size_t nflags;
	const char *listener_path, *listener_metadata; /* NULL if none */
	const struct kf_seccomp_rule *rules;
	size_t nrules;
};

/* The levels of configuration.md plus "agent" (restricted plus seccomp(2) for
 * installing filters), in order of strictness. */
enum kf_seccomp_level {
	KF_SECCOMP_LEVEL_NONE, /* "": nothing is injected */
	KF_SECCOMP_LEVEL_RUNTIME_DEFAULT,
	KF_SECCOMP_LEVEL_AGENT,
	KF_SECCOMP_LEVEL_RESTRICTED,
};

/* "restricted" etc.; false, *ret untouched, if @s names no level. */
bool kf_seccomp_level_parse(const char *s, enum kf_seccomp_level *ret);
const char *kf_seccomp_level_name(enum kf_seccomp_level level);

#endif

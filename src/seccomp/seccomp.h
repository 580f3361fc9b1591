/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_SECCOMP_H
#define KF_SECCOMP_SECCOMP_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A seccomp policy as the OCI runtime specification and NRI both say it; the
 * strings are OCI names (SCMP_ACT_ERRNO, SCMP_ARCH_X86_64, SCMP_CMP_EQ).  All
 * pointers are borrowed. */

struct kf_seccomp_arg {
	uint32_t index;
	/* With SCMP_CMP_MASKED_EQ @value is the mask and @value_two what is compared. */
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

/* This machine's architecture in both spellings. */
#if defined(__x86_64__)
#define KF_SECCOMP_ARCH	     "x86_64"
#define KF_SECCOMP_ARCH_SCMP "SCMP_ARCH_X86_64"
#elif defined(__aarch64__)
#define KF_SECCOMP_ARCH	     "aarch64"
#define KF_SECCOMP_ARCH_SCMP "SCMP_ARCH_AARCH64"
#else
#error "src/seccomp/seccomp.table has no column for this architecture"
#endif

/* The policy of @level for @arch ("x86_64", "aarch64"); constant data.  NULL
 * for KF_SECCOMP_LEVEL_NONE and for architectures that have no table. */
const struct kf_seccomp *kf_seccomp_builtin(enum kf_seccomp_level level, const char *arch);

/* One system call as a filter sees it. */
struct kf_seccomp_call {
	const char *arch; /* SCMP_ARCH_* */
	const char *name;
	uint64_t args[6];
};

/* What a filter answers. */
struct kf_seccomp_verdict {
	const char *action;
	uint32_t data; /* errno of SCMP_ACT_ERRNO, message of SCMP_ACT_TRACE; else 0 */
};

/* Whether all of @policy is understood: actions, comparisons, argument
 * numbers.  Returns 0, or -1 with *err naming the first mistake.  The
 * functions below take only what passed. */
int kf_seccomp_check(const struct kf_seccomp *policy, struct kf_err *err);

/* What @policy answers to @call.  If several rules match, the strictest counts: runtimes differ
 * there, and none is stricter than that.  A call of an architecture that is neither listed nor this
 * machine's kills the thread. */
struct kf_seccomp_verdict kf_seccomp_eval(const struct kf_seccomp *policy,
					  const struct kf_seccomp_call *call);

/* Order of strictness, as the kernel decides between stacked filters; an
 * unknown action is the strictest.  Negative, 0, positive like strcmp(). */
int kf_seccomp_action_compare(const char *a, const char *b);
/* Whether the call may still be made after @action: allow, log, and the actions that ask a listener
 * or a tracer. */
bool kf_seccomp_action_passes(const char *action);

/* Whether @policy asks a listener about any call.  Only the runtime can install such a filter,
 * because it passes the listener's descriptor on. */
bool kf_seccomp_notifies(const struct kf_seccomp *policy);

/* Make one policy that answers every call as @a and @b stacked would: with the stricter of the two
 * answers.  Where the policy language cannot say that, the result is stricter still, never weaker.
 * Of two different errors ENOSYS wins, since libraries understand it, then the smaller number.
 * Both must have passed kf_seccomp_check().  The result lives in @arena and borrows from both. */
int kf_seccomp_intersect(const struct kf_seccomp *a, const struct kf_seccomp *b,
			 struct kf_arena *arena, struct kf_seccomp *ret, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TESTS_RANDOM_SECCOMP_H
#define KF_TESTS_RANDOM_SECCOMP_H

/* Random seccomp policies, and calls that their rules may match. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "seccomp/seccomp.h"

#include <errno.h>
#include <string.h>

#define ALLOW "SCMP_ACT_ALLOW"
#define ERRNO "SCMP_ACT_ERRNO"
#define KILL  "SCMP_ACT_KILL_PROCESS"

static struct kf_arena arena;
static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

static const char *const call_names[] = {"getpid", "openat", "socket", "prctl", "futex_wait"};
static const uint64_t points[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20000, UINT64_MAX - 1, UINT64_MAX};
static const char *const all_actions[] = {
	ALLOW, "SCMP_ACT_LOG",	"SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",	   ERRNO,
	ERRNO, "SCMP_ACT_TRAP", "SCMP_ACT_KILL",   "SCMP_ACT_KILL_THREAD", KILL};
static const char *const all_ops[] = {"SCMP_CMP_EQ",	   "SCMP_CMP_NE", "SCMP_CMP_LT",
				      "SCMP_CMP_LE",	   "SCMP_CMP_GT", "SCMP_CMP_GE",
				      "SCMP_CMP_MASKED_EQ"};

/* With @simple, what real policies look like: an errno or kill default, rules
 * of one action each call. */
static struct kf_seccomp random_policy(bool simple)
{
	struct kf_seccomp p = {.nrules = rnd(8)};
	struct kf_seccomp_rule *rules = kf_arena_calloc(&arena, p.nrules, sizeof(*rules));

	assert_non_null(rules);
	p.default_action =
		simple ? (rnd(2) ? ERRNO : KILL) : all_actions[rnd(KF_ARRAY_SIZE(all_actions))];
	p.has_default_errno = strcmp(p.default_action, ERRNO) == 0 && rnd(2);
	p.default_errno = rnd(2) ? ENOSYS : EACCES;
	for (size_t i = 0; i < p.nrules; i++) {
		struct kf_seccomp_rule *r = &rules[i];
		const char **names = kf_arena_calloc(&arena, 2, sizeof(*names));
		struct kf_seccomp_arg *args = kf_arena_calloc(&arena, 2, sizeof(*args));

		assert_true(names && args);
		r->nnames = 1 + rnd(2);
		for (size_t k = 0; k < r->nnames; k++)
			names[k] = call_names[rnd(KF_ARRAY_SIZE(call_names))];
		r->action = simple ? ALLOW : all_actions[rnd(KF_ARRAY_SIZE(all_actions))];
		r->has_errno = strcmp(r->action, ERRNO) == 0 && rnd(2);
		r->errno_ret = (uint32_t)rnd(3) * 19; /* 0, EXDEV-ish, ENOSYS */
		r->nargs = rnd(3);
		for (size_t k = 0; k < r->nargs; k++) {
			args[k].index = (uint32_t)(simple ? k : rnd(3));
			args[k].op = all_ops[rnd(KF_ARRAY_SIZE(all_ops))];
			args[k].value = points[rnd(KF_ARRAY_SIZE(points))];
			args[k].value_two = points[rnd(KF_ARRAY_SIZE(points))];
		}
		r->names = names;
		r->args = args;
	}
	p.rules = rules;
	return p;
}

static void random_call(struct kf_seccomp_call *call)
{
	*call = (struct kf_seccomp_call){.arch = KF_SECCOMP_ARCH_SCMP,
					 .name = call_names[rnd(KF_ARRAY_SIZE(call_names))]};
	for (int i = 0; i < 3; i++)
		call->args[i] = points[rnd(KF_ARRAY_SIZE(points))] + rnd(2);
}

#endif

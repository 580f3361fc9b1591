/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of the launcher, each with the place that makes it, and whether a policy would
 * stop or deceive the launcher.  What the launcher does is in src/nono. */
#include "seccomp/launcher.h"

#include "base/cleanup.h"
#include "seccomp/internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX 64

/* Sorted by name.  tests/sandbox/needed.py compares with what strace sees, in both
 * directions and for both classes; tests/tree looks the places up. */
static const struct kf_launcher_call calls[] = {
#if defined(__x86_64__)
	{"access", KF_CALL_OPTIONAL, "nono/program.c:check_executable"},
	{"arch_prctl", KF_CALL_NEEDED, "libc"},
#endif
	{"close", KF_CALL_OPTIONAL, "nono/wrap.c:start_program"},
	{"execve", KF_CALL_NEEDED, "nono/wrap.c:start_program"},
	{"exit_group", KF_CALL_OPTIONAL, "libc"},
#if !defined(__x86_64__)
	{"faccessat", KF_CALL_OPTIONAL, "nono/program.c:check_executable"},
#endif
	{"faccessat2", KF_CALL_OPTIONAL, "nono/program.c:check_executable"},
	{"fcntl", KF_CALL_OPTIONAL, "nono/wrap.c:open_report"},
	{"flock", KF_CALL_NEEDED, "sandbox/domain.c:kf_domain_decide"},
	{"fstat", KF_CALL_NEEDED, "base/file.c:kf_fd_slurp"},
	{"fstatfs", KF_CALL_NEEDED, "nono/source.c:check_owner"},
	/* The launcher believes the answers of these two, errors included. */
	{"getcwd", KF_CALL_NEEDED, "grants/vars.c:kf_vars_init"},
	{"getdents64", KF_CALL_NEEDED, "grants/rt.c:kf_listing_next"},
	{"geteuid", KF_CALL_NEEDED, "grants/vars.c:kf_vars_init"},
	{"landlock_add_rule", KF_CALL_NEEDED, "sandbox/landlock.c:kf_landlock_allow"},
	{"landlock_create_ruleset", KF_CALL_NEEDED, "sandbox/landlock.c:kf_landlock_open"},
	{"landlock_restrict_self", KF_CALL_NEEDED, "sandbox/landlock.c:kf_landlock_enforce"},
	{"listmount", KF_CALL_OPTIONAL, "grants/volumes.c:list_mounts"},
	{"lseek", KF_CALL_NEEDED, "base/file.c:kf_fd_slurp"},
	{"mprotect", KF_CALL_OPTIONAL, "musl/protect.c:protect_relocations"},
	{"newfstatat", KF_CALL_NEEDED, "grants/live.c:live_live"},
	{"openat", KF_CALL_NEEDED, "grants/rt.h:kf_open"},
	{"openat2", KF_CALL_NEEDED, "grants/rt.c:kf_open_resolve"},
	{"prctl", KF_CALL_NEEDED, "sandbox/landlock.c:kf_landlock_enforce"},
	{"prlimit64", KF_CALL_NEEDED, "sandbox/process.c:kf_process_limits"},
	{"pwrite64", KF_CALL_NEEDED, "sandbox/domain.c:write_at"},
	{"read", KF_CALL_NEEDED, "base/file.c:kf_fd_slurp"},
#if defined(__x86_64__)
	{"readlink", KF_CALL_NEEDED, "grants/live.c:live_path"},
#else
	{"readlinkat", KF_CALL_NEEDED, "grants/live.c:live_path"},
#endif
	/* Without it sandbox/proof.c tries another proof. */
	{"renameat2", KF_CALL_OPTIONAL, "sandbox/proof.c:rename_in_place"},
	{"set_tid_address", KF_CALL_OPTIONAL, "libc"},
	{"statfs", KF_CALL_OPTIONAL, "grants/given.c:kf_given_proc_closed"},
	{"statmount", KF_CALL_OPTIONAL, "grants/volumes.c:each_listed"},
	{"statx", KF_CALL_NEEDED, "sandbox/object.c:kf_object_at"},
	{"write", KF_CALL_OPTIONAL, "nono/wrap.c:tell_failure"},
};
_Static_assert(KF_ARRAY_SIZE(calls) <= MAX, "bits of a set");

const struct kf_launcher_call *kf_seccomp_launcher_calls(size_t *ret_n)
{
	*ret_n = KF_ARRAY_SIZE(calls);
	return calls;
}

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct kf_launcher_call *)item)->name);
}

static bool lets_through(const char *action)
{
	return strcmp(action, "SCMP_ACT_ALLOW") == 0 || strcmp(action, "SCMP_ACT_LOG") == 0;
}

/* Whether the launcher understands @answer as a refusal, or never sees it. */
static bool is_understood(enum kf_launcher_use use, struct kf_seccomp_verdict answer)
{
	if (lets_through(answer.action))
		return true;
	return use == KF_CALL_OPTIONAL && strcmp(answer.action, "SCMP_ACT_ERRNO") == 0 &&
	       (answer.data == EPERM || answer.data == ENOSYS);
}

/* A rule without arguments decides for all calls of a name.  If there are several, runtimes differ
 * in which comes first, so each of them counts. */
static void judge_rule(const struct kf_seccomp_rule *rule, uint64_t *decided, uint64_t *bad)
{
	const struct kf_seccomp_verdict answer =
		kf_seccomp_verdict(rule->action, rule->has_errno, rule->errno_ret);

	for (size_t i = 0; i < rule->nnames; i++) {
		const struct kf_launcher_call *call = bsearch(
			rule->names[i], calls, KF_ARRAY_SIZE(calls), sizeof(*calls), compare_name);

		if (!call)
			continue;
		if (!rule->nargs)
			*decided |= UINT64_C(1) << (call - calls);
		if (!is_understood(call->use, answer))
			*bad |= UINT64_C(1) << (call - calls);
	}
}

const char *kf_seccomp_launcher_denied(const struct kf_seccomp *policy, struct kf_arena *arena)
{
	const struct kf_seccomp_verdict other = kf_seccomp_verdict(
		policy->default_action, policy->has_default_errno, policy->default_errno);
	uint64_t decided = 0, bad = 0;
	const char *list = "";

	for (size_t i = 0; i < policy->nrules; i++)
		judge_rule(&policy->rules[i], &decided, &bad);
	for (size_t i = 0; list && i < KF_ARRAY_SIZE(calls); i++) {
		const uint64_t bit = UINT64_C(1) << i;

		if ((bad & bit) || (!(decided & bit) && !is_understood(calls[i].use, other)))
			list = kf_arena_printf(arena, "%s%s%s", list, *list ? ", " : "",
					       calls[i].name);
	}
	return list;
}

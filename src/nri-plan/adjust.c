/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a plan as the messages of NRI.  nono-nri/adjust.c makes an answer of them. */
#include "nri-plan/adjust.h"

#include "base/cleanup.h"

#include <string.h>

/* Options without "r" propagation side effects: rshared and rslave would change
 * the container's root (NRI generator). */
static const char *const launcher_options[] = {"rbind", "ro", "rprivate", "nosuid", "nodev"};

void kf_nri_launcher_mount(const char *source, Nri__Mount *ret)
{
	nri__mount__init(ret);
	ret->destination = (char *)KF_LAUNCHER_DIR;
	ret->type = (char *)"bind";
	ret->source = (char *)source;
	ret->options = (char **)launcher_options;
	ret->n_options = KF_ARRAY_SIZE(launcher_options);
}

/* A destination that is listed already: claimed twice it would conflict with itself. */
static bool listed_before(const struct kf_plan *plan, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(plan->remove_mounts[k], plan->remove_mounts[i]) == 0)
			return true;
	return false;
}

/* NRI's way of saying that a mount goes. */
static int remove_mount(const char *destination, struct kf_arena *arena, Nri__Mount *ret)
{
	nri__mount__init(ret);
	ret->destination = kf_arena_printf(arena, "-%s", destination);
	return ret->destination ? 0 : -1;
}

static int read_only_mount(const struct kf_view_mount *mount, struct kf_arena *arena,
			   Nri__Mount *ret)
{
	const char **options = kf_arena_calloc(arena, mount->noptions + 1, sizeof(*options));

	if (!options)
		return -1;
	for (size_t i = 0; i < mount->noptions; i++)
		options[i] = mount->options[i];
	options[mount->noptions] = "ro"; /* the last of "rw" and "ro" counts */
	nri__mount__init(ret);
	ret->destination = (char *)mount->destination;
	ret->type = (char *)mount->type;
	ret->source = (char *)mount->source;
	ret->options = (char **)options;
	ret->n_options = mount->noptions + 1;
	return 0;
}

/* What is to be mounted otherwise goes, and is added anew. */
static int adjust_mounts(const struct kf_plan *plan, struct kf_arena *arena,
			 Nri__ContainerAdjustment *adjust)
{
	const size_t max = plan->nremove_mounts + 2 * plan->nread_only;
	Nri__Mount *mounts = kf_arena_calloc(arena, max, sizeof(*mounts)),
		   **list = kf_arena_calloc(arena, max, sizeof(*list));
	size_t n = 0;

	if (!mounts || !list)
		return -1;
	for (size_t i = 0; i < plan->nremove_mounts; i++)
		if (!listed_before(plan, i) &&
		    remove_mount(plan->remove_mounts[i], arena, &mounts[n++]) < 0)
			return -1;
	for (size_t i = 0; i < plan->nread_only; i++)
		if (remove_mount(plan->read_only[i]->destination, arena, &mounts[n++]) < 0 ||
		    read_only_mount(plan->read_only[i], arena, &mounts[n++]) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		list[i] = &mounts[i];
	adjust->mounts = list;
	adjust->n_mounts = n;
	return 0;
}

int kf_nri_adjust(const struct kf_plan *plan, struct kf_arena *arena,
		  Nri__ContainerAdjustment **ret, struct kf_err *err)
{
	Nri__ContainerAdjustment *adjust = kf_arena_alloc(arena, sizeof(*adjust));
	Nri__KeyValue *env = kf_arena_alloc(arena, sizeof(*env)),
		      **env_list = kf_arena_alloc(arena, sizeof(*env_list));

	if (!adjust || !env || !env_list)
		return kf_fail_nomem(err, "adjustment");
	nri__container_adjustment__init(adjust);
	adjust->args = (char **)plan->args;
	adjust->n_args = plan->nargs;
	nri__key_value__init(env);
	env->key = (char *)KF_ENV_PROFILE;
	env->value = (char *)plan->profile->name;
	env_list[0] = env;
	adjust->env = env_list;
	adjust->n_env = 1;
	if (adjust_mounts(plan, arena, adjust) < 0)
		return kf_fail_nomem(err, "adjustment");
	*ret = adjust;
	return 0;
}

static Nri__OptionalUInt32 *optional_u32(struct kf_arena *arena, uint32_t value)
{
	Nri__OptionalUInt32 *msg = kf_arena_alloc(arena, sizeof(*msg));

	if (msg) {
		nri__optional_uint32__init(msg);
		msg->value = value;
	}
	return msg;
}

static int rule_message(const struct kf_seccomp_rule *rule, struct kf_arena *arena,
			Nri__LinuxSyscall *ret)
{
	Nri__LinuxSeccompArg *args = kf_arena_calloc(arena, rule->nargs, sizeof(*args)),
			     **list = kf_arena_calloc(arena, rule->nargs, sizeof(*list));

	if (rule->nargs && (!args || !list))
		return -1;
	nri__linux_syscall__init(ret);
	ret->names = (char **)rule->names;
	ret->n_names = rule->nnames;
	ret->action = (char *)rule->action;
	if (rule->has_errno && !(ret->errno_ret = optional_u32(arena, rule->errno_ret)))
		return -1;
	for (size_t i = 0; i < rule->nargs; i++) {
		nri__linux_seccomp_arg__init(&args[i]);
		args[i].index = rule->args[i].index;
		args[i].value = rule->args[i].value;
		args[i].value_two = rule->args[i].value_two;
		args[i].op = (char *)rule->args[i].op;
		list[i] = &args[i];
	}
	ret->args = list;
	ret->n_args = rule->nargs;
	return 0;
}

int kf_nri_seccomp_message(const struct kf_seccomp *seccomp, struct kf_arena *arena,
			   Nri__LinuxSeccomp **ret, struct kf_err *err)
{
	Nri__LinuxSeccomp *msg = kf_arena_alloc(arena, sizeof(*msg));
	Nri__LinuxSyscall *rules = kf_arena_calloc(arena, seccomp->nrules, sizeof(*rules)),
			  **list = kf_arena_calloc(arena, seccomp->nrules, sizeof(*list));

	if (!msg || !rules || !list)
		return kf_fail_nomem(err, "seccomp policy");
	nri__linux_seccomp__init(msg);
	msg->default_action = (char *)seccomp->default_action;
	if (seccomp->has_default_errno &&
	    !(msg->default_errno = optional_u32(arena, seccomp->default_errno)))
		return kf_fail_nomem(err, "seccomp policy");
	msg->architectures = (char **)seccomp->architectures;
	msg->n_architectures = seccomp->narchitectures;
	msg->flags = (char **)seccomp->flags;
	msg->n_flags = seccomp->nflags;
	if (seccomp->listener_path)
		msg->listener_path = (char *)seccomp->listener_path;
	if (seccomp->listener_metadata)
		msg->listener_metadata = (char *)seccomp->listener_metadata;
	for (size_t i = 0; i < seccomp->nrules; i++) {
		if (rule_message(&seccomp->rules[i], arena, &rules[i]) < 0)
			return kf_fail_nomem(err, "seccomp policy");
		list[i] = &rules[i];
	}
	msg->syscalls = list;
	msg->n_syscalls = seccomp->nrules;
	*ret = msg;
	return 0;
}

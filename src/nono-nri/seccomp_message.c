/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/seccomp_message.h"

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

static int rule_from_message(const Nri__LinuxSyscall *msg, struct kf_arena *arena,
			     struct kf_seccomp_rule *ret)
{
	struct kf_seccomp_arg *args = kf_arena_calloc(arena, msg->n_args, sizeof(*args));

	if (!args)
		return -1;
	for (size_t i = 0; i < msg->n_args; i++)
		args[i] = (struct kf_seccomp_arg){
			.index = msg->args[i]->index,
			.value = msg->args[i]->value,
			.value_two = msg->args[i]->value_two,
			.op = msg->args[i]->op,
		};
	*ret = (struct kf_seccomp_rule){
		.names = (const char *const *)msg->names,
		.nnames = msg->n_names,
		.action = msg->action,
		.has_errno = msg->errno_ret != NULL,
		.errno_ret = msg->errno_ret ? msg->errno_ret->value : 0,
		.args = args,
		.nargs = msg->n_args,
	};
	return 0;
}

int kf_seccomp_from_message(const Nri__LinuxSeccomp *msg, struct kf_arena *arena,
			    struct kf_seccomp *ret)
{
	struct kf_seccomp_rule *rules = kf_arena_calloc(arena, msg->n_syscalls, sizeof(*rules));

	if (!rules)
		return -1;
	for (size_t i = 0; i < msg->n_syscalls; i++)
		if (rule_from_message(msg->syscalls[i], arena, &rules[i]) < 0)
			return -1;
	*ret = (struct kf_seccomp){
		.default_action = msg->default_action,
		.has_default_errno = msg->default_errno != NULL,
		.default_errno = msg->default_errno ? msg->default_errno->value : 0,
		.architectures = (const char *const *)msg->architectures,
		.narchitectures = msg->n_architectures,
		.flags = (const char *const *)msg->flags,
		.nflags = msg->n_flags,
		.listener_path = or_null(msg->listener_path),
		.listener_metadata = or_null(msg->listener_metadata),
		.rules = rules,
		.nrules = msg->n_syscalls,
	};
	return 0;
}

static Nri__OptionalUInt32 *optional_to_message(bool has, uint32_t value, struct kf_arena *arena,
						bool *failed)
{
	Nri__OptionalUInt32 *msg;

	if (!has)
		return NULL;
	msg = kf_arena_alloc(arena, sizeof(*msg));
	if (!msg) {
		*failed = true;
		return NULL;
	}
	nri__optional_uint32__init(msg);
	msg->value = value;
	return msg;
}

static Nri__LinuxSyscall *rule_to_message(const struct kf_seccomp_rule *rule,
					  struct kf_arena *arena)
{
	Nri__LinuxSyscall *msg = kf_arena_alloc(arena, sizeof(*msg));
	Nri__LinuxSeccompArg **pointers = kf_arena_calloc(arena, rule->nargs, sizeof(*pointers));
	Nri__LinuxSeccompArg *args = kf_arena_calloc(arena, rule->nargs, sizeof(*args));
	bool failed = false;

	if (!msg || !args || !pointers)
		return NULL;
	nri__linux_syscall__init(msg);
	/* protobuf-c's packing does not write to what it packs. */
	msg->names = (char **)(uintptr_t)rule->names;
	msg->n_names = rule->nnames;
	msg->action = (char *)(uintptr_t)rule->action;
	msg->errno_ret = optional_to_message(rule->has_errno, rule->errno_ret, arena, &failed);
	for (size_t i = 0; i < rule->nargs; i++) {
		nri__linux_seccomp_arg__init(&args[i]);
		args[i].index = rule->args[i].index;
		args[i].value = rule->args[i].value;
		args[i].value_two = rule->args[i].value_two;
		args[i].op = (char *)(uintptr_t)rule->args[i].op;
		pointers[i] = &args[i];
	}
	msg->args = pointers;
	msg->n_args = rule->nargs;
	return failed ? NULL : msg;
}

int kf_seccomp_to_message(const struct kf_seccomp *policy, struct kf_arena *arena,
			  Nri__LinuxSeccomp *ret)
{
	Nri__LinuxSeccomp msg = NRI__LINUX_SECCOMP__INIT;
	bool failed = false;

	msg.syscalls = kf_arena_calloc(arena, policy->nrules, sizeof(*msg.syscalls));
	if (!msg.syscalls)
		return -1;
	for (; msg.n_syscalls < policy->nrules; msg.n_syscalls++) {
		msg.syscalls[msg.n_syscalls] =
			rule_to_message(&policy->rules[msg.n_syscalls], arena);
		if (!msg.syscalls[msg.n_syscalls])
			return -1;
	}
	msg.default_action = (char *)(uintptr_t)policy->default_action;
	msg.default_errno = optional_to_message(policy->has_default_errno, policy->default_errno,
						arena, &failed);
	msg.architectures = (char **)(uintptr_t)policy->architectures;
	msg.n_architectures = policy->narchitectures;
	msg.flags = (char **)(uintptr_t)policy->flags;
	msg.n_flags = policy->nflags;
	if (policy->listener_path)
		msg.listener_path = (char *)(uintptr_t)policy->listener_path;
	if (policy->listener_metadata)
		msg.listener_metadata = (char *)(uintptr_t)policy->listener_metadata;
	*ret = msg;
	return failed ? -1 : 0;
}

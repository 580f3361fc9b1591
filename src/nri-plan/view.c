/* SPDX-License-Identifier: Apache-2.0 */
/* Reads NRI's messages about a container into the view that plans are made from. */
#include "nri-plan/view.h"

/* protobuf-c's string arrays are char **, never changed by us. */
static const char *const *strings(char *const *list)
{
	return (const char *const *)list;
}

static int seccomp_rule(const Nri__LinuxSyscall *msg, struct kf_arena *arena,
			struct kf_seccomp_rule *ret)
{
	struct kf_seccomp_arg *args = kf_arena_calloc(arena, msg->n_args, sizeof(*args));

	if (msg->n_args && !args)
		return -1;
	for (size_t i = 0; i < msg->n_args; i++)
		args[i] = (struct kf_seccomp_arg){
			.index = msg->args[i]->index,
			.value = msg->args[i]->value,
			.value_two = msg->args[i]->value_two,
			.op = msg->args[i]->op,
		};
	*ret = (struct kf_seccomp_rule){
		.names = strings(msg->names),
		.nnames = msg->n_names,
		.action = msg->action,
		.has_errno = msg->errno_ret != NULL,
		.errno_ret = msg->errno_ret ? msg->errno_ret->value : 0,
		.args = args,
		.nargs = msg->n_args,
	};
	return 0;
}

int kf_nri_seccomp_view(const Nri__LinuxSeccomp *msg, struct kf_arena *arena,
			const struct kf_seccomp **ret, struct kf_err *err)
{
	struct kf_seccomp *seccomp = kf_arena_alloc(arena, sizeof(*seccomp));
	struct kf_seccomp_rule *rules = kf_arena_calloc(arena, msg->n_syscalls, sizeof(*rules));

	if (!seccomp || (msg->n_syscalls && !rules))
		return kf_fail_nomem(err, "seccomp policy");
	for (size_t i = 0; i < msg->n_syscalls; i++)
		if (seccomp_rule(msg->syscalls[i], arena, &rules[i]) < 0)
			return kf_fail_nomem(err, "seccomp policy");
	*seccomp = (struct kf_seccomp){
		.default_action = msg->default_action,
		.has_default_errno = msg->default_errno != NULL,
		.default_errno = msg->default_errno ? msg->default_errno->value : 0,
		.architectures = strings(msg->architectures),
		.narchitectures = msg->n_architectures,
		.flags = strings(msg->flags),
		.nflags = msg->n_flags,
		.listener_path = *msg->listener_path ? msg->listener_path : NULL,
		.listener_metadata = *msg->listener_metadata ? msg->listener_metadata : NULL,
		.rules = rules,
		.nrules = msg->n_syscalls,
	};
	*ret = seccomp;
	return 0;
}

/* What the runtime tells of the policy that the pod asked for; containerd from
 * 2.2.1 on, its rules from 2.3 on, CRI-O nothing. */
static enum kf_view_seccomp seccomp_source(const Nri__LinuxContainer *container)
{
	if (!container || !container->seccomp_profile)
		return KF_VIEW_SECCOMP_UNKNOWN;
	switch (container->seccomp_profile->profile_type) {
	case NRI__SECURITY_PROFILE__PROFILE_TYPE__RUNTIME_DEFAULT:
		return KF_VIEW_SECCOMP_RUNTIME_DEFAULT;
	case NRI__SECURITY_PROFILE__PROFILE_TYPE__UNCONFINED:
		return KF_VIEW_SECCOMP_UNCONFINED;
	default: /* Localhost, and whatever a later runtime may add: not ours to replace */
		return KF_VIEW_SECCOMP_LOCALHOST;
	}
}

/* Copies the pod's annotations, without those by which containerd tells its pause
 * container from others: it adds them to what it reports about every pod.  They
 * are its own if the id is the pod's, which nobody knows who writes a pod. */
static size_t pods_annotations(const Nri__PodSandbox *pod, struct kf_view_annotation *ret)
{
	static const char type[] = "io.kubernetes.cri.container-type",
			  id[] = "io.kubernetes.cri.sandbox-id";
	bool own = false;
	size_t n = 0;

	for (size_t i = 0; i < pod->n_annotations; i++)
		own |= strcmp(pod->annotations[i]->key, id) == 0 && *pod->id &&
		       strcmp(pod->annotations[i]->value, pod->id) == 0;
	for (size_t i = 0; i < pod->n_annotations; i++) {
		const char *key = pod->annotations[i]->key;

		if (!own || (strcmp(key, id) != 0 && strcmp(key, type) != 0))
			ret[n++] = (struct kf_view_annotation){key, pod->annotations[i]->value};
	}
	return n;
}

static int device_paths(const Nri__LinuxContainer *container, struct kf_arena *arena,
			struct kf_view_paths *ret)
{
	const size_t n = container ? container->n_devices : 0;
	const char **v = kf_arena_calloc(arena, n, sizeof(*v));

	if (n && !v)
		return -1;
	for (size_t i = 0; i < n; i++)
		v[i] = container->devices[i]->path;
	*ret = (struct kf_view_paths){v, n};
	return 0;
}

int kf_nri_view(const Nri__PodSandbox *pod, const Nri__Container *container, struct kf_arena *arena,
		struct kf_view *ret, struct kf_err *err)
{
	const Nri__LinuxContainer *lc = container->linux_container;
	struct kf_view_annotation *annotations =
		kf_arena_calloc(arena, pod->n_annotations, sizeof(*annotations));
	struct kf_view_mount *mounts = kf_arena_calloc(arena, container->n_mounts, sizeof(*mounts));
	const struct kf_seccomp *seccomp = NULL;
	struct kf_view_paths devices;

	if ((pod->n_annotations && !annotations) || (container->n_mounts && !mounts) ||
	    device_paths(lc, arena, &devices) < 0)
		return kf_fail_nomem(err, "container view");
	for (size_t i = 0; i < container->n_mounts; i++)
		mounts[i] = (struct kf_view_mount){
			.destination = container->mounts[i]->destination,
			.type = container->mounts[i]->type,
			.source = container->mounts[i]->source,
			.options = strings(container->mounts[i]->options),
			.noptions = container->mounts[i]->n_options,
		};
	if (lc && lc->seccomp_policy &&
	    kf_nri_seccomp_view(lc->seccomp_policy, arena, &seccomp, err) < 0)
		return -1;
	*ret = (struct kf_view){
		.handler = pod->runtime_handler,
		.namespace_ = pod->pod_namespace,
		.pod = pod->name,
		.pod_uid = pod->uid,
		.container = container->name,
		.container_id = container->id,
		.annotations = annotations,
		.nannotations = pods_annotations(pod, annotations),
		.args = strings(container->args),
		.nargs = container->n_args,
		.env = strings(container->env),
		.nenv = container->n_env,
		.mounts = mounts,
		.nmounts = container->n_mounts,
		.devices = devices,
		.seccomp_source = seccomp_source(lc),
		.seccomp = seccomp,
	};
	return 0;
}

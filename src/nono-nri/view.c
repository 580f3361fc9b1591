/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/view.h"

#include "nono-nri/seccomp_message.h"

static int view_annotations(const Nri__PodSandbox *pod, struct kf_arena *arena, struct kf_view *v,
			    struct kf_err *err)
{
	struct kf_view_annotation *list;

	if (!pod->n_annotations)
		return 0;
	list = kf_arena_calloc(arena, pod->n_annotations, sizeof(*list));
	if (!list)
		return kf_fail_nomem(err, "annotations");
	for (size_t i = 0; i < pod->n_annotations; i++) {
		list[i].key = pod->annotations[i]->key;
		list[i].value = pod->annotations[i]->value;
	}
	v->annotations = list;
	v->nannotations = pod->n_annotations;
	return 0;
}

static struct kf_view_mount mount_view(const Nri__Mount *m)
{
	return (struct kf_view_mount){
		.destination = m->destination,
		.type = m->type,
		.source = m->source,
		.options = (const char *const *)m->options,
		.noptions = m->n_options,
	};
}

/* @extra: room for mounts that are yet to come. */
static int view_mounts(const Nri__Container *c, size_t extra, struct kf_arena *arena,
		       struct kf_view *v, struct kf_view_mount **ret, struct kf_err *err)
{
	struct kf_view_mount *list = kf_arena_calloc(arena, c->n_mounts + extra, sizeof(*list));

	if (!list)
		return kf_fail_nomem(err, "mounts");
	for (size_t i = 0; i < c->n_mounts; i++)
		list[i] = mount_view(c->mounts[i]);
	v->mounts = *ret = list;
	v->nmounts = c->n_mounts;
	return 0;
}

static int view_seccomp(const Nri__Container *c, struct kf_arena *arena, struct kf_view *v,
			struct kf_err *err)
{
	static const enum kf_view_seccomp sources[] = {
		[NRI__SECURITY_PROFILE__PROFILE_TYPE__RUNTIME_DEFAULT] =
			KF_VIEW_SECCOMP_RUNTIME_DEFAULT,
		[NRI__SECURITY_PROFILE__PROFILE_TYPE__UNCONFINED] = KF_VIEW_SECCOMP_UNCONFINED,
		[NRI__SECURITY_PROFILE__PROFILE_TYPE__LOCALHOST] = KF_VIEW_SECCOMP_LOCALHOST,
	};
	const Nri__LinuxContainer *linux_container = c->linux_container;
	struct kf_seccomp *policy;
	unsigned type;

	v->seccomp_source = KF_VIEW_SECCOMP_UNKNOWN;
	if (!linux_container)
		return 0;
	if (linux_container->seccomp_profile) {
		type = (unsigned)linux_container->seccomp_profile->profile_type;
		/* A type of the future: its rules cannot be assumed to be weak. */
		v->seccomp_source = type < sizeof(sources) / sizeof(sources[0])
					    ? sources[type]
					    : KF_VIEW_SECCOMP_LOCALHOST;
	}
	if (!linux_container->seccomp_policy)
		return 0;
	policy = kf_arena_alloc(arena, sizeof(*policy));
	if (!policy || kf_seccomp_from_message(linux_container->seccomp_policy, arena, policy) < 0)
		return kf_fail_nomem(err, "seccomp policy");
	v->seccomp = policy;
	return 0;
}

static int view(const Nri__PodSandbox *pod, const Nri__Container *c, size_t extra_mounts,
		struct kf_arena *arena, struct kf_view *v, struct kf_view_mount **mounts,
		struct kf_err *err)
{
	*v = (struct kf_view){
		.handler = pod->runtime_handler,
		.namespace_ = pod->pod_namespace,
		.pod = pod->name,
		.pod_uid = pod->uid,
		.container = c->name,
		.container_id = c->id,
		.args = (const char *const *)c->args,
		.nargs = c->n_args,
		.env = (const char *const *)c->env,
		.nenv = c->n_env,
	};
	if (view_annotations(pod, arena, v, err) < 0)
		return -1;
	return view_mounts(c, extra_mounts, arena, v, mounts, err);
}

int kf_view_from_nri(const Nri__PodSandbox *pod, const Nri__Container *container,
		     struct kf_arena *arena, struct kf_view *ret, struct kf_err *err)
{
	struct kf_view_mount *mounts;

	if (view(pod, container, 0, arena, ret, &mounts, err) < 0)
		return -1;
	return view_seccomp(container, arena, ret, err);
}

/* What the runtimes' generator does with one entry of an adjustment: "-/x"
 * takes /x away, and a mount replaces one at the same place. */
static void apply_mount(struct kf_view_mount *list, size_t *n, const Nri__Mount *m)
{
	bool removal = m->destination[0] == '-';
	const char *destination = m->destination + removal;

	for (size_t i = 0; i < *n; i++) {
		if (strcmp(list[i].destination, destination) == 0) {
			memmove(list + i, list + i + 1, (*n - i - 1) * sizeof(*list));
			(*n)--;
			break;
		}
	}
	if (!removal)
		list[(*n)++] = mount_view(m);
}

int kf_view_adjusted(const Nri__PodSandbox *pod, const Nri__Container *container,
		     const Nri__ContainerAdjustment *adjust, struct kf_arena *arena,
		     struct kf_view *ret, struct kf_err *err)
{
	struct kf_view_mount *mounts;

	if (view(pod, container, adjust ? adjust->n_mounts : 0, arena, ret, &mounts, err) < 0)
		return -1;
	if (!adjust)
		return 0;
	if (adjust->n_args) {
		ret->args = (const char *const *)adjust->args;
		ret->nargs = adjust->n_args;
	}
	for (size_t i = 0; i < adjust->n_mounts; i++)
		apply_mount(mounts, &ret->nmounts, adjust->mounts[i]);
	return 0;
}

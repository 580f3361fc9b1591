/* SPDX-License-Identifier: Apache-2.0 */
/* What a container will be once the adjustments of all plugins are applied: the view that
 * validation checks.  The view of a container as it came is nri-plan/view.c's. */
#include "nono-nri/view.h"

#include "nri-plan/view.h"

#include <string.h>

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
		list[(*n)++] = (struct kf_view_mount){
			.destination = m->destination,
			.type = m->type,
			.source = m->source,
			.options = (const char *const *)m->options,
			.noptions = m->n_options,
		};
}

/* Other plugins' devices, behind the container's own. */
static int add_devices(const Nri__LinuxContainerAdjustment *adjust, struct kf_arena *arena,
		       struct kf_view_paths *devices, struct kf_err *err)
{
	const char **v;

	if (!adjust || !adjust->n_devices)
		return 0;
	v = kf_arena_calloc(arena, devices->n + adjust->n_devices, sizeof(*v));
	if (!v)
		return kf_fail_nomem(err, "devices");
	if (devices->n)
		memcpy(v, devices->v, devices->n * sizeof(*v));
	for (size_t i = 0; i < adjust->n_devices; i++)
		if (adjust->devices[i]->path[0] != '-') /* one taken away: nothing is made */
			v[devices->n++] = adjust->devices[i]->path;
	devices->v = v;
	return 0;
}

int kf_view_adjusted(const Nri__PodSandbox *pod, const Nri__Container *container,
		     const Nri__ContainerAdjustment *adjust, struct kf_arena *arena,
		     struct kf_view *ret, struct kf_err *err)
{
	struct kf_view_mount *mounts;
	struct kf_view v;

	if (kf_nri_view(pod, container, arena, &v, err) < 0)
		return -1;
	if (!adjust) {
		*ret = v;
		return 0;
	}
	if (adjust->n_args) {
		v.args = (const char *const *)adjust->args;
		v.nargs = adjust->n_args;
	}
	mounts = kf_arena_calloc(arena, v.nmounts + adjust->n_mounts, sizeof(*mounts));
	if (!mounts)
		return kf_fail_nomem(err, "mounts");
	if (v.nmounts)
		memcpy(mounts, v.mounts, v.nmounts * sizeof(*mounts));
	for (size_t i = 0; i < adjust->n_mounts; i++)
		apply_mount(mounts, &v.nmounts, adjust->mounts[i]);
	v.mounts = mounts;
	if (add_devices(adjust->linux_adjust, arena, &v.devices, err) < 0)
		return -1;
	*ret = v;
	return 0;
}

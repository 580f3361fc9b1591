/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/adjust.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "nono-nri/seccomp_message.h"

#include <stdlib.h>
#include <string.h>

/* The constant part of the answers for one profile and one policy. */
struct kf_adjust_part {
	struct kf_adjust_part *next;
	const struct kf_profile_info *profile; /* these two are compared, never followed */
	const struct kf_seccomp *seccomp;
	void *data;
	size_t n;
};

int kf_adjust_init(struct kf_adjust *adjust, const struct kf_settings *settings, struct kf_err *err)
{
	const char *slash = strrchr(settings->launcher, '/');
	char *dir = strndup(settings->launcher, (size_t)(slash - settings->launcher));

	if (!dir)
		return kf_fail_nomem(err, "launcher directory");
	*adjust = (struct kf_adjust){.launcher_dir = dir};
	return 0;
}

void kf_adjust_done(struct kf_adjust *adjust)
{
	struct kf_adjust_part *part = adjust->parts, *next;

	for (; part; part = next) {
		next = part->next;
		free(part->data);
		free(part);
	}
	free(adjust->launcher_dir);
	*adjust = (struct kf_adjust){0};
}

/* Whether @policy is one of the constant ones, so that its address identifies it. */
static bool is_builtin(const struct kf_seccomp *policy)
{
	for (int level = KF_SECCOMP_LEVEL_NONE; level <= KF_SECCOMP_LEVEL_RESTRICTED; level++)
		if (policy == kf_seccomp_builtin((enum kf_seccomp_level)level, KF_SECCOMP_ARCH))
			return true;
	return false;
}

/* Mount, environment and seccomp, encoded. */
static int encode(const struct kf_adjust *adjust, const struct kf_profile_info *profile,
		  const struct kf_seccomp *seccomp, struct kf_arena *arena, void **ret,
		  size_t *ret_n, struct kf_err *err)
{
	/* nodev, nosuid: nothing in there is either; rprivate: leaves the
	 * propagation of the container's root alone. */
	static char *options[] = {(char *)"ro", (char *)"rbind", (char *)"rprivate",
				  (char *)"nosuid", (char *)"nodev"};
	Nri__CreateContainerResponse response = NRI__CREATE_CONTAINER_RESPONSE__INIT;
	Nri__LinuxContainerAdjustment linux_adjust = NRI__LINUX_CONTAINER_ADJUSTMENT__INIT;
	Nri__ContainerAdjustment body = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__LinuxSeccomp policy;
	Nri__KeyValue env = NRI__KEY_VALUE__INIT, *envs[] = {&env};
	Nri__Mount mount = NRI__MOUNT__INIT, *mounts[] = {&mount};
	struct nri_error nerr;

	mount.destination = (char *)KF_LAUNCHER_DIR;
	mount.type = (char *)"bind";
	mount.source = adjust->launcher_dir;
	mount.options = options;
	mount.n_options = KF_ARRAY_SIZE(options);
	body.mounts = mounts;
	body.n_mounts = 1;
	env.key = (char *)KF_ENV_PROFILE;
	env.value = (char *)(uintptr_t)profile->name;
	body.env = envs;
	body.n_env = 1;
	if (seccomp) {
		if (kf_seccomp_to_message(seccomp, arena, &policy) < 0)
			return kf_fail_nomem(err, "seccomp policy");
		linux_adjust.seccomp_policy = &policy;
		body.linux_adjust = &linux_adjust;
	}
	response.adjust = &body;
	if (nri_encode(&response.base, ret, ret_n, &nerr) < 0)
		return kf_fail(err, ENOMEM, "%s", nerr.message);
	return 0;
}

/* A destination that is listed already; claimed twice it would conflict with itself. */
static bool seen_before(const struct kf_plan *plan, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(plan->remove_mounts[k], plan->remove_mounts[i]) == 0)
			return true;
	return false;
}

/* Args and the mounts to be taken away: different for every container. */
static int add_own_part(const struct kf_plan *plan, struct kf_arena *arena, struct nri_reply *reply,
			struct kf_err *err)
{
	Nri__CreateContainerResponse response = NRI__CREATE_CONTAINER_RESPONSE__INIT;
	Nri__ContainerAdjustment body = NRI__CONTAINER_ADJUSTMENT__INIT;
	size_t n = plan->nremove_mounts;
	Nri__Mount *mounts = kf_arena_calloc(arena, n, sizeof(*mounts));
	Nri__Mount **pointers = kf_arena_calloc(arena, n, sizeof(*pointers));

	if (!mounts || !pointers)
		return kf_fail_nomem(err, "mounts");
	for (size_t i = 0; i < n; i++) {
		if (seen_before(plan, i))
			continue;
		nri__mount__init(&mounts[i]);
		mounts[i].destination = kf_arena_printf(arena, "-%s", plan->remove_mounts[i]);
		if (!mounts[i].destination)
			return kf_fail_nomem(err, "mounts");
		pointers[body.n_mounts++] = &mounts[i];
	}
	body.mounts = pointers;
	/* A plain list: if another plugin sets args too, creation fails. */
	body.args = (char **)(uintptr_t)plan->args;
	body.n_args = plan->nargs;
	response.adjust = &body;
	nri_reply_add(reply, &response.base);
	return 0;
}

static struct kf_adjust_part *find_part(const struct kf_adjust *adjust, const struct kf_plan *plan)
{
	for (struct kf_adjust_part *part = adjust->parts; part; part = part->next)
		if (part->profile == plan->profile && part->seccomp == plan->seccomp)
			return part;
	return NULL;
}

int kf_adjust_reply(struct kf_adjust *adjust, const struct kf_plan *plan, struct kf_arena *arena,
		    struct nri_reply *reply, struct kf_err *err)
{
	struct kf_adjust_part *part = find_part(adjust, plan);
	KF_FREE void *data = NULL;
	size_t n;

	if (add_own_part(plan, arena, reply, err) < 0)
		return -1;
	if (part) {
		nri_reply_add_encoded(reply, part->data, part->n);
		return 0;
	}
	if (encode(adjust, plan->profile, plan->seccomp, arena, &data, &n, err) < 0)
		return -1;
	nri_reply_add_encoded(reply, data, n);
	/* Profiles times levels bound how many there are. */
	if (is_builtin(plan->seccomp)) {
		part = calloc(1, sizeof(*part));
		if (!part)
			return 0;
		*part = (struct kf_adjust_part){.next = adjust->parts,
						.profile = plan->profile,
						.seccomp = plan->seccomp,
						.data = KF_STEAL(data),
						.n = n};
		adjust->parts = part;
	}
	return 0;
}

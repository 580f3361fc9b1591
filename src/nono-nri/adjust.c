/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the answer that puts a container into the sandbox out of a plan: its own part, and a part
 * that is the same for all containers with the same seccomp policy, encoded once.  The messages
 * themselves are nri-plan/adjust.c's. */
#include "nono-nri/adjust.h"

#include "base/cleanup.h"
#include "nri-plan/adjust.h"
#include "nri-plan/errno.h"

#include <stdlib.h>
#include <string.h>

/* The constant part of the answers that set one seccomp policy. */
struct kf_adjust_part {
	struct kf_adjust_part *next;
	const struct kf_seccomp *seccomp; /* compared, never followed */
	bool with_errno;
	void *data;
	size_t n;
};

int kf_adjust_init(struct kf_adjust *adjust, const char *launcher, struct kf_err *err)
{
	char *dir = strndup(launcher, (size_t)(strrchr(launcher, '/') - launcher));

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

static int encode_part(const struct kf_adjust *adjust, const struct kf_seccomp *seccomp,
		       bool with_errno, struct kf_arena *arena, void **ret, size_t *ret_n,
		       struct kf_err *err)
{
	Nri__CreateContainerResponse response = NRI__CREATE_CONTAINER_RESPONSE__INIT;
	Nri__LinuxContainerAdjustment linux_adjust = NRI__LINUX_CONTAINER_ADJUSTMENT__INIT;
	Nri__ContainerAdjustment body = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__Mount mount, *mounts[] = {&mount};
	struct nri_error nerr;

	kf_nri_launcher_mount(adjust->launcher_dir, &mount);
	body.mounts = mounts;
	body.n_mounts = 1;
	if (seccomp) {
		if (!with_errno && kf_nri_seccomp_without_errno(seccomp, arena, &seccomp, err) < 0)
			return -1;
		if (kf_nri_seccomp_message(seccomp, arena, &linux_adjust.seccomp_policy, err) < 0)
			return -1;
		body.linux_adjust = &linux_adjust;
	}
	response.adjust = &body;
	if (nri_encode(&response.base, ret, ret_n, &nerr) < 0)
		return kf_fail(err, ENOMEM, "%s", nerr.message);
	return 0;
}

static int add_own_part(const struct kf_plan *plan, struct kf_arena *arena, struct nri_reply *reply,
			struct kf_err *err)
{
	Nri__CreateContainerResponse response = NRI__CREATE_CONTAINER_RESPONSE__INIT;

	if (kf_nri_adjust(plan, arena, &response.adjust, err) < 0)
		return -1;
	nri_reply_add(reply, &response.base);
	return 0;
}

int kf_adjust_reply(struct kf_adjust *adjust, const struct kf_plan *plan,
		    const struct nri_features *features, struct kf_arena *arena,
		    struct nri_reply *reply, struct kf_err *err)
{
	struct kf_adjust_part *part = adjust->parts;
	KF_FREE void *data = NULL;
	size_t n;

	if (add_own_part(plan, arena, reply, err) < 0)
		return -1;
	while (part &&
	       (part->seccomp != plan->seccomp || part->with_errno != features->seccomp_errno))
		part = part->next;
	if (part) {
		nri_reply_add_encoded(reply, part->data, part->n);
		return 0;
	}
	if (encode_part(adjust, plan->seccomp, features->seccomp_errno, arena, &data, &n, err) < 0)
		return -1;
	nri_reply_add_encoded(reply, data, n);
	/* What is built in or kept has an address that identifies it. */
	if (plan->intersected)
		return 0;
	part = calloc(1, sizeof(*part));
	if (!part)
		return 0;
	*part = (struct kf_adjust_part){.next = adjust->parts,
					.seccomp = plan->seccomp,
					.with_errno = features->seccomp_errno,
					.data = KF_STEAL(data),
					.n = n};
	adjust->parts = part;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What paths mean where a command ran: what the profile that is built on gives to them, which are
 * secrets, and how much there is below them. */
#ifndef KF_KUBEFENCE_LEARN_WORLD_H
#define KF_KUBEFENCE_LEARN_WORLD_H

#include "explain/explain.h"
#include "kubefence/profile/find.h"
#include "kubefence/try/run.h"
#include "learn/learn.h"

#define LEARN_MOUNTS 64

/* A directory of this machine, and where the container has it. */
struct learn_place {
	const char *at, *source;
};

struct learn_world {
	struct kf_profiles profiles; /* that of the base */
	struct kf_compiled base, secrets;
	struct kf_explain explain;
	struct kf_explain_mount mounts[LEARN_MOUNTS];
	struct learn_place places[LEARN_MOUNTS + 1]; /* the root last */
	size_t nplaces;
	struct kf_arena arena;
	bool udp_left; /* UDP ports were used that no profile can open on this kernel */
	const char *never[4];
	struct kf_learn_world vtable;
};

/* Compile the profile of @o, if it has one; KF_EXIT_OK or an exit code, which was reported. */
int learn_world_init(struct learn_world *world, const struct try_options *o);
void learn_world_done(struct learn_world *world);
/* The world of a container that has just ended. */
int learn_world_container(struct learn_world *world, const struct try_container *c,
			  struct kf_err *err);
/* One of which only this is known. */
void learn_world_plain(struct learn_world *world, uint32_t uid, const char *workdir,
		       const struct kf_option_list *env);
const struct kf_learn_world *learn_world_of(struct learn_world *world);

#endif

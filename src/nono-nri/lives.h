/* SPDX-License-Identifier: Apache-2.0 */
/* How long containers of ours live, where all of them have the guard: it keeps a record of each in
 * a directory until it is deleted.  So the runtime need not be asked to tell, which it could only
 * do for every container of the node, and would wait for the answer. */
#ifndef KF_NONO_NRI_LIVES_H
#define KF_NONO_NRI_LIVES_H

#include "base/err.h"
#include "nono-nri/record.h"

#define KF_GUARD_DIR "/run/kubefence/guard"

struct kf_lives;

/* Who is told.  @expect is called before the guard's news are looked at: what is to be taken has to
 * be taken by then.  @ended: the container is gone, and so is its record after the call. */
struct kf_lives_ops {
	void (*expect)(void *ctx);
	void (*ended)(void *ctx, const struct kf_life *record);
};

/* Watch the guard's directory @dir, which is made if it is not there. */
int kf_lives_new(struct event_base *base, const char *dir, const struct kf_lives_ops *ops,
		 void *ctx, struct kf_lives **ret, struct kf_err *err);
/* NULL is fine. */
void kf_lives_free(struct kf_lives *lives);
/* Whether the directory is still the one that is watched. */
bool kf_lives_told(const struct kf_lives *lives);

/* From now on @record, which becomes ours, is a container whose end is told by
 * @ended. */
void kf_lives_take(struct kf_lives *lives, struct kf_life *record);
/* Look at the whole directory: what came and went while nobody looked. */
void kf_lives_scan(struct kf_lives *lives);
/* Forget all: the next Synchronize tells what there is. */
void kf_lives_clear(struct kf_lives *lives);

#endif

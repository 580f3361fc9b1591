/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_SECCOMP_CACHE_H
#define KF_NONO_NRI_SECCOMP_CACHE_H

#include "base/arena.h"
#include "plan/plan.h"

/* Nearly all pods of a node ask for the same seccomp policy, the runtime's own. Its
 * intersection with ours takes ten times as long as everything else of an
 * answer, so the first few are kept.  Nothing is ever dropped: what is handed out
 * stays valid until kf_seccomp_cache_done(). */

#define KF_SECCOMP_CACHE_MAX 8

struct kf_seccomp_cache {
	struct kf_arena arena;
	struct {
		const struct kf_seccomp *pods;
		struct kf_seccomp_known known[KF_SECCOMP_LEVEL_RESTRICTED + 1];
		size_t nknown;
	} entries[KF_SECCOMP_CACHE_MAX];
	size_t n;
};

void kf_seccomp_cache_init(struct kf_seccomp_cache *cache);
void kf_seccomp_cache_done(struct kf_seccomp_cache *cache);
/* Tell @view what is known of its policy. */
void kf_seccomp_cache_find(const struct kf_seccomp_cache *cache, struct kf_view *view);
/* Keep what @plan had to work out for @view, if there is room. */
void kf_seccomp_cache_keep(struct kf_seccomp_cache *cache, const struct kf_view *view,
			   const struct kf_plan *plan);

#endif

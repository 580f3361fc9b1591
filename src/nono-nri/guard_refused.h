/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard says that it refused (config/refused.h), read when somebody asks for it. */
#ifndef KF_NONO_NRI_GUARD_REFUSED_H
#define KF_NONO_NRI_GUARD_REFUSED_H

#include "config/refused.h"

struct kf_guard_refused;

/* Called for each refusal that was not read before. */
typedef void kf_guard_refused_tell(void *ctx, const struct kf_refused *refused);

/* Begin at the end of what there is now in directory @dir: an earlier process counted that. */
struct kf_guard_refused *kf_guard_refused_new(const char *dir);
/* Read what was added, at most some 64 KiB of it. */
void kf_guard_refused_read(struct kf_guard_refused *reader, kf_guard_refused_tell *tell, void *ctx);
/* NULL is fine. */
void kf_guard_refused_free(struct kf_guard_refused *reader);

#endif

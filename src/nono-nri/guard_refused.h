/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard says that it refused (config/refused.h), read when somebody asks for it. */
#ifndef KF_NONO_NRI_GUARD_REFUSED_H
#define KF_NONO_NRI_GUARD_REFUSED_H

#include "base/calls.h"
#include "config/refused.h"

struct kf_guard_refused;

extern const struct kf_calls kf_guard_refused_calls;

/* Called once for each refusal.  @known: an earlier process has told it already, and it only says
 * which one is the same again. */
typedef void kf_guard_refused_tell(void *ctx, const struct kf_refused *refused, bool known);

/* Of what is in directory @dir.  How far it was read is kept in directory @state, which stays the
 * caller's; without it (negative), all that is there now is known. */
struct kf_guard_refused *kf_guard_refused_new(const char *dir, int state);
/* Read what was added, at most some 64 KiB of it; the first time, all that is there: the guard
 * keeps its last 256 to 512 KiB.  -1: all was read, but the next process will not know how far. */
int kf_guard_refused_read(struct kf_guard_refused *reader, kf_guard_refused_tell *tell, void *ctx,
			  struct kf_err *err);
/* NULL is fine. */
void kf_guard_refused_free(struct kf_guard_refused *reader);

#endif

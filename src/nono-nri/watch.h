/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_WATCH_H
#define KF_NONO_NRI_WATCH_H

#include "base/calls.h"
#include "base/err.h"

struct event_base;
struct kf_watch;

/* Also for further ones, while it runs. */
extern const struct kf_calls kf_watch_calls;

/* Call @changed a moment after the file @config or something in the directory
 * @profiles_dir (may be NULL) has changed; several changes in that moment are one.
 * Both may be in a ConfigMap, whose files change by the link "..data". */
int kf_watch_new(struct event_base *base, const char *config, const char *profiles_dir,
		 void (*changed)(void *ctx), void *ctx, struct kf_watch **ret, struct kf_err *err);
/* NULL is fine. */
void kf_watch_free(struct kf_watch *watch);

#endif

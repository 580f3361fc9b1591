/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that somebody else writes to. */
#ifndef KF_EVENT_WATCH_H
#define KF_EVENT_WATCH_H

#include "base/calls.h"
#include "base/err.h"

struct event_base;
struct kf_watch;

/* The system calls of a watch that exists, and those for making a new one. */
extern const struct kf_calls kf_watch_calls, kf_watch_new_calls;

/* Call @changed @quiet_ms milliseconds after the first change in what kf_watch_add() names.
 * Changes within that time count as one, since editors write, rename and change modes in quick
 * succession. */
int kf_watch_new(struct event_base *base, unsigned quiet_ms, void (*changed)(void *ctx), void *ctx,
		 struct kf_watch **ret, struct kf_err *err);
/* Watch the directory @path, too; may be called again for the same one.  With a @name (one for each
 * watch) only that file counts.  It may be a file of a ConfigMap, which changes by the link
 * "..data". */
int kf_watch_add(struct kf_watch *watch, const char *path, const char *name, struct kf_err *err);
/* NULL is fine. */
void kf_watch_free(struct kf_watch *watch);

#endif

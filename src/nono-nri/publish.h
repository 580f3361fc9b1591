/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_PUBLISH_H
#define KF_NONO_NRI_PUBLISH_H

#include "base/err.h"
#include "policy/settings.h"

#include <sys/types.h>

/* The process that writes the settings for the guard.  Landlock has no way to let the plugin
 * replace this file and not the guard's program, which lies below the same directory: so the
 * plugin may write neither, and this one, which does nothing else, replaces no other file. */
struct kf_publisher {
	const char *node_dir; /* the directory */
	int fd;		      /* to it; negative: it does not run */
	pid_t pid;
};

/* Start it, before this process is confined; it ends with this one, or with
 * kf_publisher_stop(). */
int kf_publisher_start(struct kf_publisher *publisher, struct kf_err *err);
void kf_publisher_stop(struct kf_publisher *publisher);
/* What it does to itself; exposed for tests. */
int kf_publisher_confine(const char *node_dir, struct kf_err *err);

/* Have @settings written to its directory's "settings", or write them while it does not run;
 * nothing happens when they are there already.  The guard refuses to create containers without
 * them. */
int kf_publish_settings(const struct kf_publisher *publisher, const struct kf_settings *settings,
			struct kf_err *err);

#endif

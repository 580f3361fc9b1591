/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_HELPER_H
#define KF_NONO_NRI_HELPER_H

#include "base/calls.h"
#include "base/err.h"
#include "event/child.h"
#include "plan/settings.h"

#include <stdbool.h>

/* The process that does two things for the plugin which Landlock cannot allow it alone.  To
 * replace the settings for the guard: the guard's program lies below the same directory.  To
 * connect to the runtime's NRI socket again: before ABI 9 whoever may connect to one socket may
 * connect to all, the runtime's own among them.  What it reads is a text that it copies and a
 * number; which file and which socket is settled when it is started. */
struct kf_helper {
	const char *node_dir; /* where the settings are; "" = nowhere */
	char *socket_path;
	struct kf_child child; /* without one this process does the work itself */
	bool ended;	       /* ... unless it had one: then nobody can do it any more */
};

/* Start it, before this process is confined; it ends with this one, or with kf_helper_stop(). */
int kf_helper_start(struct kf_helper *helper, struct kf_err *err);
void kf_helper_stop(struct kf_helper *helper);
/* Its end of the socket was closed, though this process did not stop it: say in *ret_why how it has
 * ended.  Once this process is confined, it cannot start another one. */
void kf_helper_lost(struct kf_helper *helper, struct kf_err *ret_why);
/* What it does to itself; exposed for tests. */
int kf_helper_confine(const struct kf_helper *helper, struct kf_err *err);
/* What the plugin needs to ask it. */
extern const struct kf_calls kf_helper_calls;

/* Have @settings written to its directory's "settings"; nothing happens when they are there
 * already.  The guard refuses to create containers without them. */
int kf_publish_settings(const struct kf_helper *helper, const struct kf_settings *settings,
			struct kf_err *err);
/* Connect to the NRI socket; the descriptor, in *ret_fd, is the caller's. */
int kf_helper_connect(const struct kf_helper *helper, int *ret_fd, struct kf_err *err);

#endif

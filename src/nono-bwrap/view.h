/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BWRAP_VIEW_H
#define KF_BWRAP_VIEW_H

#include "base/err.h"
#include "flat/flat.h"
#include "nono-bwrap/options.h"

/* What a process is to enter. */
struct kf_bwrap_view {
	struct kf_policy policy;
	bool hides; /* directories above what the caller hides must not be listed, as
		       kf_enter.unlisted */
};

/* Turn what @b asks for into a policy for this process, which will become the program.  It grants
 * nothing that bubblewrap would not have granted; what it cannot say is an error.  Rules and paths
 * are never freed: an execve(2) follows. */
int kf_bwrap_view_make(const struct kf_bwrap *b, struct kf_bwrap_view *ret, struct kf_err *err);

/* Whether anything of @path can be seen. */
bool kf_bwrap_view_shows(const struct kf_bwrap_view *view, const char *path);

#endif

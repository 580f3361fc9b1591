/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PLAN_PATHS_H
#define KF_PLAN_PATHS_H

#include "base/err.h"
#include "plan/view.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Which paths a container may bring. runc, crun and the agent in a virtual machine each read a path
 * in their own way, so only spellings are accepted that all of them must read alike.  And nothing
 * may be mounted over what the launcher is started from or reads. */

enum kf_path_use {
	KF_PATH_MOUNT,	  /* mounts[].destination */
	KF_PATH_DEVICE,	  /* linux.devices[].path */
	KF_PATH_MASKED,	  /* linux.maskedPaths[] */
	KF_PATH_READONLY, /* linux.readonlyPaths[] */
};

/* Files below /proc, "NAME" or "DIR/NAME", that may be mounted over (lxcfs, FIPS mode): those that
 * runc accepts, without net/dev, which a symlink leads to.  NULL-terminated.  The chart's admission
 * policy has the same list; tests/chart compares them. */
extern const char *const kf_plan_proc_files[];

/* Check @path and write it into @ret_clean without doubled slashes, "." and a slash at its end.
 * Refused, with a reason in *err: relative paths, "..", "/", paths that do not fit.  Below /proc a
 * mount may only be at one of kf_plan_proc_files, a device nowhere, and the other uses must not
 * hide from the launcher what it reads of itself.  A mount at /proc itself is left to the caller:
 * see kf_plan_proc_mount_is_proc(). */
int kf_plan_path_check(enum kf_path_use use, const char *path, char ret_clean[static PATH_MAX],
		       struct kf_err *err);

/* Whether @mount, which is for /proc, puts a procfs there: a new one or the host's. */
bool kf_plan_proc_mount_is_proc(const struct kf_view_mount *mount);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PLAN_PATHS_H
#define KF_PLAN_PATHS_H

#include "base/err.h"
#include "plan/view.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Which paths a container may bring, where whoever puts something there - runc, crun, the
 * agent in a virtual machine - reads the path in its own way.  So only such spellings are
 * let in that all of them must read alike, and nothing may come to lie over what the
 * launcher is reached by or reads. */

enum kf_path_use {
	KF_PATH_MOUNT,	  /* mounts[].destination */
	KF_PATH_DEVICE,	  /* linux.devices[].path */
	KF_PATH_MASKED,	  /* linux.maskedPaths[] */
	KF_PATH_READONLY, /* linux.readonlyPaths[] */
};

/* Files below /proc, "NAME" or "DIR/NAME", that may be mounted over (lxcfs, FIPS mode);
 * what runc lets be, less net/dev, to which a symlink leads.  NULL-terminated.  The
 * chart's admission policy has the same list: tests/chart compares. */
extern const char *const kf_proc_files[];

/* Check @path, and write it without doubled slashes, "." and a slash at its end into
 * @ret_clean.  Refused, with a reason in *err: relative ones, "..", "/", what does not fit;
 * below /proc all but kf_proc_files for mounts, everything for devices, and for the
 * others what could hide from the launcher what it reads of itself.  A mount at /proc
 * itself is the caller's to judge, see kf_proc_mount_is_proc(). */
int kf_path_check(enum kf_path_use use, const char *path, char ret_clean[static PATH_MAX],
		  struct kf_err *err);

/* Whether @mount, which is for /proc, puts a procfs there: a new one or the host's. */
bool kf_proc_mount_is_proc(const struct kf_view_mount *mount);

#endif

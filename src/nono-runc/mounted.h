/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GUARD_MOUNTED_H
#define KF_GUARD_MOUNTED_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>

#define KF_GUARD_MOUNTS "/proc/self/mountinfo"

/* A mount, as a line of that table has it; the words lie in the line. */
struct kf_guard_mount {
	int id;
	const char *device, *root, *point;
};

/* Split @line, which is changed. */
int kf_guard_mount_split(char *line, struct kf_guard_mount *ret, struct kf_err *err);

/* Where something lies in its file system, by whatever path and mount it is reached: two that are
 * in one tree are the same volume, or parts of it. */
struct kf_guard_mounted {
	char device[32]; /* MAJOR:MINOR as mountinfo has it, one for all subvolumes of btrfs */
	char path[PATH_MAX];
};

/* Of what is at @path; symlinks are followed.  -1 and *err; ENOENT: nothing is there. */
int kf_guard_mounted(const char *path, struct kf_guard_mounted *ret, struct kf_err *err);

/* *ret: what is at @path, or mounted below it, is @with, lies in that, or has that in it. */
int kf_guard_mounted_shares(const char *path, const struct kf_guard_mounted *with, bool *ret,
			    struct kf_err *err);

#endif

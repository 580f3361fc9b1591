/* SPDX-License-Identifier: Apache-2.0 */
/* The paths in a container that a profile's denials and read-only rules stand for. */
#ifndef KF_OCI_MASK_H
#define KF_OCI_MASK_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/view.h"
#include "plan/settings.h"

#include <stddef.h>

/* The paths to mask so that @profile's denials hold in @oci's container: clean and absolute,
 * variables replaced.  "~" stands for every directory that the launcher or a program could take for
 * the home: each HOME of the environment, and the directory that /etc/passwd below @rootfs_fd (-1:
 * unknown) names for the user.  The array lives in oci->arena.  A denial that becomes "/", or whose
 * variable has no known value, is an error. */
int kf_oci_masks(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		 const char *const **ret, size_t *ret_n, struct kf_err *err);

/* A path that "fs readonly" stands for. */
struct kf_oci_readonly {
	const char *path;
	bool directory; /* whether to make a directory if nothing is there */
	bool workdir;	/* written with $WORKDIR */
};

/* The same for @profile's "fs readonly".  A rule whose variable stands for "/" is left out: then
 * nothing grants writing there.  A rule with $WORKDIR is left out if that is a home: the settings
 * of a project are read-only, but those in a home are the agent's own state. */
int kf_oci_readonly(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		    struct kf_oci_readonly **ret, size_t *ret_n, struct kf_err *err);

/* The home directory of @uid according to etc/passwd below @rootfs_fd.  An enemy may have made that
 * root: symlinks stay inside it, size and type of the file are checked.  "" if the file does not
 * exist or does not name @uid; a file that cannot be read is an error. */
int kf_oci_passwd_home(int rootfs_fd, long uid, struct kf_arena *arena, const char **ret,
		       struct kf_err *err);

#endif

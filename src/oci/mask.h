/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OCI_MASK_H
#define KF_OCI_MASK_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/view.h"
#include "plan/settings.h"

#include <stddef.h>

/* Paths to mask so that @profile's denials hold in @oci's container: clean and
 * absolute, variables expanded.  "~" stands for every place that the launcher or
 * a program could take for the home directory: each HOME of the environment and
 * the directory that /etc/passwd below @rootfs_fd (-1: unknown) gives the user.
 * The array lives in oci->arena.  A denial that comes out as "/" is an error, and so is one that
 * stands for nobody knows what. */
int kf_oci_masks(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		 const char *const **ret, size_t *ret_n, struct kf_err *err);

/* A path that "fs readonly" stands for. */
struct kf_oci_readonly {
	const char *path;
	bool directory; /* what to take it for if there is nothing */
	bool workdir;	/* written with $WORKDIR */
};

/* The same for @profile's "fs readonly".  Where a variable stands for "/" it is left
 * out: then nothing grants writing there.  So is what is written with $WORKDIR if that
 * is a home directory: a project's settings for an agent are a home's state. */
int kf_oci_readonly(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		    struct kf_oci_readonly **ret, size_t *ret_n, struct kf_err *err);

/* Home directory of @uid by etc/passwd below @rootfs_fd, which may be an enemy's:
 * symlinks stay inside, size and type are checked.  "" if the file is not there or does not know
 * @uid; one that is there and cannot be read is an error. */
int kf_oci_passwd_home(int rootfs_fd, long uid, struct kf_arena *arena, const char **ret,
		       struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the changes of a pod to a reviewed volume are kept, and what is noted about them. */
#ifndef KF_REVIEW_PLACE_H
#define KF_REVIEW_PLACE_H

#include "base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* KF_REVIEW_DIR/UID/VOLUME has these; all of it is root's alone:
 *
 *	info	what follows, one "key value" a line
 *	store/	"upper" and "work" of the overlay; a tmpfs
 *	discard	if the changes go as soon as no container uses them
 *	frozen	while a commit runs: the cgroups in which it stopped processes
 *
 * A reboot takes KF_REVIEW_RUN/UID/VOLUME away, with the containers:
 *
 *	merged/	the overlay
 *	users/	a file for each container that has it, named like the guard's
 *		record of it; it holds the path of the container's bundle
 */
#define KF_REVIEW_DIR	 "/var/lib/kubefence/review"
#define KF_REVIEW_RUN	 "/run/kubefence/review"

#define KF_REVIEW_INFO	 "info"
#define KF_REVIEW_STORE	 "store"
#define KF_REVIEW_UPPER	 "store/upper"
#define KF_REVIEW_WORK	 "store/work"
#define KF_REVIEW_DROP	 "discard"
#define KF_REVIEW_FROZEN "frozen"
#define KF_REVIEW_NAME	 63 /* of a volume, or a pod's UID */

struct kf_review_info {
	const char *uid, *volume; /* the key */
	const char *namespace_, *pod;
	const char *lower;	     /* the volume's directory */
	unsigned long long dev, ino; /* of that */
	bool ends_with_pod; /* an emptyDir: nothing can be committed once the pod is gone */
	char *text;	    /* owned; what the strings point into */
};

/* Whether @name can be a volume's name or a pod's UID, and so a directory's. */
bool kf_review_name_valid(const char *name);

/* "KF_REVIEW_RUN/UID/VOLUME/merged" */
void kf_review_merged(const char *uid, const char *volume, char ret[static PATH_MAX]);

/* Open KF_REVIEW_DIR/UID/VOLUME and wait for whoever works on it; nobody else does until the
 * descriptor is closed.  @make: make it if it is not there, else ENOENT. */
int kf_review_lock(const char *uid, const char *volume, bool make, int *ret_fd, struct kf_err *err);

int kf_review_info_write(int dirfd, const struct kf_review_info *info, struct kf_err *err);
/* @uid and @volume are borrowed.  ENOENT: nothing is noted. */
int kf_review_info_read(int dirfd, const char *uid, const char *volume, struct kf_review_info *ret,
			struct kf_err *err);
void kf_review_info_done(struct kf_review_info *info);

/* Call @found with each pair UID, VOLUME that there is, in no order; -1 as soon as it returns that.
 */
int kf_review_each(int (*found)(void *ctx, const char *uid, const char *volume, struct kf_err *err),
		   void *ctx, struct kf_err *err);

#endif

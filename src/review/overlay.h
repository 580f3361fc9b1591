/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay of a reviewed volume: mounted for the first container that has it, unmounted with the
 * last one. */
#ifndef KF_REVIEW_OVERLAY_H
#define KF_REVIEW_OVERLAY_H

#include "review/place.h"
#include "review/store.h"

struct kf_review_attach {
	const char *uid, *volume, *namespace_, *pod;
	const char *source; /* the volume's directory; NULL: where it was noted to be */
	bool ends_with_pod;
	unsigned size;	    /* MiB that changes may take */
	const char *user;   /* the container's name in users/ */
	const char *bundle; /* its bundle: there before the container, and as long as it */
};

/* Mount the overlay unless it is, and remember the container.  What the container is to see instead
 * of @source is kf_review_merged().  Refuses, with a reason, what cannot be the lower part of one.
 */
int kf_review_attach(const struct kf_review_attach *attach, struct kf_err *err);

/* The container @user is gone, or will not be: forget it, and unmount what it was the last to use.
 * Changes stay, unless there are none or they were to be discarded. */
void kf_review_release(const char *user);

/* Forget what pods changed in an emptyDir that has ended with them. */
void kf_review_collect(void);

/* Let the container's processes go on if a commit, which was killed, has stopped them.  Does not
 * wait for one that works. */
void kf_review_wake(const char *user);

/* With the lock: whether the overlay is mounted, and its device. */
int kf_review_mounted(const char *uid, const char *volume, bool *ret, unsigned long long *ret_dev,
		      struct kf_err *err);

/* With the lock: unmount the overlay if no container has it any more. */
int kf_review_settle(int dirfd, const char *uid, const char *volume, struct kf_err *err);

/* With the lock on @dirfd: drop the changes and all that is noted, unless a container has the
 * overlay (EBUSY). */
int kf_review_drop(int dirfd, const char *uid, const char *volume, struct kf_err *err);

/* Let processes go on that a commit, which came to no end, has stopped. */
int kf_review_thaw(int dirfd, struct kf_err *err);

#endif

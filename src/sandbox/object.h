/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_OBJECT_H
#define KF_SANDBOX_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Which object of a file system something is: no two that exist at the same time are equal.  What
 * a Landlock rule is about is kept in memory, so its number is not given to another one while a
 * process of the domain lives.  The time of birth is no part of it: overlayfs gives a directory
 * another one when something is first written there. */
struct kf_object_id {
	uint64_t dev, ino;
};

struct kf_object {
	struct kf_object_id id;
	bool mount_root;       /* of a mount */
	bool mount_root_known; /* Linux 5.8 */
	uint64_t mount;	       /* unique id of the mount (Linux 6.8); 0 if the kernel has none */
};

/* What @path below @dirfd is; it is not followed if it is a symlink.  "" is @dirfd itself.
 * 0, or -1 with errno. */
int kf_object_at(int dirfd, const char *path, struct kf_object *ret);

bool kf_object_same(const struct kf_object_id *a, const struct kf_object_id *b);

#endif

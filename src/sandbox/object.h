/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_OBJECT_H
#define KF_SANDBOX_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* The identity of a file-system object: no two objects that exist at the same time have the same.
 * The kernel keeps an object of a Landlock rule in memory, so its number is not used again while a
 * process of the domain lives.  The time of birth is not part of it, since overlayfs gives a
 * directory another one when something is first written there. */
struct kf_object_id {
	uint64_t dev, ino;
};

struct kf_object {
	struct kf_object_id id;
	bool mount_root;       /* of a mount */
	bool mount_root_known; /* Linux 5.8 */
	uint64_t mount;	       /* unique id of the mount (Linux 6.8); 0 if the kernel has none */
};

/* Look at @path below @dirfd, without following it if it is a symlink.  "" is @dirfd itself. 0, or
 * -1 with errno. */
int kf_object_at(int dirfd, const char *path, struct kf_object *ret);

bool kf_object_same(const struct kf_object_id *a, const struct kf_object_id *b);

#endif

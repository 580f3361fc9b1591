/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_OBJECT_H
#define KF_SANDBOX_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Which object of a file system something is: no two that exist at the same time are equal, and
 * none that replaces another is equal to it where the file system tells when it was made. */
struct kf_object_id {
	uint64_t dev, ino;
	uint64_t birth; /* ns since the epoch; 0 where it does not tell */
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

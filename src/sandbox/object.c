/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of file-system objects, from statx(2).  It is used to recognise an object of the
 * domain file (domain.c) again. */
#include "sandbox/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface (include/uapi/linux/stat.h), for which the launcher's headers are too
 * old. */
#define EMPTY_PATH	    0x1000
#define NO_AUTOMOUNT	    0x800
#define DONT_SYNC	    0x4000
#define SYMLINK_NOFOLLOW    0x100
#define MASK_INO	    0x100
#define MASK_MOUNT_UNIQUE   0x4000
#define ATTRIBUTE_MOUNTROOT 0x2000

struct status {
	uint32_t mask, spare0;
	uint64_t attributes, spare1[2];
	uint64_t ino, spare2[2];
	uint64_t attributes_mask, spare3[2];
	uint64_t spare4[7];
	uint32_t dev_major, dev_minor;
	uint64_t mount, spare5[13];
};
_Static_assert(offsetof(struct status, ino) == 0x20, "layout");
_Static_assert(offsetof(struct status, attributes_mask) == 0x38, "layout");
_Static_assert(offsetof(struct status, dev_major) == 0x88, "layout");
_Static_assert(offsetof(struct status, mount) == 0x90, "layout");
_Static_assert(sizeof(struct status) == 256, "layout");

int kf_object_at(int dirfd, const char *path, struct kf_object *ret)
{
	struct status st = {0}; /* zeroes, for when a filter answers and not the kernel */
	/* What is asked for never changes, and whoever serves the file system may not answer: a
	 * probe of a container has to run all the same. */
	int flags = NO_AUTOMOUNT | SYMLINK_NOFOLLOW | DONT_SYNC | (*path ? 0 : EMPTY_PATH);

	if (syscall(SYS_statx, dirfd, path, flags, MASK_INO | MASK_MOUNT_UNIQUE, &st) < 0)
		return -1;
	if (!(st.mask & MASK_INO)) {
		errno = EIO;
		return -1;
	}
	*ret = (struct kf_object){
		.id = {.dev = (uint64_t)st.dev_major << 32 | st.dev_minor, .ino = st.ino},
		.mount_root = st.attributes & ATTRIBUTE_MOUNTROOT,
		.mount_root_known = st.attributes_mask & ATTRIBUTE_MOUNTROOT,
	};
	if (st.mask & MASK_MOUNT_UNIQUE)
		ret->mount = st.mount;
	return 0;
}

bool kf_object_same(const struct kf_object_id *a, const struct kf_object_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

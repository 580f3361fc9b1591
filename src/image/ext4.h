/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_IMAGE_EXT4_H
#define KF_IMAGE_EXT4_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An ext4 file system within a file, read and written by libext2fs: no mount, no
 * loop device.  Nothing depends on the clock, so the same input gives the same bytes. */
struct kf_ext4;

/* Open the file system at @offset of the file @fd, at most @size bytes; @name is for messages.
 * Refused are file systems that need recovery or repair and, if @write, those that are read-only or
 * have features that this code does not keep consistent. */
int kf_ext4_open(int fd, const char *name, uint64_t offset, uint64_t size, bool write,
		 struct kf_ext4 **ret, struct kf_err *err);

/* Walk all inodes and check that each block in use belongs to one of them and is marked as used,
 * and that no other block is.  So a write cannot overwrite other data. */
int kf_ext4_check(struct kf_ext4 *e, struct kf_err *err);

/* Put a file of root's with exactly these contents at absolute @path, replacing a file or symbolic
 * link there; missing directories are made, 0755.  Nothing is written if it is there already.  No
 * symbolic link is followed. */
int kf_ext4_put(struct kf_ext4 *e, const char *path, const void *data, size_t n, mode_t mode,
		struct kf_err *err);

/* Whether exactly this file is there.  *ret_inode is its number. */
int kf_ext4_exists(struct kf_ext4 *e, const char *path, const void *data, size_t n, mode_t mode,
		   bool *ret, unsigned *ret_inode, struct kf_err *err);

/* The contents of file @path, of at most @max bytes, NUL-terminated, the caller's; symbolic links
 * are followed within the image.  err->code is ENOENT if there is none. */
int kf_ext4_read(struct kf_ext4 *e, const char *path, size_t max, char **ret, struct kf_err *err);

/* Write everything out and close.  @e is released in any case. */
int kf_ext4_close(struct kf_ext4 *e, struct kf_err *err);
/* Close without writing out; NULL is fine.  Files that were put may or may not be there. */
void kf_ext4_done(struct kf_ext4 *e);

#endif

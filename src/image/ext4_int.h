/* SPDX-License-Identifier: Apache-2.0 */
/* What ext4.c, ext4_check.c and boot.c share. */
#ifndef KF_IMAGE_EXT4_INT_H
#define KF_IMAGE_EXT4_INT_H

#include "image/ext4.h"

#include <ext2fs/ext2fs.h>

struct kf_ext4 {
	ext2_filsys fs;
	const char *name;
};

/* Fails with the text of libext2fs's @code for "@what PATH". */
int kf_ext4_fail(const struct kf_ext4 *e, errcode_t code, const char *what, struct kf_err *err);

/* The inode of @path, of what it leads to if @follow; *ret_ino is 0 if there is none. */
int kf_ext4_inode(struct kf_ext4 *e, const char *path, bool follow, unsigned *ret_ino,
		  struct ext2_inode *ret, struct kf_err *err);

#endif

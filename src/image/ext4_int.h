/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_IMAGE_EXT4_INT_H
#define KF_IMAGE_EXT4_INT_H

#include "image/ext4.h"

#include <ext2fs/ext2fs.h>

struct kf_ext4 {
	ext2_filsys fs;
	const char *name;
};

/* -1 with what libext2fs's @code means for "@what PATH". */
int kf_ext4_fail(const struct kf_ext4 *e, errcode_t code, const char *what, struct kf_err *err);

#endif

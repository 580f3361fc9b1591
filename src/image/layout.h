/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_IMAGE_LAYOUT_H
#define KF_IMAGE_LAYOUT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Where in a disk image its ext4 root file system lies. */
struct kf_image_layout {
	uint64_t offset, size; /* bytes */
	unsigned partition;    /* from 1; 0: the image is the file system */
	/* A partition with its hashes (dm-verity), which do not fit any more once it is changed;
	 * no size: there is none. */
	uint64_t hash_offset, hash_size;
};

/* Find the only ext4 file system of the image @fd (@name for messages): bare, or in an MBR or GPT
 * partition.  Refused with advice are images that are measured (dm-verity), since a change would
 * make them useless, unless they may be @measured and the hashes are in the only other partition;
 * and images with contents that are not understood. */
int kf_image_find_rootfs(int fd, const char *name, bool measured, struct kf_image_layout *ret,
			 struct kf_err *err);

/* Find the ext4 file system in partition 1 of the table at byte @base, which is the one that Kata's
 * kernel command line names.  What else is in the image does not matter. */
int kf_image_find_first(int fd, const char *name, uint64_t base, struct kf_image_layout *ret,
			struct kf_err *err);

#endif

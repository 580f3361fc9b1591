/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Kata can boot an image of a guest's root file system. */
#ifndef KF_IMAGE_BOOT_H
#define KF_IMAGE_BOOT_H

#include "base/err.h"

/* How Kata gives the image to the guest's kernel. */
#define KF_IMAGE_BLOCK	1u /* virtio-blk: root=/dev/vda1 */
#define KF_IMAGE_NVDIMM 2u /* root=/dev/pmem0p1 rootflags=dax,... */

/* Check that a guest boots the image @fd (@name for messages) under Kata's own command line, which
 * has data=ordered, ro and systemd.unit=kata-containers.target, in each of the ways @how, and that
 * the agent can write its log of the policy.  Only ext4 is understood; a signature (dm-verity) is
 * not looked at. */
int kf_image_check_boot(int fd, const char *name, unsigned how, struct kf_err *err);

#endif

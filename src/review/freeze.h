/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping a pod's processes while its changes are committed. */
#ifndef KF_REVIEW_FREEZE_H
#define KF_REVIEW_FREEZE_H

#include "base/err.h"

/* Stop all processes of the pod @uid, or where no cgroup is called like it of the containers that
 * have the overlay, and note in @dirfd how kf_review_thaw() lets them go on.  Refuses if another
 * process has the overlay @dev mounted as well. */
int kf_review_freeze(int dirfd, const char *uid, const char *volume, unsigned long long dev,
		     struct kf_err *err);

#endif

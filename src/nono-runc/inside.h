/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is shown of its sandbox, in /nono: the launcher, for "nono why", the policy
 * in force with what its variables stand for, and the node's profiles. */
#ifndef KF_NONO_RUNC_INSIDE_H
#define KF_NONO_RUNC_INSIDE_H

#include "base/err.h"
#include "nono-runc/profiles.h"
#include "oci/view.h"

/* Take mounts that an earlier kf_inside_prepare() added for this bundle out of @oci's view. */
void kf_inside_forget(struct kf_oci *oci, const char *bundle, const char *launcher);

/* Make the files in @bundle, and have kf_oci_apply() mount them.  Nothing is shown where the
 * image has something else at /nono, or the runtime could not make a directory there. */
int kf_inside_prepare(struct kf_oci *oci, int rootfs, const char *bundle, const char *launcher,
		      const struct kf_profile_text *policy, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_LAUNCH_H
#define KF_NONO_RUNC_LAUNCH_H

#include "base/err.h"

/* What a launcher is given besides itself, in the order of the descriptors. */
enum { KF_LAUNCH_DOMAIN, KF_LAUNCH_OUTCOME, KF_LAUNCH_GIVEN };
#define KF_LAUNCH_FDS (1 + KF_LAUNCH_GIVEN)

/* Make descriptor @first a sealed copy of the launcher at @launcher (trusted:
 * kf_file_open_trusted()) and those after it the container's domain file and the writing end of
 * outcome.h, both of @given, which are consumed; all are inherited over exec, and whatever was
 * open there is closed.  Sealed, so that nothing can change what runs, whoever gets at it through
 * /proc.  @label: SELinux label of the container's files, "" for none; setting it must succeed
 * where SELinux is on. */
int kf_launch_install(const char *launcher, const int given[static KF_LAUNCH_GIVEN],
		      const char *label, int first, struct kf_err *err);

/* Give @fd the SELinux label @label, as above. */
int kf_launch_label(int fd, const char *label, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_LAUNCH_H
#define KF_NONO_RUNC_LAUNCH_H

#include "base/err.h"

/* Make descriptor @first a sealed copy of the launcher at @launcher (trusted:
 * kf_file_open_trusted()) and @first + 1 the container's domain file @domain, which is
 * consumed, both inherited over exec; whatever was open there is closed.  Sealed, so that
 * nothing can change what runs, whoever gets at it through /proc.  @label: SELinux label of the
 * container's files, "" for none; setting it must succeed where SELinux is on. */
int kf_launch_install(const char *launcher, int domain, const char *label, int first,
		      struct kf_err *err);

/* Give @fd the SELinux label @label, as above. */
int kf_launch_label(int fd, const char *label, struct kf_err *err);

#endif

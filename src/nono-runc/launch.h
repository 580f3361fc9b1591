/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_LAUNCH_H
#define KF_NONO_RUNC_LAUNCH_H

#include "base/err.h"

#include <stddef.h>

/* Make descriptor @first a sealed copy of the launcher at @launcher (trusted:
 * kf_file_open_trusted()) and @first + 1 one of the policy, both inherited over
 * exec; whatever was open there is closed.  Sealed, so that nothing can change
 * what runs, whoever gets at it through /proc.  @label: SELinux label of the
 * container's files, "" for none; setting it must succeed where SELinux is on. */
int kf_launch_install(const char *launcher, const char *policy, size_t npolicy, const char *label,
		      int first, struct kf_err *err);

#endif

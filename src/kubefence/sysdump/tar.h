/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_SYSDUMP_TAR_H
#define KF_KUBEFENCE_SYSDUMP_TAR_H

#include "base/err.h"

#include <stddef.h>

/* Append a file @name of @n bytes to the tar archive on @fd; @name has at most 99 bytes. */
int kf_tar_add(int fd, const char *name, const char *data, size_t n, struct kf_err *err);
/* The archive is complete. */
int kf_tar_end(int fd, struct kf_err *err);

#endif

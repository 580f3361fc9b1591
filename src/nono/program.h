/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_PROGRAM_H
#define KF_NONO_PROGRAM_H

#include "base/err.h"

#include <limits.h>

/* Find @name as the container runtime would have: with a '/' it is a path, else
 * it is looked up in PATH, whose relative elements do not count.  @self_dir, the
 * launcher's own directory, is passed over: a wrapper there must not call itself.
 * *ret is @name or never freed. */
int kf_nono_program_find(const char *name, const char *self_dir, const char **ret,
			 struct kf_err *err);

#endif

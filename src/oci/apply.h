/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a bundle's JSON as the plan says. */
#ifndef KF_OCI_APPLY_H
#define KF_OCI_APPLY_H

#include "base/err.h"
#include "oci/view.h"
#include "plan/plan.h"

#include <stddef.h>

/* Carry out @plan (KF_SANDBOX) on @oci's JSON.  Set process.args, NONO_PROFILE in process.env and
 * process.noNewPrivileges.  In a config.json also:
 * - remove the plan's mounts, mount what @oci says is inside at /nono, and put /proc behind all
 *   others;
 * - clean the paths that the plan has checked;
 * - add the @nmasks paths @masks to linux.maskedPaths, and the kernel's own files of /proc to
 *   linux.readonlyPaths if that is not empty;
 * - set linux.seccomp if the plan has a policy, or remove it if @oci says that the launcher
 *   installs it.
 * Everything else stays as it was, including numbers and order.  The view is stale afterwards.  On
 * failure (out of memory) the JSON is half changed: throw it away. */
int kf_oci_apply(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
		 size_t nmasks, struct kf_err *err);

/* Let the runtime run the host program @path with @args as the last createContainer hook: in the
 * container's mount namespace, when everything is mounted and the host is still visible. */
int kf_oci_add_hook(struct kf_oci *oci, const char *path, const char *const *args, size_t nargs,
		    struct kf_err *err);

/* The file to write: borrowed from @oci, *ret_n bytes; NULL if out of memory. */
const char *kf_oci_text(struct kf_oci *oci, size_t *ret_n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OCI_APPLY_H
#define KF_OCI_APPLY_H

#include "base/err.h"
#include "oci/view.h"
#include "plan/plan.h"

#include <stddef.h>

/* Carry out @plan (KF_SANDBOX) on @oci's JSON: process.args, NONO_PROFILE in
 * process.env, process.noNewPrivileges; in a config.json also: the plan's mounts
 * taken away, what @oci says is inside mounted at /nono, and /proc after all others, the paths that
 * the plan judged written clean, the @nmasks paths @masks added to linux.maskedPaths, what else of
 * /proc is the kernel's own to linux.readonlyPaths if there are any, linux.seccomp if the plan has
 * one, or taken out if @oci says that the launcher installs it.  All else stays as it was,
 * numbers and order included. The view is stale afterwards.  On failure (out of memory) the
 * JSON is half changed: throw it away. */
int kf_oci_apply(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
		 size_t nmasks, struct kf_err *err);

/* Have the runtime run host program @path with @args, last of all createContainer
 * hooks: in the container's mount namespace, when everything is mounted and the host
 * can still be seen. */
int kf_oci_add_hook(struct kf_oci *oci, const char *path, const char *const *args, size_t nargs,
		    struct kf_err *err);

/* The file to write: borrowed from @oci, *ret_n bytes. */
const char *kf_oci_text(struct kf_oci *oci, size_t *ret_n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OCI_BUNDLE_H
#define KF_OCI_BUNDLE_H

#include "base/err.h"

#include <stddef.h>

/* Files of a bundle on disk. */

/* A config.json or process file that is to be replaced. */
struct kf_oci_file {
	int dirfd;	/* owned; the directory it lies in */
	char name[256]; /* within it */
	char *text;	/* owned, NUL-terminated */
	size_t n;
	unsigned mode, uid, gid;
};

/* Read file @name in directory @dir (opened with symlinks followed: /var/run is
 * one), itself not a symlink, at most KF_LIMIT_OCI_JSON bytes. */
int kf_oci_file_read(const char *dir, const char *name, struct kf_oci_file *ret,
		     struct kf_err *err);
/* Put the @n bytes @text in its place by rename, with the same owner and mode.
 * Not synced: what a crash leaves of a bundle is of no use to anybody. */
int kf_oci_file_replace(const struct kf_oci_file *file, const char *text, size_t n,
			struct kf_err *err);
void kf_oci_file_done(struct kf_oci_file *file);

#endif

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

/* Read file @name in directory @dir, at most KF_LIMIT_OCI_JSON bytes.  The file must not be a
 * symlink; the way to @dir may be one, as /var/run is. */
int kf_oci_file_read(const char *dir, const char *name, struct kf_oci_file *ret,
		     struct kf_err *err);
/* Replace the file by the @n bytes at @text, with rename, keeping owner and mode.  NULL: there was
 * no memory for it, which is told.  Not synced: a
 * bundle is of no use after a crash. */
int kf_oci_file_replace(const struct kf_oci_file *file, const char *text, size_t n,
			struct kf_err *err);
void kf_oci_file_done(struct kf_oci_file *file);

#endif

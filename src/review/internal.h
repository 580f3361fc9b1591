/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of src/review share: opening, comparing and copying single files. */
#ifndef KF_REVIEW_INTERNAL_H
#define KF_REVIEW_INTERNAL_H

#include "review/changes.h"

#include <limits.h>

#define KF_REVIEW_OPAQUE "trusted.overlay.opaque"

/* Open @path below @root, "" for itself, with @flags and O_CLOEXEC: no symlink on the way or at its
 * end, no mount, never out of @root.  -1 and errno. */
int kf_review_open(int root, const char *path, int flags);
/* Open the directory of @path; *ret_name is what follows in @path. */
int kf_review_open_parent(int root, const char *path, int flags, const char **ret_name);
/* Open regular file @name for reading: what is no file is not even opened, since opening a device
 * or a FIFO may do something.  *ret_st is what was opened; EINVAL if it is none. */
int kf_review_open_file(int dir, const char *name, struct stat *ret_st, struct kf_err *err);

/* Hash of a file's data that does not depend on its holes. */
int kf_review_content(int fd, char ret[static KF_SHA256_HEX + 1], struct kf_err *err);
/* Copy @from's data to the empty file @to, with its holes; *ret is the hash of what was copied. */
int kf_review_copy(int from, int to, char ret[static KF_SHA256_HEX + 1], struct kf_err *err);
/* The target of the symlink @name; -1 and errno. */
int kf_review_link(int dir, const char *name, char ret[static PATH_MAX]);

/* Hash over the extended attributes of @fd that a commit copies; the security label and what
 * overlayfs keeps is not among them, capabilities only if @privilege.  *ret_privilege: there are
 * capabilities. */
int kf_review_attributes(int fd, bool privilege, char ret[static KF_SHA256_HEX + 1],
			 bool *ret_privilege, struct kf_err *err);
/* Give @to the same as @from: others of this kind are removed. */
int kf_review_copy_attributes(int from, int to, bool privilege, struct kf_err *err);
bool kf_review_is_opaque(int fd);

/* The mode that a commit gives: without what it keeps back. */
mode_t kf_review_wanted_mode(const struct kf_review_sides *sides, mode_t mode);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing of whole files. */
#ifndef KF_BASE_FILE_H
#define KF_BASE_FILE_H

#include "base/calls.h"
#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* The system calls of these functions and of readdir(). */
extern const struct kf_calls kf_file_calls;

/* All return 0, or -1 with *err set and outputs untouched. */

/* Read exactly @n bytes; a premature end is an error (EIO). */
int kf_read_all(int fd, void *buf, size_t n, struct kf_err *err);
int kf_write_all(int fd, const void *buf, size_t n, struct kf_err *err);

/* Read what regular file or memfd @fd holds, from its start, at most @max
 * bytes; @name is for messages.  On success *ret is NUL-terminated and owned
 * by the caller, *ret_n (may be NULL) its length without the NUL. */
int kf_fd_slurp(int fd, const char *name, size_t max, char **ret, size_t *ret_n,
		struct kf_err *err);

/* Open @name under @dirfd (no final symlink) and kf_fd_slurp() it. */
int kf_file_slurp(int dirfd, const char *name, size_t max, char **ret, size_t *ret_n,
		  struct kf_err *err);

/* Open for reading a file whose contents decide about the sandbox.  It must be a regular file of
 * root's that only root can have written, and so must each directory on the way to it from "/";
 * symlinks are refused.  @path is absolute.  The descriptor is in *ret_fd. */
int kf_file_open_trusted(const char *path, int *ret_fd, struct kf_err *err);

/* Replace @name under @dirfd: write a temporary file beside it, fsync, rename,
 * fsync the directory.  Readers see the old or the new contents, never a part. */
int kf_file_replace(int dirfd, const char *name, const void *data, size_t n, mode_t mode,
		    struct kf_err *err);

/* The same for a file that shall belong to @uid and @gid.  The temporary file is made in the
 * directory @aside, which must be on the same mount. */
int kf_file_replace_owned(int dirfd, int aside, const char *name, const void *data, size_t n,
			  mode_t mode, uid_t uid, gid_t gid, struct kf_err *err);

#endif

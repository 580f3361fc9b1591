/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_HOST_HOST_H
#define KF_HOST_HOST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The machine that is set up: "/", or the directory of our container where its root is mounted.
 * Every path given to these functions is absolute on the host.  Symlinks on the way are followed
 * inside the host's root, never out of it. */
struct kf_host {
	int fd;		  /* its root directory, O_PATH */
	const char *root; /* as given; borrowed */
	bool here;	  /* it is our own root */
};

int kf_host_open(const char *root, struct kf_host *ret, struct kf_err *err);
void kf_host_done(struct kf_host *host);

/* Open @path with openat(2)'s @flags (O_CLOEXEC is added). */
int kf_host_fd(const struct kf_host *host, const char *path, int flags, int *ret_fd,
	       struct kf_err *err);
/* Write into @ret (@size bytes) the path of what @path leads to, without a symlink in it. */
int kf_host_real(const struct kf_host *host, const char *path, char *ret, size_t size,
		 struct kf_err *err);
/* The directory @path; made with its parents, 0755, if @create. */
int kf_host_dir(const struct kf_host *host, const char *path, bool create, int *ret_fd,
		struct kf_err *err);
/* Contents of regular file @path, at most @max bytes, NUL-terminated, the
 * caller's; err->code is ENOENT if there is none. */
int kf_host_read(const struct kf_host *host, const char *path, size_t max, char **ret,
		 size_t *ret_n, struct kf_err *err);
/* Replace @path atomically and durably (kf_file_replace()).  The file belongs to root and, if
 * SELinux is on, has the label of files that containers may read and run.  A symlink is refused,
 * since somebody else manages the file then.  The temporary file lies beside it, or in the
 * directory above if a program may read every file of that directory. */
int kf_host_write(const struct kf_host *host, const char *path, const void *data, size_t n,
		  mode_t mode, struct kf_err *err);
/* Check that @path could be replaced: no symlink, no read-only file system.  For a plan, before
 * anything is written; the error says what manages such a file, and what to do. */
int kf_host_check_replace(const struct kf_host *host, const char *path, struct kf_err *err);
/* As kf_host_write() for a file of somebody else's: it keeps its owner and mode; a new one is
 * root's with 0644. */
int kf_host_rewrite(const struct kf_host *host, const char *path, const void *data, size_t n,
		    struct kf_err *err);
/* Remove temporary files of writers of @path that were killed. */
int kf_host_sweep(const struct kf_host *host, const char *path, struct kf_err *err);
/* Durable unlink; a missing file is fine. */
int kf_host_remove(const struct kf_host *host, const char *path, struct kf_err *err);
/* Durable rename of @from to @to, which does not exist, in the same directory. */
int kf_host_rename(const struct kf_host *host, const char *from, const char *to,
		   struct kf_err *err);
/* Remove directory @path if it is empty. */
void kf_host_rmdir(const struct kf_host *host, const char *path);
/* False only if nothing is at @path.  True if that cannot be determined: whoever then opens it gets
 * the error. */
bool kf_host_exists(const struct kf_host *host, const char *path);
/* The files that match @pattern (one star, in its last component), sorted,
 * as host paths; NULL-terminated, released with kf_host_list_free(). */
int kf_host_glob(const struct kf_host *host, const char *pattern, char ***ret, struct kf_err *err);
void kf_host_list_free(char **list);
/* The first of the NULL-terminated @paths that exists, or NULL. */
const char *kf_host_first(const struct kf_host *host, const char *const *paths);

/* Take the lock @path (made if it does not exist) until *ret_fd is closed, waiting at most @seconds
 * for another holder. */
int kf_host_lock(const struct kf_host *host, const char *path, unsigned seconds, int *ret_fd,
		 struct kf_err *err);

#endif

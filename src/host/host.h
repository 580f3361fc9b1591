/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_HOST_HOST_H
#define KF_HOST_HOST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The machine that is set up: "/" or where its root is mounted in our
 * container.  Every path given to these functions is absolute on the host, and
 * symlinks on the way lead to the host's files, never out of its root. */
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
/* The directory @path; made with its parents, 0755, if @create. */
int kf_host_dir(const struct kf_host *host, const char *path, bool create, int *ret_fd,
		struct kf_err *err);
/* Contents of regular file @path, at most @max bytes, NUL-terminated, the
 * caller's; err->code is ENOENT if there is none. */
int kf_host_read(const struct kf_host *host, const char *path, size_t max, char **ret,
		 size_t *ret_n, struct kf_err *err);
/* Replace @path atomically and durably (kf_file_replace()); owner root, SELinux
 * label that containers may read and run if SELinux is on.  A symlink is refused:
 * somebody else manages the file.  The temporary file lies beside it, or one directory above if
 * its directory is one whose every file a program may read. */
int kf_host_write(const struct kf_host *host, const char *path, const void *data, size_t n,
		  mode_t mode, struct kf_err *err);
/* Whether @path could be replaced: no symlink, no read-only file system.  For a plan, before
 * anything is written; the error says what manages such a file, and what to do. */
int kf_host_check_replace(const struct kf_host *host, const char *path, struct kf_err *err);
/* As kf_host_write() for a file of somebody else's: with the owner and mode it has,
 * root's and 0644 if it is new. */
int kf_host_rewrite(const struct kf_host *host, const char *path, const void *data, size_t n,
		    struct kf_err *err);
/* Remove the temporary files that writers of @path who were killed left. */
int kf_host_sweep(const struct kf_host *host, const char *path, struct kf_err *err);
/* Durable unlink; that there is none is fine. */
int kf_host_unlink(const struct kf_host *host, const char *path, struct kf_err *err);
/* Durable rename of @from to @to, which does not exist, in the same directory. */
int kf_host_rename(const struct kf_host *host, const char *from, const char *to,
		   struct kf_err *err);
/* Remove directory @path if it is empty. */
void kf_host_rmdir(const struct kf_host *host, const char *path);
/* False only if there is nothing at @path: where that cannot be told, whoever then opens it gets
 * the error. */
bool kf_host_exists(const struct kf_host *host, const char *path);
/* The files that match @pattern (one star, in its last component), sorted,
 * as host paths; NULL-terminated, released with kf_host_list_free(). */
int kf_host_glob(const struct kf_host *host, const char *pattern, char ***ret, struct kf_err *err);
void kf_host_list_free(char **list);
/* The first of the NULL-terminated @paths that exists, or NULL. */
const char *kf_host_first(const struct kf_host *host, const char *const *paths);

/* Take the lock @path (made if need be) for the life of *ret_fd, waiting at
 * most @seconds for another holder. */
int kf_host_lock(const struct kf_host *host, const char *path, unsigned seconds, int *ret_fd,
		 struct kf_err *err);

#endif

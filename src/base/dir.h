/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_DIR_H
#define KF_BASE_DIR_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Directories that other processes use, too: they get the mode that is asked for, whatever the
 * umask is.  All functions return 0, or -1 with *err set. */

/* Make directory @name under @at; an existing one is left as it is.  *ret_made may be NULL. */
int kf_mkdir_at(int at, const char *name, mode_t mode, bool *ret_made, struct kf_err *err);

/* mkdir -p for absolute @path; existing directories are left as they are. */
int kf_mkdir_parents(const char *path, mode_t mode, struct kf_err *err);

/* Whether everybody can read the directory and only root can change it: its files go into
 * containers whose users are not root. */
bool kf_dir_is_public(const struct stat *st);

/* Make the directory behind @fd public (0755, root's) unless it is; @path is for messages. */
int kf_dir_make_public(int fd, const char *path, bool *ret_changed, struct kf_err *err);

/* The directory that the running program lies in, from /proc; false if /proc does not tell. */
bool kf_own_directory(char *ret, size_t size);

#endif

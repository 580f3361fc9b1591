/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_PATH_H
#define KF_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* Lexical path arithmetic; nothing here looks at a file system. */

/* Write into @out (@size bytes) the absolute form of @path without "//", "/./",
 * "..", or a trailing slash: "/a/../b/" becomes "/b", ".." above the root stays
 * at the root.  A relative @path is taken from "/", as the kubelet does with
 * mount paths.  @out may be @path if that is absolute.  Returns false, @out
 * untouched, if it does not fit. */
bool kf_path_clean(const char *path, char *out, size_t size);

/* Whether @path is @base or lies below it.  Both clean and absolute. */
bool kf_path_under(const char *path, const char *base);

/* Last component of @path: what follows the last '/'. */
const char *kf_path_base(const char *path);

#endif

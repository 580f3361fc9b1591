/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text: cleaning, comparing, taking apart.  Nothing here looks at a file system; which
 * paths a container may bring is decided in plan/paths.c. */
#include "base/path.h"

#include <string.h>

bool kf_path_clean(const char *path, char *out, size_t size)
{
	size_t n = 0;

	/* The cleaned form is never longer than "/" plus the input, so a
	 * too small @out is detected before anything is written. */
	if (strlen(path) + 2 > size)
		return false;
	while (*path) {
		size_t len = 0; /* a loop: names are too short for strcspn() */

		while (path[len] && path[len] != '/')
			len++;

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n && out[--n] != '/')
				;
		} else if (len && !(len == 1 && path[0] == '.')) {
			out[n++] = '/';
			for (size_t i = 0; i < len; i++) /* may be the same buffer */
				out[n++] = path[i];
		}
		path += len;
		while (*path == '/')
			path++;
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return true;
}

bool kf_path_under(const char *path, const char *base)
{
	size_t n = 0;

	if (base[0] == '/' && !base[1])
		return path[0] == '/';
	/* A loop, since most pairs differ within a few bytes and a call of strncmp() would cost
	 * more. */
	while (base[n] && path[n] == base[n])
		n++;
	return !base[n] && (path[n] == '\0' || path[n] == '/');
}

const char *kf_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

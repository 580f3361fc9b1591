/* SPDX-License-Identifier: Apache-2.0 */
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
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n && out[--n] != '/')
				;
		} else if (len && !(len == 1 && path[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
		path += strspn(path, "/");
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return true;
}

bool kf_path_under(const char *path, const char *base)
{
	size_t n = strlen(base);

	if (n == 1 && base[0] == '/')
		return path[0] == '/';
	return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

const char *kf_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: making them, and making them readable for everybody.  Files are in file.c, paths as
 * text in path.c. */
#include "base/dir.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int kf_mkdir_at(int at, const char *name, mode_t mode, bool *ret_made, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	bool made = mkdirat(at, name, mode) == 0;

	if (!made && errno != EEXIST)
		return kf_fail_sys(err, "create directory '%s'", name);
	if (made) {
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fchmod(fd, mode) < 0)
			return kf_fail_sys(err, "set the mode of directory '%s'", name);
	}
	if (ret_made)
		*ret_made = made;
	return 0;
}

int kf_mkdir_parents(const char *path, mode_t mode, struct kf_err *err)
{
	char buf[PATH_MAX];
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(buf))
		return kf_fail(err, EINVAL, "'%s': not an absolute path of usable length", path);
	memcpy(buf, path, n + 1);
	for (char *p = buf + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (kf_mkdir_at(AT_FDCWD, buf, mode, NULL, err) < 0)
			return -1;
		if (!c)
			return 0;
		*p = c;
	}
}

bool kf_dir_is_public(const struct stat *st)
{
	return st->st_uid == 0 && (st->st_mode & 0755) == 0755 && !(st->st_mode & 022);
}

int kf_dir_make_public(int fd, const char *path, bool *ret_changed, struct kf_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", path);
	*ret_changed = !kf_dir_is_public(&st);
	if (!*ret_changed)
		return 0;
	if ((st.st_uid != 0 && fchown(fd, 0, (gid_t)-1) < 0) || fchmod(fd, 0755) < 0)
		return kf_fail_sys(err,
				   "directory '%s' (uid %u, mode %04o) must be root's and 0755, "
				   "or users of containers cannot reach the launcher; that it "
				   "cannot be changed",
				   path, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	return 0;
}

bool kf_own_directory(char *ret, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret, size - 1);
	char *slash;

	if (n <= 0)
		return false;
	ret[n] = '\0';
	slash = strrchr(ret, '/');
	if (!slash)
		return false;
	slash[slash == ret] = '\0';
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and replacing whole files, and checking that only root can have written one.  Directories
 * are in dir.c. */
#include "base/file.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

KF_CALLS(kf_file_calls, KF_CALL(openat), KF_CALL(lseek), KF_CALL(fsync), KF_CALL(fchmod),
	 KF_CALL(renameat), KF_CALL(unlinkat), KF_CALL(mkdir), KF_CALL(mkdirat),
	 KF_CALL(getdents64));

int kf_read_all(int fd, void *buf, size_t n, struct kf_err *err)
{
	char *p = buf;

	while (n) {
		ssize_t got = read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return kf_fail_sys(err, "read");
		if (got == 0)
			return kf_fail(err, EIO, "read: file ended %zu bytes early", n);
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int kf_write_all(int fd, const void *buf, size_t n, struct kf_err *err)
{
	const char *p = buf;

	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return kf_fail_sys(err, "write");
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int kf_fd_slurp(int fd, const char *name, size_t max, char **ret, size_t *ret_n, struct kf_err *err)
{
	KF_FREE char *buf = NULL;
	struct stat st;
	size_t n;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	if (!S_ISREG(st.st_mode) || (uintmax_t)st.st_size > max)
		return kf_fail(err, EFBIG, "'%s': not a regular file of at most %zu bytes", name,
			       max);
	n = (size_t)st.st_size;
	buf = calloc(1, n + 1);
	if (!buf)
		return kf_fail_nomem(err, name);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return kf_fail_sys(err, "seek '%s'", name);
	if (kf_read_all(fd, buf, n, err) < 0)
		return kf_fail_wrap(err, "'%s'", name);
	if (ret_n)
		*ret_n = n;
	*ret = KF_STEAL(buf);
	return 0;
}

int kf_file_slurp(int dirfd, const char *name, size_t max, char **ret, size_t *ret_n,
		  struct kf_err *err)
{
	/* O_NONBLOCK: a FIFO put in the file's place must not hang us. */
	KF_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", name);
	return kf_fd_slurp(fd, name, max, ret, ret_n, err);
}

/* Check that only root can have written the file behind @fd. */
static int check_trusted(int fd, const char *path, bool last, struct kf_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", path);
	if (last && !S_ISREG(st.st_mode))
		return kf_fail(err, EINVAL, "'%s': not a regular file", path);
	if (st.st_uid != 0)
		return kf_fail(err, EPERM,
			       "'%s' (or a directory above it) belongs to uid %u, not to root",
			       path, (unsigned)st.st_uid);
	/* A sticky directory lets others add names, not replace root's. */
	if ((st.st_mode & 022) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)))
		return kf_fail(err, EPERM,
			       "'%s' (or a directory above it) may be written by others than root "
			       "(mode %04o); chmod go-w",
			       path, (unsigned)(st.st_mode & 07777));
	return 0;
}

int kf_file_open_trusted(const char *path, int *ret_fd, struct kf_err *err)
{
	KF_CLOSE int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *p = path;

	if (path[0] != '/')
		return kf_fail(err, EINVAL, "'%s': not an absolute path", path);
	if (fd < 0 || check_trusted(fd, path, false, err) < 0)
		return fd < 0 ? kf_fail_sys(err, "open '/'") : -1;
	for (;;) {
		char name[NAME_MAX + 1];
		size_t len;
		bool last;
		int next;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		last = p[len] == '\0';
		if (len == 0 || len > NAME_MAX || (len <= 2 && strspn(p, ".") >= len))
			return kf_fail(err, EINVAL, "'%s': not a plain path", path);
		memcpy(name, p, len);
		name[len] = '\0';
		next = openat(fd, name,
			      O_NOFOLLOW | O_CLOEXEC |
				      (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY));
		if (next < 0)
			return kf_fail_sys(err, "open '%.*s'", (int)(p + len - path), path);
		(void)close(fd);
		fd = next;
		if (check_trusted(fd, path, last, err) < 0)
			return -1;
		if (last)
			break;
		p += len;
	}
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

int kf_file_replace(int dirfd, const char *name, const void *data, size_t n, mode_t mode,
		    struct kf_err *err)
{
	return kf_file_replace_owned(dirfd, dirfd, name, data, n, mode, (uid_t)-1, (gid_t)-1, err);
}

int kf_file_replace_owned(int dirfd, int aside, const char *name, const void *data, size_t n,
			  mode_t mode, uid_t uid, gid_t gid, struct kf_err *err)
{
	const bool owned = uid != (uid_t)-1 || gid != (gid_t)-1;
	char tmp[NAME_MAX + 1];
	int fd, len;

	len = snprintf(tmp, sizeof(tmp), ".%s.%ld.tmp", name, (long)getpid());
	if (len < 0 || (size_t)len >= sizeof(tmp) || strchr(name, '/'))
		return kf_fail(err, EINVAL, "'%s': not a usable file name", name);
	(void)unlinkat(aside, tmp, 0);
	fd = openat(aside, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return kf_fail_sys(err, "create '%s'", tmp);
	/* fchmod: the mode asked for, whatever the umask. */
	if (kf_write_all(fd, data, n, err) < 0)
		kf_err_wrap(err, "'%s'", name);
	else if ((owned && fchown(fd, uid, gid) < 0) || fchmod(fd, mode) < 0 || fsync(fd) < 0)
		kf_err_set_sys(err, "sync '%s'", tmp);
	else if (close(fd) < 0 || (fd = -1, renameat(aside, tmp, dirfd, name)) < 0)
		kf_err_set_sys(err, "replace '%s'", name);
	else if (fsync(dirfd) < 0)
		return kf_fail_sys(err, "sync directory of '%s'", name);
	else
		return 0;
	if (fd >= 0)
		(void)close(fd);
	(void)unlinkat(aside, tmp, 0);
	return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and replacing the files of a bundle on disk.  Their contents are parsed in view.c. */
#include "oci/bundle.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int kf_oci_file_read(const char *dir, const char *name, struct kf_oci_file *ret, struct kf_err *err)
{
	struct kf_oci_file file = {0};
	KF_CLOSE int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	KF_CLOSE int fd = -1;
	struct stat st;

	if (dirfd < 0)
		return kf_fail_sys(err, "open directory '%s'", dir);
	if (!*name || strlen(name) >= sizeof(file.name) || strchr(name, '/'))
		return kf_fail(err, EINVAL, "'%s': not a file name", name);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "open '%s/%s'", dir, name);
	if (kf_fd_slurp(fd, name, KF_LIMIT_OCI_JSON, &file.text, &file.n, err) < 0)
		return -1;
	memcpy(file.name, name, strlen(name) + 1);
	file.mode = st.st_mode & 07777;
	file.uid = st.st_uid;
	file.gid = st.st_gid;
	file.dirfd = kf_steal_fd(&dirfd);
	*ret = file;
	return 0;
}

int kf_oci_file_replace(const struct kf_oci_file *file, const char *text, size_t n,
			struct kf_err *err)
{
	char tmp[sizeof(file->name) + 32];
	KF_CLOSE int fd = -1;

	if (!text)
		return kf_fail_nomem(err, file->name);
	(void)snprintf(tmp, sizeof(tmp), ".%.200s.%ld.tmp", file->name, (long)getpid());
	(void)unlinkat(file->dirfd, tmp, 0);
	fd = openat(file->dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return kf_fail_sys(err, "create '%s'", tmp);
	if (kf_write_all(fd, text, n, err) < 0)
		kf_err_wrap(err, "'%s'", tmp);
	else if (fchown(fd, file->uid, file->gid) < 0 || fchmod(fd, file->mode) < 0)
		kf_err_set_sys(err, "set owner and mode of '%s'", tmp);
	else if (renameat(file->dirfd, tmp, file->dirfd, file->name) < 0)
		kf_err_set_sys(err, "replace '%s'", file->name);
	else
		return 0;
	(void)unlinkat(file->dirfd, tmp, 0);
	return -1;
}

void kf_oci_file_done(struct kf_oci_file *file)
{
	if (file->text)
		(void)close(file->dirfd);
	free(file->text);
	file->text = NULL;
}

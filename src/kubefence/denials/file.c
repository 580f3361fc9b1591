/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the last denials, for "kubefence logs": two files of limited size, of which the older
 * one goes when the newer one is full. */
#include "base/file.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "kubefence/denials/denials.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int open_file(struct kf_denials_file *f, struct kf_err *err)
{
	struct stat st;

	f->fd = openat(f->dirfd, KF_DENIALS_LOG,
		       O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return kf_fail_sys(err, "open the file of denials");
	f->n = (size_t)st.st_size;
	return 0;
}

int kf_denials_file_open(const char *dir, struct kf_denials_file *ret, struct kf_err *err)
{
	struct kf_denials_file f = {.dirfd = -1, .fd = -1};

	if (kf_mkdir_parents(dir, 0700, err) < 0)
		return -1;
	f.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f.dirfd < 0)
		return kf_fail_sys(err, "open '%s'", dir);
	if (open_file(&f, err) < 0) {
		kf_denials_file_close(&f);
		return -1;
	}
	*ret = f;
	return 0;
}

int kf_denials_file_add(struct kf_denials_file *f, const char *text, size_t n, struct kf_err *err)
{
	if (f->n && f->n + n > KF_DENIALS_SIZE) {
		if (renameat(f->dirfd, KF_DENIALS_LOG, f->dirfd, KF_DENIALS_OLD) < 0)
			return kf_fail_sys(err, "put the file of denials aside");
		(void)close(f->fd);
		if (open_file(f, err) < 0)
			return -1;
	}
	if (kf_write_all(f->fd, text, n, err) < 0)
		return kf_fail_wrap(err, "file of denials");
	f->n += n;
	return 0;
}

void kf_denials_file_close(struct kf_denials_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	if (f->dirfd >= 0)
		(void)close(f->dirfd);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-runc/launch.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef MFD_EXEC /* Linux 6.3 */
#define MFD_EXEC 0x0010U
#endif
#define SEALS	     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define LAUNCHER_MAX (16 * 1024 * 1024)

static int create(struct kf_err *err)
{
	int fd = memfd_create("nono", MFD_EXEC | MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* An older kernel does not know the flag; there a memfd may be executed anyway. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("nono", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return kf_fail_sys(err, "memfd_create (sysctl vm.memfd_noexec must not be 2)");
	return fd;
}

int kf_launch_label(int fd, const char *label, struct kf_err *err)
{
	if (*label && fsetxattr(fd, "security.selinux", label, strlen(label), 0) < 0 &&
	    access("/sys/fs/selinux/enforce", F_OK) == 0)
		return kf_fail_sys(err, "label the launcher's files '%s'", label);
	return 0;
}

/* Modes let the container's user in, who may be anybody; set before the seals,
 * as F_SEAL_EXEC would freeze them. */
static int finish(int fd, mode_t mode, const char *label, struct kf_err *err)
{
	if (fchmod(fd, mode) < 0)
		return kf_fail_sys(err, "chmod memfd");
	if (kf_launch_label(fd, label, err) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return kf_fail_sys(err, "seal memfd");
	return 0;
}

static int copy(int out, int in, const char *name, struct kf_err *err)
{
	struct stat st;
	off_t at = 0;

	if (fstat(in, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	if (st.st_size == 0 || st.st_size > LAUNCHER_MAX)
		return kf_fail(err, EFBIG, "'%s': size %lld is not a launcher's", name,
			       (long long)st.st_size);
	while (at < st.st_size) {
		ssize_t n = sendfile(out, in, &at, (size_t)(st.st_size - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? kf_fail_sys(err, "copy '%s'", name)
				     : kf_fail(err, EIO, "'%s' shrank", name);
	}
	return 0;
}

/* Give both their numbers, neither clobbering the other. */
static int place(int launcher, int domain, int first, struct kf_err *err)
{
	KF_CLOSE int l = fcntl(launcher, F_DUPFD_CLOEXEC, first + 2);
	KF_CLOSE int d = fcntl(domain, F_DUPFD_CLOEXEC, first + 2);

	if (l < 0 || d < 0 || dup2(l, first) < 0 || dup2(d, first + 1) < 0)
		return kf_fail_sys(err, "descriptors %d and %d", first, first + 1);
	return 0;
}

int kf_launch_install(const char *launcher, int domain, const char *label, int first,
		      struct kf_err *err)
{
	int lfd = -1, file = -1, r = -1;

	if (kf_file_open_trusted(launcher, &file, err) < 0)
		return kf_fail_wrap(err, "launcher");
	lfd = create(err);
	if (lfd >= 0 && copy(lfd, file, launcher, err) == 0 && finish(lfd, 0555, label, err) == 0)
		r = place(lfd, domain, first, err);
	/* Their first numbers may be the very ones that place() has just filled. */
	for (size_t i = 0; i < 3; i++) {
		int fd = (int[]){file, lfd, domain}[i];

		if (fd >= 0 && (r < 0 || (fd != first && fd != first + 1)))
			(void)close(fd);
	}
	return r;
}

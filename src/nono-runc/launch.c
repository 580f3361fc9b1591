/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that a runtime inherits: the launcher as a sealed file in memory, and beside it
 * what the launcher is given. */
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

static int create_memfd(struct kf_err *err)
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
static int seal_file(int fd, mode_t mode, const char *label, struct kf_err *err)
{
	if (fchmod(fd, mode) < 0)
		return kf_fail_sys(err, "chmod memfd");
	if (kf_launch_label(fd, label, err) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return kf_fail_sys(err, "seal memfd");
	return 0;
}

static int copy_file(int out, int in, const char *name, struct kf_err *err)
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

/* Give each its number, none clobbering another. */
static int place_fds(const int fds[static KF_LAUNCH_FDS], int first, struct kf_err *err)
{
	int moved[KF_LAUNCH_FDS], r = 0;

	for (int i = 0; i < KF_LAUNCH_FDS; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, first + KF_LAUNCH_FDS);
		if (moved[i] < 0)
			r = -1;
	}
	for (int i = 0; r == 0 && i < KF_LAUNCH_FDS; i++)
		r = dup2(moved[i], first + i) < 0 ? -1 : 0;
	if (r < 0)
		kf_err_set_sys(err, "descriptors %d to %d", first, first + KF_LAUNCH_FDS - 1);
	for (int i = 0; i < KF_LAUNCH_FDS; i++)
		if (moved[i] >= 0)
			(void)close(moved[i]);
	return r;
}

int kf_launch_install(const char *launcher, const int given[static KF_LAUNCH_GIVEN],
		      const char *label, int first, struct kf_err *err)
{
	int fds[KF_LAUNCH_FDS] = {-1}, file = -1, r = -1;

	for (int i = 0; i < KF_LAUNCH_GIVEN; i++)
		fds[1 + i] = given[i];
	if (kf_file_open_trusted(launcher, &file, err) < 0) {
		kf_err_wrap(err, "launcher");
	} else {
		fds[0] = create_memfd(err);
		if (fds[0] >= 0 && copy_file(fds[0], file, launcher, err) == 0 &&
		    seal_file(fds[0], 0555, label, err) == 0)
			r = place_fds(fds, first, err);
		/* Its first number may be one of those that place_fds() has just filled. */
		if (r < 0 || file < first || file >= first + KF_LAUNCH_FDS)
			(void)close(file);
	}
	for (int i = 0; i < KF_LAUNCH_FDS; i++)
		if (fds[i] >= 0 && (r < 0 || fds[i] < first || fds[i] >= first + KF_LAUNCH_FDS))
			(void)close(fds[i]);
	return r;
}

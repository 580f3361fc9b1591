/* SPDX-License-Identifier: Apache-2.0 */
/* The tmpfs that holds the changes to a reviewed volume.  Its size is their limit; the kernel
 * counts what a container writes there as the container's memory. */
#include "review/store.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "review/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRASH "store/trash"
static int open_store(int dirfd, struct kf_err *err)
{
	int fd = openat(dirfd, KF_REVIEW_STORE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? kf_fail_sys(err, "open '" KF_REVIEW_STORE "'") : fd;
}

static int mount_memory(int store, unsigned size, struct kf_err *err)
{
	KF_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	KF_CLOSE int mnt = -1;
	char bytes[32], inodes[32];

	/* An inode takes about a KiB. */
	(void)snprintf(bytes, sizeof(bytes), "%um", size);
	(void)snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)size * 1024);
	if (fs < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", "kubefence-review", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", bytes, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", inodes, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return kf_fail_sys(err, "make a tmpfs of %u MiB for a review", size);
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mnt < 0 || syscall(SYS_move_mount, mnt, "", store, "",
			       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return kf_fail_sys(err, "mount a tmpfs for a review");
	return 0;
}

/* "upper", which the container sees as the volume's root. */
static int make_upper(int dirfd, int lower, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	struct stat st;

	if (mkdirat(dirfd, KF_REVIEW_UPPER, 0700) < 0 && errno != EEXIST)
		return kf_fail_sys(err, "make '" KF_REVIEW_UPPER "'");
	fd = openat(dirfd, KF_REVIEW_UPPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(lower, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, st.st_mode & 07777) < 0)
		return kf_fail_sys(err, "give '" KF_REVIEW_UPPER "' the volume's mode");
	return 0;
}

int kf_review_store_make(int dirfd, unsigned size, int lower, struct kf_err *err)
{
	KF_CLOSE int store = -1;
	struct stat st;
	bool made;

	/* One that was not finished has no "work". */
	if (fstatat(dirfd, KF_REVIEW_WORK, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return kf_fail_sys(err, "stat '" KF_REVIEW_WORK "'");
	if (kf_mkdir_at(dirfd, KF_REVIEW_STORE, 0700, &made, err) < 0)
		return -1;
	store = open_store(dirfd, err);
	if (store < 0 || mount_memory(store, size, err) < 0 || make_upper(dirfd, lower, err) < 0)
		return -1;
	return mkdirat(dirfd, KF_REVIEW_WORK, 0700) < 0
		       ? kf_fail_sys(err, "make '" KF_REVIEW_WORK "'")
		       : 0;
}

int kf_review_store_remove(int dirfd, struct kf_err *err)
{
	static const char *const files[] = {KF_REVIEW_DROP, KF_REVIEW_FROZEN, KF_REVIEW_INFO};
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/" KF_REVIEW_STORE, dirfd);
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return kf_fail_sys(err, "unmount '" KF_REVIEW_STORE "'");
	if (kf_review_remove(dirfd, KF_REVIEW_STORE, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(files); i++)
		if (unlinkat(dirfd, files[i], 0) < 0 && errno != ENOENT)
			return kf_fail_sys(err, "remove '%s'", files[i]);
	return 0;
}

int kf_review_store_empty(int dirfd, int lower, struct kf_err *err)
{
	if (kf_review_remove(dirfd, TRASH, err) < 0)
		return -1;
	if (renameat(dirfd, KF_REVIEW_UPPER, dirfd, TRASH) < 0 && errno != ENOENT)
		return kf_fail_sys(err, "move what has been committed away");
	if (make_upper(dirfd, lower, err) < 0)
		return -1;
	return kf_review_remove(dirfd, TRASH, err);
}

int kf_review_store_used(int dirfd, bool *ret, struct kf_err *err)
{
	KF_CLOSE int fd =
		openat(dirfd, KF_REVIEW_UPPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && errno != ENOENT)
		return kf_fail_sys(err, "read '" KF_REVIEW_UPPER "'");
	*ret = false;
	if (!d)
		return 0;
	(void)kf_steal_fd(&fd);
	while (!*ret && (errno = 0, e = readdir(d)))
		*ret = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (!*ret && errno) {
		kf_err_set_sys(err, "read '" KF_REVIEW_UPPER "'");
		(void)closedir(d);
		return -1;
	}
	(void)closedir(d);
	return 0;
}

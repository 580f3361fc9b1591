/* SPDX-License-Identifier: Apache-2.0 */
/* The directory or tmpfs that holds the changes to a reviewed volume.  The kernel keeps its limit:
 * a tmpfs has a size, a directory a project quota. */
#include "review/store.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "review/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRASH	    "store/trash"
/* Project IDs: far above those that the kubelet gives its own volumes. */
#define PROJECTS    0x6e000000U
#define PROJECT_MAX 0x00ffffffU

/* linux/quota.h cannot be included with musl's headers. */
#define SET_QUOTA   0x800008
#define GET_QUOTA   0x800007
#define PROJECT	    2
#define QUOTA(call) ((unsigned)(call) << 8 | PROJECT)
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443 /* of all architectures; musl does not know it yet */
#endif
#define LIMITS 5U /* of blocks and of inodes: QIF_BLIMITS | QIF_ILIMITS */

struct quota_block {
	uint64_t block_hard, block_soft, space, inode_hard, inode_soft, inodes, block_time,
		inode_time;
	uint32_t valid;
};

static int open_store(int dirfd, struct kf_err *err)
{
	int fd = openat(dirfd, KF_REVIEW_STORE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? kf_fail_sys(err, "open '" KF_REVIEW_STORE "'") : fd;
}

/* An inode takes a kibibyte of the kernel's memory, and some room on disk. */
static uint64_t inodes_of(unsigned size)
{
	return (uint64_t)size * 1024;
}

static int mount_memory(int store, unsigned size, struct kf_err *err)
{
	KF_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	KF_CLOSE int mnt = -1;
	char bytes[32], inodes[32];

	(void)snprintf(bytes, sizeof(bytes), "%um", size);
	(void)snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)inodes_of(size));
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

/* A project that no quota is set for yet. */
static int free_project(int store, uint32_t *ret, struct kf_err *err)
{
	struct quota_block q;
	struct stat st;

	if (fstat(store, &st) < 0)
		return kf_fail_sys(err, "stat '" KF_REVIEW_STORE "'");
	for (uint32_t i = 0; i < 1000; i++) {
		const uint32_t id = PROJECTS | ((uint32_t)st.st_ino + i) % PROJECT_MAX;

		memset(&q, 0, sizeof(q));
		if (syscall(SYS_quotactl_fd, store, QUOTA(GET_QUOTA), id, &q) < 0 &&
		    errno != ENOENT)
			return kf_fail_sys(
				err,
				"'" KF_REVIEW_DIR "' is on a file system without project quotas "
				"(mount option prjquota), so that nothing would limit what a pod "
				"writes there; have them, or set review_medium = \"memory\"");
		if (!q.block_hard) {
			*ret = id;
			return 0;
		}
	}
	return kf_fail(err, ENOSPC, "no project ID is free for the quota of a review");
}

static int limit_disk(int store, unsigned size, struct kf_err *err)
{
	struct quota_block q = {
		.block_hard = inodes_of(size), /* KiB */
		.inode_hard = inodes_of(size),
		.valid = LIMITS,
	};
	struct fsxattr attr;
	uint32_t id = 0;

	if (free_project(store, &id, err) < 0)
		return -1;
	if (syscall(SYS_ioctl, store, FS_IOC_FSGETXATTR, &attr) < 0)
		return kf_fail_sys(err, "read the project of '" KF_REVIEW_STORE "'");
	attr.fsx_projid = id;
	attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	if (syscall(SYS_quotactl_fd, store, QUOTA(SET_QUOTA), id, &q) < 0 ||
	    syscall(SYS_ioctl, store, FS_IOC_FSSETXATTR, &attr) < 0)
		return kf_fail_sys(err, "set the quota of a review");
	return 0;
}

/* What the limit was set for does not need it any more. */
static void unlimit_disk(int store)
{
	struct quota_block q = {.valid = LIMITS};
	struct fsxattr attr;

	if (syscall(SYS_ioctl, store, FS_IOC_FSGETXATTR, &attr) == 0 &&
	    (attr.fsx_projid & ~PROJECT_MAX) == PROJECTS)
		(void)syscall(SYS_quotactl_fd, store, QUOTA(SET_QUOTA), attr.fsx_projid, &q);
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

int kf_review_store_make(int dirfd, enum kf_review_medium medium, unsigned size, int lower,
			 struct kf_err *err)
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
	if (store < 0 || (medium == KF_REVIEW_MEMORY ? mount_memory(store, size, err)
						     : limit_disk(store, size, err)) < 0)
		return -1;
	if (make_upper(dirfd, lower, err) < 0)
		return -1;
	return mkdirat(dirfd, KF_REVIEW_WORK, 0700) < 0
		       ? kf_fail_sys(err, "make '" KF_REVIEW_WORK "'")
		       : 0;
}

int kf_review_store_remove(int dirfd, struct kf_err *err)
{
	static const char *const files[] = {KF_REVIEW_DROP, KF_REVIEW_FROZEN, KF_REVIEW_INFO};
	char path[64];
	KF_CLOSE int store = open_store(dirfd, err);

	if (store < 0 && err->code != ENOENT)
		return -1;
	if (store >= 0) {
		unlimit_disk(store);
		(void)close(kf_steal_fd(&store));
	}
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

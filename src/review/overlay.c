/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting the overlay of a reviewed volume, and who uses it.  What holds the changes is in
 * store.c. */
#include "review/overlay.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XFS_MAGIC      0x58465342
#define F2FS_MAGIC     0xf2f52010
#define BCACHEFS_MAGIC 0xca451a4e
#define FROZEN_MAX     65536
#define BUNDLE_MAX     4096

/* File systems of this node alone, on which overlayfs is tried: nobody else changes the lower part
 * behind the overlay's back, and names, links and times are the kernel's own. */
static const long local_systems[] = {
	BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, TMPFS_MAGIC, XFS_MAGIC, F2FS_MAGIC, BCACHEFS_MAGIC,
};

/* What others are called, for the refusal. */
static const struct {
	long magic;
	const char *name;
} other_systems[] = {
	{NFS_SUPER_MAGIC, "NFS"},
	{SMB_SUPER_MAGIC, "SMB"},
	{0xff534d42, "SMB"},
	{0xfe534d42, "SMB"},
	{CEPH_SUPER_MAGIC, "CephFS"},
	{FUSE_SUPER_MAGIC, "FUSE"},
	{V9FS_MAGIC, "9p"},
	{AFS_SUPER_MAGIC, "AFS"},
	{0x0bd00bd0, "Lustre"},
	{0x01161970, "GFS2"},
	{0x7461636f, "OCFS2"},
	{OVERLAYFS_SUPER_MAGIC, "overlay"},
	{SQUASHFS_MAGIC, "squashfs"},
	{MSDOS_SUPER_MAGIC, "FAT"},
	{EROFS_SUPER_MAGIC_V1, "EROFS"},
	{0x2fc12fc1, "ZFS"},
};

static int check_system(int fd, const char *volume, struct kf_err *err)
{
	struct statfs fs;
	const char *name = NULL;

	if (fstatfs(fd, &fs) < 0)
		return kf_fail_sys(err, "statfs of volume '%s'", volume);
	for (size_t i = 0; i < KF_ARRAY_SIZE(local_systems); i++)
		if ((long)fs.f_type == local_systems[i])
			return 0;
	for (size_t i = 0; i < KF_ARRAY_SIZE(other_systems); i++)
		if ((long)fs.f_type == other_systems[i].magic)
			name = other_systems[i].name;
	return name ? kf_fail(err, EOPNOTSUPP,
			      "volume '%s' is on %s, over which no review is possible: it takes a "
			      "local file system (ext4, xfs, btrfs, tmpfs, f2fs); take the "
			      "annotation away, or use another volume",
			      volume, name)
		    : kf_fail(err, EOPNOTSUPP,
			      "volume '%s' is on a file system of type %#lx, over which no review "
			      "was ever tried: it takes ext4, xfs, btrfs, tmpfs or f2fs; take the "
			      "annotation away, or use another volume",
			      volume, (unsigned long)fs.f_type);
}

/* ---- who uses it ---- */

static int open_run(const char *uid, const char *volume, const char *name, bool make,
		    struct kf_err *err)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), KF_REVIEW_RUN "/%s/%s/%s", uid, volume, name);
	if (make && kf_mkdir_parents(path, 0700, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? kf_fail_sys(err, "open '%s'", path) : fd;
}

/* Whether the bundle of the user @name is gone; what cannot be told counts as there. */
static bool is_stale(int users, const char *name)
{
	KF_FREE char *bundle = NULL;
	struct stat st;

	return kf_file_slurp(users, name, BUNDLE_MAX, &bundle, NULL, KF_ERR_IGNORED) == 0 &&
	       *bundle == '/' && lstat(bundle, &st) < 0 && errno == ENOENT;
}

/* Forget users whose bundles are gone; whether one is left. */
static int any_user(const char *uid, const char *volume, bool *ret, struct kf_err *err)
{
	KF_CLOSE int fd = open_run(uid, volume, "users", false, err);
	KF_CLOSE int copy = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	bool found = false;
	int r = 0;

	if (fd < 0 && err->code == ENOENT) {
		*ret = false;
		return 0;
	}
	if (!d)
		return fd < 0 ? -1 : kf_fail_sys(err, "read the users of volume '%s'", volume);
	(void)kf_steal_fd(&copy);
	while ((errno = 0, e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (is_stale(fd, e->d_name))
			(void)unlinkat(fd, e->d_name, 0);
		else
			found = true;
	}
	if (errno)
		r = kf_fail_sys(err, "read the users of volume '%s'", volume);
	(void)closedir(d);
	if (r == 0)
		*ret = found;
	return r;
}

int kf_review_mounted(const char *uid, const char *volume, bool *ret, unsigned long long *ret_dev,
		      struct kf_err *err)
{
	KF_CLOSE int fd = open_run(uid, volume, "merged", false, err);
	struct statfs fs;
	struct stat st;

	if (fd < 0 && err->code == ENOENT) {
		*ret = false;
		return 0;
	}
	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat the overlay of volume '%s'", volume);
	/* An empty directory, on a tmpfs, or the overlay. */
	*ret = (long)fs.f_type == OVERLAYFS_SUPER_MAGIC;
	if (ret_dev)
		*ret_dev = st.st_dev;
	return 0;
}

static int unmount_overlay(const char *uid, const char *volume, struct kf_err *err)
{
	char path[PATH_MAX];

	kf_review_merged(uid, volume, path);
	/* Whatever else has a copy of the mount, in a namespace of its own: ours is gone at once.
	 */
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return kf_fail_sys(err, "unmount '%s'", path);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), KF_REVIEW_RUN "/%s/%s/users", uid, volume);
	/* It, what it is in, and that: as far as nothing else is there. */
	for (int i = 0; i < 3 && rmdir(path) == 0; i++)
		*strrchr(path, '/') = '\0';
	return 0;
}

/* ---- mounting ---- */

static int set_string(int fs, const char *key, const char *value, struct kf_err *err)
{
	return syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0) < 0
		       ? kf_fail_sys(err, "overlay option %s=%s", key, value)
		       : 0;
}

/* By descriptor: a path could have characters that the option's syntax knows. */
static int set_dir(int fs, const char *key, int fd, struct kf_err *err)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return set_string(fs, key, path, err);
}

/* What the kernel's configuration may have turned on: then the upper directory alone would not say
 * what is in it. */
static int set_plain(int fs, struct kf_err *err)
{
	static const char *const off[] = {"redirect_dir", "metacopy", "index", "xino",
					  "nfs_export"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(off); i++)
		if (set_string(fs, off[i], "off", err) < 0)
			return -1;
	return 0;
}

/* As the volume is mounted; its set-user-ID bits and device nodes count for nobody. */
static unsigned long mount_flags(const struct statvfs *fs)
{
	static const unsigned long flags[][2] = {
		{ST_RDONLY, MOUNT_ATTR_RDONLY},
		{ST_NOEXEC, MOUNT_ATTR_NOEXEC},
		{ST_NODIRATIME, MOUNT_ATTR_NODIRATIME},
	};
	unsigned long ret = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	for (size_t i = 0; i < KF_ARRAY_SIZE(flags); i++)
		if (fs->f_flag & flags[i][0])
			ret |= flags[i][1];
	return fs->f_flag & ST_NOATIME ? ret | MOUNT_ATTR_NOATIME : ret;
}

static int mount_overlay(const struct kf_review_attach *a, int dirfd, int lower, int merged,
			 struct kf_err *err)
{
	KF_CLOSE int upper =
		openat(dirfd, KF_REVIEW_UPPER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	KF_CLOSE int work =
		openat(dirfd, KF_REVIEW_WORK, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	KF_CLOSE int fs = -1, mnt = -1;
	struct statvfs how;

	if (upper < 0 || work < 0 || fstatvfs(lower, &how) < 0)
		return kf_fail_sys(err, "open the directories of a review");
	fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return kf_fail_sys(err, "volume '%s': the kernel has no overlayfs", a->volume);
	if (set_string(fs, "source", "kubefence-review", err) < 0 ||
	    set_dir(fs, "lowerdir", lower, err) < 0 || set_dir(fs, "upperdir", upper, err) < 0 ||
	    set_dir(fs, "workdir", work, err) < 0 || set_plain(fs, err) < 0)
		return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return kf_fail_sys(
			err,
			"volume '%s': the kernel makes no overlay of '%s' (upper part in "
			"'" KF_REVIEW_DIR "'); 'dmesg' says why",
			a->volume, a->source);
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, mount_flags(&how));
	if (mnt < 0 || syscall(SYS_move_mount, mnt, "", merged, "",
			       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return kf_fail_sys(err, "mount the overlay of volume '%s'", a->volume);
	return 0;
}

/* ---- attach and release ---- */

static int open_lower(const char *source, const char *volume, struct kf_err *err)
{
	KF_CLOSE int fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOTDIR)
		return kf_fail(err, ENOTDIR,
			       "volume '%s': '%s' is no directory (subPath of a file?), and only "
			       "directories can be reviewed",
			       volume, source);
	if (fd < 0)
		return kf_fail_sys(err, "open volume '%s' at '%s'", volume, source);
	return check_system(fd, volume, err) < 0 ? -1 : kf_steal_fd(&fd);
}

/* What is noted must be the same volume, in the same place: the changes are of that one. */
static int check_noted(const struct kf_review_info *noted, const char *source,
		       const struct stat *st, bool mounted, struct kf_err *err)
{
	if (mounted ? noted->dev == st->st_dev && noted->ino == st->st_ino
		    : strcmp(noted->lower, source) == 0)
		return 0;
	return kf_fail(err, EBUSY,
		       "volume '%s' is reviewed as '%s', and this container has another part of it "
		       "('%s'): all containers of a pod have to mount the same part (subPath) of a "
		       "reviewed volume",
		       noted->volume, noted->lower, source);
}

static int add_user(const struct kf_review_attach *a, struct kf_err *err)
{
	KF_CLOSE int users = open_run(a->uid, a->volume, "users", true, err);

	return users < 0 ? -1
			 : kf_file_replace(users, a->user, a->bundle, strlen(a->bundle), 0600, err);
}

static int mount_new(const struct kf_review_attach *a, int dirfd, int lower, const char *source,
		     struct kf_err *err)
{
	KF_CLOSE int merged = -1;
	struct stat st;
	struct kf_review_info info = {
		.uid = a->uid,
		.volume = a->volume,
		.namespace_ = a->namespace_,
		.pod = a->pod,
		.lower = source,
		.ends_with_pod = a->ends_with_pod,
	};

	if (fstat(lower, &st) < 0)
		return kf_fail_sys(err, "stat volume '%s'", a->volume);
	info.dev = st.st_dev;
	info.ino = st.st_ino;
	if (faccessat(dirfd, KF_REVIEW_DROP, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    kf_review_store_remove(dirfd, err) < 0)
		return -1;
	if (kf_review_store_make(dirfd, a->size, lower, err) < 0 ||
	    kf_review_info_write(dirfd, &info, err) < 0)
		return -1;
	merged = open_run(a->uid, a->volume, "merged", true, err);
	return merged < 0 ? -1 : mount_overlay(a, dirfd, lower, merged, err);
}

/* With the lock on @dirfd. */
static int attach_locked(struct kf_review_attach a, int dirfd, struct kf_err *err)
{
	KF_CLEANUP(kf_review_info_done) struct kf_review_info noted = {0};
	bool mounted = false, has_user;
	KF_CLOSE int lower = -1;
	struct stat st;

	if (kf_review_thaw(dirfd, err) < 0 || any_user(a.uid, a.volume, &has_user, err) < 0 ||
	    (!has_user && unmount_overlay(a.uid, a.volume, err) < 0) ||
	    kf_review_mounted(a.uid, a.volume, &mounted, NULL, err) < 0)
		return -1;
	if (kf_review_info_read(dirfd, a.uid, a.volume, &noted, err) < 0 &&
	    (err->code != ENOENT || !a.source))
		return -1;
	if (!a.source)
		a.source = noted.lower;
	lower = open_lower(a.source, a.volume, err);
	if (lower < 0)
		return -1;
	if (fstat(lower, &st) < 0)
		return kf_fail_sys(err, "stat volume '%s'", a.volume);
	if (noted.text && check_noted(&noted, a.source, &st, mounted, err) < 0)
		return -1;
	if (add_user(&a, err) < 0)
		return -1;
	return mounted ? 0 : mount_new(&a, dirfd, lower, a.source, err);
}

int kf_review_attach(const struct kf_review_attach *attach, struct kf_err *err)
{
	KF_CLOSE int dirfd = -1;

	kf_review_collect();
	if (kf_review_lock(attach->uid, attach->volume, true, &dirfd, err) < 0)
		return -1;
	if (attach_locked(*attach, dirfd, err) == 0)
		return 0;
	/* Nothing of it stays if it was the first. */
	(void)kf_review_settle(dirfd, attach->uid, attach->volume, KF_ERR_IGNORED);
	return -1;
}

int kf_review_settle(int dirfd, const char *uid, const char *volume, struct kf_err *err)
{
	bool has_user, used;
	char place[PATH_MAX];

	if (any_user(uid, volume, &has_user, err) < 0)
		return -1;
	if (has_user)
		return 0;
	if (unmount_overlay(uid, volume, err) < 0)
		return -1;
	/* Nothing changed, or nothing is to stay. */
	if (faccessat(dirfd, KF_REVIEW_DROP, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
	    (kf_review_store_used(dirfd, &used, err) < 0 || used))
		return used ? 0 : -1;
	if (kf_review_store_remove(dirfd, err) < 0)
		return -1;
	(void)snprintf(place, sizeof(place), KF_REVIEW_DIR "/%s/%s", uid, volume);
	(void)rmdir(place);
	*strrchr(place, '/') = '\0';
	(void)rmdir(place);
	return 0;
}

/* Whether the container @user has the overlay. */
static bool is_user(const char *uid, const char *volume, const char *user, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, KF_REVIEW_RUN "/%s/%s/users/%s", uid, volume, user);
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int release_one(void *ctx, const char *uid, const char *volume, struct kf_err *err)
{
	char path[PATH_MAX];
	KF_CLOSE int dirfd = -1;

	if (!is_user(uid, volume, ctx, path) || kf_review_lock(uid, volume, false, &dirfd, err) < 0)
		return 0;
	(void)unlink(path);
	(void)kf_review_thaw(dirfd, err);
	(void)kf_review_settle(dirfd, uid, volume, err);
	return 0;
}

/* Without waiting for whoever works on it; -1 then. */
static int try_lock(const char *uid, const char *volume)
{
	char path[PATH_MAX];
	KF_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), KF_REVIEW_DIR "/%s/%s", uid, volume);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? kf_steal_fd(&fd) : -1;
}

static int wake_one(void *ctx, const char *uid, const char *volume, struct kf_err *err)
{
	char path[PATH_MAX];
	KF_CLOSE int dirfd = -1;

	if (!is_user(uid, volume, ctx, path))
		return 0;
	dirfd = try_lock(uid, volume);
	if (dirfd >= 0)
		(void)kf_review_thaw(dirfd, err);
	return 0;
}

static int collect_one(void *ctx, const char *uid, const char *volume, struct kf_err *err)
{
	KF_CLEANUP(kf_review_info_done) struct kf_review_info info = {0};
	KF_CLOSE int dirfd = try_lock(uid, volume);
	struct stat st;

	(void)ctx;
	if (dirfd < 0 || kf_review_info_read(dirfd, uid, volume, &info, err) < 0 ||
	    !info.ends_with_pod || lstat(info.lower, &st) == 0 || errno != ENOENT)
		return 0;
	(void)kf_review_drop(dirfd, uid, volume, err);
	return 0;
}

void kf_review_collect(void)
{
	(void)kf_review_each(collect_one, NULL, KF_ERR_IGNORED);
}

static void each_of(const char *user,
		    int (*fn)(void *ctx, const char *uid, const char *volume, struct kf_err *err))
{
	if (faccessat(AT_FDCWD, KF_REVIEW_RUN, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		(void)kf_review_each(fn, (void *)(uintptr_t)user, KF_ERR_IGNORED);
}

void kf_review_release(const char *user)
{
	each_of(user, release_one);
}

void kf_review_wake(const char *user)
{
	each_of(user, wake_one);
}

int kf_review_drop(int dirfd, const char *uid, const char *volume, struct kf_err *err)
{
	bool has_user;

	if (kf_review_thaw(dirfd, err) < 0 || any_user(uid, volume, &has_user, err) < 0)
		return -1;
	if (kf_file_replace(dirfd, KF_REVIEW_DROP, "", 0, 0600, err) < 0)
		return -1;
	if (has_user)
		return kf_fail(err, EBUSY, "a container has volume '%s'", volume);
	return kf_review_settle(dirfd, uid, volume, err);
}

int kf_review_thaw(int dirfd, struct kf_err *err)
{
	KF_FREE char *text = NULL;

	if (kf_file_slurp(dirfd, KF_REVIEW_FROZEN, FROZEN_MAX, &text, NULL, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	/* "VALUE PATH" lines: what to write where. */
	for (char *line = text, *next; *line; line = next) {
		char *path = strchr(line, ' ');
		KF_CLOSE int fd = -1;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (!path)
			continue;
		*path++ = '\0';
		fd = open(path, O_WRONLY | O_CLOEXEC);
		/* A cgroup that is gone has nobody who waits. */
		if (fd < 0 && errno != ENOENT)
			return kf_fail_sys(err, "open '%s'", path);
		if (fd >= 0 && kf_write_all(fd, line, strlen(line), err) < 0)
			return kf_fail_wrap(err, "'%s'", path);
	}
	return unlinkat(dirfd, KF_REVIEW_FROZEN, 0) < 0 && errno != ENOENT
		       ? kf_fail_sys(err, "remove '" KF_REVIEW_FROZEN "'")
		       : 0;
}

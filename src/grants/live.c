/* SPDX-License-Identifier: Apache-2.0 */
/* The container that this process is in, as the file system that a policy is applied to: what it
 * was given lies in given.c, what is mounted in volumes.c. */
#include "base/cleanup.h"
#include "grants/given.h"
#include "grants/tree.h"
#include "grants/volumes.h"
#include "sandbox/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

/* How many directories are looked into before one counts as not empty. */
#define EMPTY_DIRS_MAX 32

int kf_tree_place(const struct kf_tree *tree, const char *path, int flags, bool *ret_real)
{
	int fd = tree->open(tree, path, flags, KF_RESOLVE_NO_SYMLINKS);

	*ret_real = fd >= 0;
	return fd >= 0 || errno == ENOENT || errno == ENOTDIR ? fd
							      : tree->open(tree, path, flags, 0);
}

static int live_open(const struct kf_tree *tree, const char *path, int flags, unsigned resolve)
{
	(void)tree;
	return resolve ? kf_open_resolve(AT_FDCWD, path, flags, resolve)
		       : kf_open(AT_FDCWD, path, flags);
}

static bool live_path(const struct kf_tree *tree, int fd, char out[static PATH_MAX])
{
	char link[32];
	ssize_t n;

	(void)tree;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX);
	if (n <= 0 || n >= PATH_MAX || out[0] != '/')
		return false;
	out[n] = '\0';
	return true;
}

static bool live_place(const struct kf_tree *tree, const char *path, char out[static PATH_MAX])
{
	KF_UNINIT char full[PATH_MAX], real[PATH_MAX];

	(void)snprintf(full, sizeof(full), "%s", path);
	for (size_t n = strlen(full); n; n--) {
		const char c = full[n];
		KF_CLOSE int fd = -1;

		if (c && c != '/')
			continue;
		full[n] = '\0';
		fd = kf_open(AT_FDCWD, full, O_PATH);
		full[n] = c;
		if (fd >= 0 && live_path(tree, fd, real))
			return (size_t)snprintf(out, PATH_MAX, "%s%s",
						strcmp(real, "/") == 0 && c ? "" : real,
						full + n) < PATH_MAX;
	}
	(void)snprintf(out, PATH_MAX, "%s", full);
	return true;
}

static int live_enter(const struct kf_tree *tree, int dir, const char *name, int flags)
{
	(void)tree;
	return kf_open(dir, name, flags | O_NOFOLLOW);
}

static const char *live_next(const struct kf_tree *tree, struct kf_listing *dir)
{
	(void)tree;
	return kf_listing_next(dir);
}

static bool read_only(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

/* Whether directory @fd holds nothing but directories.  A writable
 * file system mounted inside may be filled later and does not count as empty. */
static bool only_directories(int fd, dev_t dev)
{
	int stack[8] = {fd};
	unsigned depth = 1, seen = 0;
	bool empty = true;

	while (depth) {
		KF_UNINIT struct kf_listing dir;
		const char *name;

		kf_listing_init(&dir, stack[--depth]);
		while (empty && (name = kf_listing_next(&dir))) {
			int child = kf_open(dir.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			struct stat st;

			if (child >= 0 && fstat(child, &st) == 0 &&
			    (st.st_dev == dev || read_only(child)) && ++seen < EMPTY_DIRS_MAX &&
			    depth < KF_ARRAY_SIZE(stack)) {
				stack[depth++] = child;
				continue;
			}
			if (child >= 0)
				(void)close(child);
			empty = false;
		}
		empty &= !dir.failed;
		if (dir.fd != fd)
			(void)close(dir.fd);
	}
	return empty;
}

static bool live_live(const struct kf_tree *tree, int fd, const struct kf_rule *rule, bool list,
		      const struct stat *st)
{
	struct stat parent;

	(void)tree;
	/* A read-only mount of the guard's, or of the pod's, keeps it already. */
	if (rule->kind == KF_RULE_FS_READONLY)
		return !read_only(fd);
	/* The runtime's way of masking a file: /dev/null over it. */
	if (S_ISCHR(st->st_mode))
		return st->st_rdev != makedev(1, 3);
	if (!list)
		return true;
	/* A writable volume that is still empty. */
	if ((fstatat(fd, "..", &parent, 0) < 0 || parent.st_dev != st->st_dev) && !read_only(fd))
		return true;
	return !only_directories(fd, st->st_dev);
}

static int live_volumes(const struct kf_tree *tree, bool pinned, kf_volume_fn *fn, void *ctx,
			struct kf_err *err)
{
	(void)tree;
	return kf_volumes_each(pinned, fn, ctx, err);
}

/* A mount point is where the kernel says it is, unless somebody who shares a volume above it has
 * put something else there meanwhile. */
static bool is_mount(int fd, const struct kf_volume *volume)
{
	struct kf_object object;

	/* A container's seccomp policy may hide statx(2); where it is the launcher that sets the
	 * policy, nothing does. */
	if (kf_object_at(fd, "", &object) < 0)
		return errno == ENOSYS || errno == EPERM;
	return (object.mount_root || !object.mount_root_known) &&
	       (!volume->mount || !object.mount || volume->mount == object.mount);
}

static int live_volume(const struct kf_tree *tree, const struct kf_volume *volume)
{
	int fd = kf_open_resolve(AT_FDCWD, volume->path, O_PATH, KF_RESOLVE_NO_SYMLINKS);

	(void)tree;
	if (fd < 0 || is_mount(fd, volume))
		return fd;
	(void)close(fd);
	return -1;
}

static int live_devices(const struct kf_tree *tree, kf_device_fn *fn, void *ctx, struct kf_err *err)
{
	(void)tree;
	return kf_given_devices(fn, ctx, err);
}

static bool live_closed(const struct kf_tree *tree)
{
	(void)tree;
	return kf_given_proc_closed();
}

static const char *live_shared(const struct kf_tree *tree)
{
	(void)tree;
	if (kf_given_sys_admin())
		return "CAP_SYS_ADMIN would look behind what closes it";
	return kf_given_own_pids() ? NULL : "shows processes of others, too";
}

const struct kf_tree kf_tree_live = {
	.open = live_open,
	.place = live_place,
	.enter = live_enter,
	.path = live_path,
	.next = live_next,
	.live = live_live,
	.volumes = live_volumes,
	.volume = live_volume,
	.devices = live_devices,
	.closed = live_closed,
	.shared = live_shared,
};

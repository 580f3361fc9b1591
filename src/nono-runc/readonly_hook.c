/* SPDX-License-Identifier: Apache-2.0 */
/* The hook of "fs readonly": binds each path over itself read-only, in the container's mount
 * namespace and before its first process.  What has to be there before is made in readonly.c. */
#include "nono-runc/errlog.h"
#include "nono-runc/readonly.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "sandbox/object.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 8

struct hook {
	int root;	   /* the container's, before it becomes "/" */
	char at[PATH_MAX]; /* where that is */
	size_t nat;
	enum kf_readonly_absent absent;
	struct kf_err *err;
};

static int open_at(int dir, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = resolve};

	return (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

/* Put a copy of what is mounted at @source and below over @target. */
static int mount_over(struct hook *h, int source, int target, bool readonly, const char *path)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	KF_CLOSE int tree =
		(int)syscall(SYS_open_tree, source, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 ||
	    (readonly && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
				 sizeof(attr)) < 0) ||
	    syscall(SYS_move_mount, tree, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return kf_fail_sys(h->err, "mount over '%s' of the container", path);
	return 0;
}

static bool is_mount_point(int fd)
{
	struct kf_object object;

	return kf_object_at(fd, "", &object) == 0 && object.mount_root;
}

/* Path of @fd in the container. */
static int path_inside(struct hook *h, int fd, char ret[static PATH_MAX])
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return kf_fail_sys(h->err, "readlink '%s'", link);
	path[n] = '\0';
	if (!kf_path_under(path, h->at))
		return kf_fail(h->err, EXDEV, "'%s' is outside the container's root '%s'", path,
			       h->at);
	(void)snprintf(ret, PATH_MAX, "%s", path[h->nat] ? path + h->nat : "/");
	return 0;
}

/* Where nothing is.  @dir: its directory, -1 if that is not there either. */
static int check_absent(struct hook *h, int dir, const char *name, const char *path)
{
	KF_CLOSE int fd = -1;

	if (dir < 0 || h->absent == KF_ABSENT_FINE)
		return 0;
	if (h->absent == KF_ABSENT_PARENT)
		return kf_fail(h->err, ENOENT,
			       "'%s' of the container cannot be kept from being made: a symlink "
			       "is on the way, or its directory has just been made; create the "
			       "container again, or make it by hand",
			       path);
	if (kf_readonly_make(dir, name, h->absent == KF_ABSENT_DIR, h->err) < 0)
		return kf_fail_wrap(h->err, "'%s' of the container", path);
	fd = open_at(dir, name, O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return kf_fail_sys(h->err, "open '%s' of the container", path);
	return mount_over(h, fd, fd, true, path);
}

static int protect_path(struct hook *h, const char *path, unsigned links);

/* @link, @n bytes into @path, is a symlink: protect what it leads to, and cover the
 * symlink itself so that it leads nowhere else tomorrow, which the kernel can do for
 * one to a file only.  Symlinks in "/" cannot be changed by anyone whom a profile
 * confines. */
static int protect_link(struct hook *h, int link, const char *path, size_t n, unsigned links)
{
	const bool last = !path[n];
	const bool top = !memchr(path + 1, '/', n - 1);
	char prefix[PATH_MAX], real[2 * PATH_MAX];
	KF_CLOSE int target = -1;
	struct stat st;

	if (!links)
		return kf_fail(h->err, ELOOP, "'%s' of the container: too many symlinks", path);
	(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)n, path);
	target = open_at(h->root, prefix, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (target < 0 && !last && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return check_absent(h, -1, NULL, path);
	if (target < 0)
		return kf_fail_sys(h->err,
				   "'%s' of the container is a symlink that leads nowhere, so that "
				   "'fs readonly' cannot hold; remove it",
				   prefix);
	if (fstat(target, &st) < 0)
		return kf_fail_sys(h->err, "stat '%s' of the container", prefix);
	if (!top && S_ISDIR(st.st_mode))
		return kf_fail(
			h->err, EPERM,
			"'%s' of the container is a symlink to a directory, which cannot be "
			"kept from being replaced, so that 'fs readonly' cannot hold; have a "
			"directory there, or lift the rule with filesystem.bypass_protection",
			prefix);
	if (path_inside(h, target, real) < 0)
		return -1;
	if (strcmp(real, "/") == 0 || kf_path_under(real, "/proc") || kf_path_under(real, "/sys"))
		return kf_fail(h->err, EPERM,
			       "'%s' of the container is a symlink to '%s', so that 'fs readonly' "
			       "cannot hold; remove it",
			       prefix, real);
	(void)snprintf(real + strlen(real), PATH_MAX, "%s", path + n);
	if (protect_path(h, real, links - 1) < 0)
		return -1;
	if (top)
		return 0;
	/* Again, for what has been mounted there just now. */
	(void)close(target);
	target = open_at(h->root, prefix, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (target < 0)
		return kf_fail_sys(h->err, "open '%s' of the container", prefix);
	return mount_over(h, target, link, true, prefix);
}

/* Make @path, absolute and clean, read-only, and pin the directories on the way. */
static int protect_path(struct hook *h, const char *path, unsigned links)
{
	KF_CLOSE int dir = dup(h->root);
	size_t n = 0;

	if (dir < 0 || strlen(path) >= PATH_MAX)
		return kf_fail(h->err, ENAMETOOLONG, "'%.80s'", path);
	while (path[n]) {
		const size_t start = n + 1, len = strcspn(path + start, "/");
		char name[NAME_MAX + 1];
		KF_CLOSE int fd = -1;
		struct stat st;

		if (len > NAME_MAX)
			return check_absent(h, -1, NULL, path);
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, path + start);
		n = start + len;
		fd = open_at(dir, name, O_NOFOLLOW, RESOLVE_BENEATH);
		if (fd < 0 && errno == ENOENT)
			return check_absent(h, path[n] ? -1 : dir, name, path);
		if (fd < 0 && errno == ENOTDIR)
			return check_absent(h, -1, NULL, path);
		if (fd < 0 || fstat(fd, &st) < 0)
			return kf_fail_sys(h->err, "open '%.*s' of the container", (int)n, path);
		if (S_ISLNK(st.st_mode))
			return protect_link(h, fd, path, n, links);
		if (!path[n])
			return mount_over(h, fd, fd, true, path);
		/* Nothing grants writing to "/" itself. */
		if (start > 1 && S_ISDIR(st.st_mode) && !is_mount_point(fd)) {
			if (mount_over(h, fd, fd, false, path) < 0)
				return -1;
			(void)close(fd);
			fd = open_at(dir, name, O_NOFOLLOW, RESOLVE_BENEATH);
			if (fd < 0)
				return kf_fail_sys(h->err, "open '%.*s' of the container", (int)n,
						   path);
		}
		(void)close(dir);
		dir = kf_steal_fd(&fd);
	}
	return 0;
}

static int run_hook(int argc, char **argv, struct kf_err *err)
{
	struct hook h = {.root = -1, .err = err};
	char state[4096], link[64];
	ssize_t n;

	/* The runtime writes the container's state and may wait until it is read. */
	while (read(STDIN_FILENO, state, sizeof(state)) > 0)
		;
	if (argc < 2)
		return kf_fail(err, EINVAL, "no root");
	h.root = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h.root < 0)
		return kf_fail_sys(err, "open '%s'", argv[1]);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", h.root);
	n = readlink(link, h.at, sizeof(h.at) - 1);
	if (n < 0)
		return kf_fail_sys(err, "readlink '%s'", link);
	h.at[n] = '\0';
	h.nat = (size_t)n;
	for (int i = 2; i < argc; i++) {
		h.absent = (enum kf_readonly_absent)argv[i][0];
		if (!argv[i][0] || argv[i][1] != '/')
			return kf_fail(err, EINVAL, "'%s': not a path", argv[i]);
		if (protect_path(&h, argv[i] + 1, LINKS_MAX) < 0)
			return -1;
	}
	return 0;
}

int kf_readonly_hook(int argc, char **argv)
{
	struct kf_err err = {0};

	if (run_hook(argc, argv, &err) == 0)
		return 0;
	kf_err_wrap(&err, "fs readonly");
	kf_errlog(NULL, NULL, &err);
	return 1;
}

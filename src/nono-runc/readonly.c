/* SPDX-License-Identifier: Apache-2.0 */
/* Before "fs readonly" can be mounted: something has to be at each path.  Makes placeholders,
 * remembers which container needs them, removes them, and puts the hook into config.json.  The hook
 * itself is in readonly_hook.c. */
#include "nono-runc/readonly.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/path.h"
#include "nono-runc/record.h"
#include "oci/apply.h"
#include "oci/mask.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK	   ".lock"
/* The paths that were made for a container, one a line. */
#define RECORD_MAX (1024 * 1024)
#define SELF	   "/proc/self/exe"
/* Of a file system that answers. */
#define ASIDE_MS   5000

/* How a placeholder is told from what others left empty: 2001-02-03 04:05:06.070809 UTC. */
static const struct timespec sign = {.tv_sec = 981173106, .tv_nsec = 70809000};

struct placing {
	struct kf_oci *oci;
	int rootfs, bundle;
	int records;	       /* KF_READONLY_DIR */
	const char *in, *name; /* the bundle, and the container's record */
	int empty;	       /* the working directory is; -1: not looked yet */
	struct kf_err *err;
};

/* Where a path of the container lies on the host, before its mounts are made. */
struct spot {
	int dir;	    /* its directory; -1 if not there */
	bool volume, fixed; /* not of the container's own; nothing can be made there */
	bool fresh;	    /* made by the runtime: a tmpfs */
};

static int open_beneath(int dir, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	/* Some file systems keep microseconds or whole seconds only. */
	return a->tv_sec == b->tv_sec &&
	       (a->tv_nsec == b->tv_nsec || !a->tv_nsec || a->tv_nsec == b->tv_nsec / 1000 * 1000);
}

/* What a placeholder has to say.  Of the first two and .profile bash reads the first that
 * is there, so that an empty one would hide the next.  Where .git/commondir says that
 * another directory is git's, that one's configuration and hooks count. */
static const char *text_of(const char *name)
{
	static const char *const texts[][2] = {
		{".bash_profile", "[ ! -r ~/.bash_login ] || . ~/.bash_login\n"},
		{".bash_login", "[ ! -r ~/.profile ] || . ~/.profile\n"},
		{"commondir", ".\n"},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i][0], name) == 0)
			return texts[i][1];
	return "";
}

/* The mode does not count: the kubelet gives a volume of a pod with fsGroup another. */
static bool is_placeholder(const char *name, const struct stat *st)
{
	return (S_ISDIR(st->st_mode) ||
		(S_ISREG(st->st_mode) && (size_t)st->st_size == strlen(text_of(name)))) &&
	       same_time(&st->st_mtim, &sign);
}

int kf_readonly_make(int dirfd, const char *name, bool directory, struct kf_err *err)
{
	const struct timespec times[2] = {sign, sign};
	KF_CLOSE int fd = -1;

	if (directory && mkdirat(dirfd, name, 0700) < 0)
		return kf_fail_sys(err, "make directory '%s'", name);
	fd = directory ? openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		       : openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600);
	if (fd < 0)
		return kf_fail_sys(err, "make '%s'", name);
	if (!directory && kf_write_all(fd, text_of(name), strlen(text_of(name)), err) < 0)
		return -1;
	if (fchmod(fd, directory ? 0555 : 0444) < 0 || futimens(fd, times) < 0)
		return kf_fail_sys(err, "set mode and time of '%s'", name);
	return 0;
}

static const struct kf_view_mount *mount_of(const struct kf_view *view, const char *path,
					    size_t *ret_n)
{
	const struct kf_view_mount *found = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < view->nmounts; i++) {
		char at[PATH_MAX];

		if (!kf_path_clean(view->mounts[i].destination, at, sizeof(at)) ||
		    !kf_path_under(path, at) || strlen(at) < longest)
			continue;
		found = &view->mounts[i];
		longest = strlen(at);
	}
	*ret_n = longest;
	return found;
}

static bool has_option(const struct kf_view_mount *m, const char *a, const char *b)
{
	for (size_t i = 0; i < m->noptions; i++)
		if (strcmp(m->options[i], a) == 0 || strcmp(m->options[i], b) == 0)
			return true;
	return false;
}

/* The directory of @path, of which the first @n bytes are @top. */
static int open_parent(struct placing *w, int top, const char *path, size_t n, int *ret)
{
	char dir[PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%s", path + n + strspn(path + n, "/"));
	*(strrchr(dir, '/') ? strrchr(dir, '/') : dir) = '\0';
	*ret = open_beneath(top, dir);
	if (*ret < 0 && errno == ELOOP)
		return kf_fail(
			w->err, ELOOP,
			"a symlink is on the way to '%s', which cannot be kept from being "
			"replaced, so that 'fs readonly' cannot hold; have a directory there, "
			"or lift the rule with filesystem.bypass_protection",
			path);
	if (*ret < 0 && errno != ENOENT && errno != ENOTDIR)
		return kf_fail_sys(w->err, "open the directory of '%s'", path);
	return 0;
}

/* What is at @name is a symlink: to a file it can be kept.  Where it leads out of the
 * volume only the hook can see. */
static int check_link(struct placing *w, int dir, const char *name, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	KF_CLOSE int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	struct stat st;

	if (fd < 0 && errno == EXDEV)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		return kf_fail(
			w->err, ELOOP,
			"'%s' is a symlink to %s, which cannot be kept from being replaced, "
			"so that 'fs readonly' cannot hold; remove it, or lift the rule with "
			"filesystem.bypass_protection",
			path, fd < 0 ? "nothing" : "a directory");
	return 0;
}

/* The image's own symlinks in "/", which nobody can change: /home may be /var/home. */
static int in_image(struct placing *w, const char *path, int *ret)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	size_t n = 1 + strcspn(path + 1, "/");
	char first[NAME_MAX + 2];
	KF_CLOSE int top = -1;

	(void)snprintf(first, sizeof(first), "%.*s", (int)n, path);
	top = (int)syscall(SYS_openat2, w->rootfs, first, &how, sizeof(how));
	if (top < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : kf_fail_sys(w->err, "open '%s' of the image", first);
	return open_parent(w, top, path, n, ret);
}

static int find_spot(struct placing *w, const char *path, struct spot *ret)
{
	struct spot spot = {.dir = -1};
	size_t n;
	const struct kf_view_mount *m = mount_of(&w->oci->view, path, &n);
	KF_CLOSE int top = -1;
	struct stat st;

	if (!m) {
		if (in_image(w, path, &spot.dir) < 0)
			return -1;
		*ret = spot;
		return 0;
	}
	if (has_option(m, "shared", "rshared"))
		return kf_fail(w->err, EPERM,
			       "'%s' lies in the volume at '%s', whose mounts the node shares "
			       "(mountPropagation Bidirectional): 'fs readonly' would reach the "
			       "node; lift it with filesystem.bypass_protection",
			       path, m->destination);
	spot.volume = true;
	spot.fresh = strcmp(m->type, "bind") != 0 && !has_option(m, "bind", "rbind");
	spot.fixed = has_option(m, "ro", "rro");
	if (!spot.fresh && path[n]) {
		top = openat(w->bundle, m->source, O_PATH | O_CLOEXEC);
		if (top < 0 || fstat(top, &st) < 0)
			return kf_fail_sys(w->err, "open the volume '%s'", m->source);
		if (S_ISDIR(st.st_mode) && open_parent(w, top, path, n, &spot.dir) < 0)
			return -1;
	}
	*ret = spot;
	return 0;
}

static bool is_empty(int dirfd)
{
	KF_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool empty = true;
	struct dirent *e;

	if (!d)
		return false;
	fd = -1;
	while (empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	(void)closedir(d);
	return empty;
}

/* The mount namespace that paths are looked up in; 0 if that cannot be told. */
static unsigned long long mount_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/mnt", &st) < 0 ? 0 : st.st_ino;
}

/* The container's record: "bundle NAMESPACE PATH", then "DEV INO PATH" of what is to be removed
 * some day.  A container of this name that exists keeps what it has. */
static int add_to_record(struct placing *w, const struct stat *st, const char *dir,
			 const char *name)
{
	KF_CLOSE int fd = openat(w->records, w->name,
				 O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct kf_buf text = KF_BUF_INIT(RECORD_MAX);
	struct stat record;
	int r = -1;

	if (fd < 0 || fstat(fd, &record) < 0)
		return kf_fail_sys(w->err, "open " KF_READONLY_DIR "/%s", w->name);
	if (!record.st_size)
		kf_buf_addf(&text, "bundle %llu %s\n", mount_namespace(), w->in);
	kf_buf_addf(&text, "%llu %llu %s/%s\n", (unsigned long long)st->st_dev,
		    (unsigned long long)st->st_ino, dir, name);
	if (text.failed || (size_t)record.st_size + text.n > RECORD_MAX)
		(void)kf_fail(w->err, E2BIG, "too many placeholders for 'fs readonly'");
	else
		r = kf_write_all(fd, text.p, text.n, w->err);
	kf_buf_done(&text);
	return r;
}

/* Remember that @name in @dir, if it is a placeholder, needs to be removed. */
static int remember_place(struct placing *w, int dir, const char *name)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return kf_fail_sys(w->err, "stat '%s'", name);
	if (!is_placeholder(name, &st))
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return kf_fail_sys(w->err, "readlink '%s'", link);
	path[n] = '\0';
	if (strchr(path, '\n'))
		return kf_fail(w->err, EINVAL, "the volume's path '%s' has a line break", path);
	return add_to_record(w, &st, path, name);
}

static int open_records(struct kf_err *err)
{
	int dir = open(KF_READONLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 && errno == ENOENT && kf_mkdir_parents(KF_READONLY_DIR, 0700, err) < 0)
		return -1;
	if (dir < 0)
		dir = open(KF_READONLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return dir < 0 ? kf_fail_sys(err, "open " KF_READONLY_DIR) : dir;
}

/* Until it is closed nobody else makes or removes a placeholder on the file system @dev, whose
 * number is the place of the lock in the file.  One lock for all would be held by whoever waits for
 * a file system that does not answer: the node's other containers are not to wait with him. */
static int lock_system(int records, dev_t dev, struct kf_err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = openat(records, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	lock.l_start = (off_t)(dev & INT64_MAX);
	if (fd < 0)
		return kf_fail_sys(err, "open " KF_READONLY_DIR "/" LOCK);
	while (fcntl(fd, F_OFD_SETLKW, &lock) < 0) {
		if (errno == EINTR)
			continue;
		(void)close(fd);
		return kf_fail_sys(err, "lock " KF_READONLY_DIR "/" LOCK);
	}
	return fd;
}

/* With the lock of its file system: see to it that there is something at @name in @dir. */
static int fill_place(struct placing *w, const struct kf_oci_readonly *r, int dir, const char *name,
		      bool volume, enum kf_readonly_absent *ret)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode) && check_link(w, dir, name, r->path) < 0)
			return -1;
		return volume ? remember_place(w, dir, name) : 0;
	}
	if (errno != ENOENT)
		return kf_fail_sys(w->err, "stat '%s'", r->path);
	/* An empty project stays empty, so that one can be cloned into it. */
	if (r->workdir && strncmp(r->path, w->oci->cwd, (size_t)(name - r->path - 1)) == 0) {
		if (w->empty < 0)
			w->empty = is_empty(dir);
		if (w->empty) {
			*ret = KF_ABSENT_FINE;
			return 0;
		}
	}
	if (kf_readonly_make(dir, name, r->directory, w->err) < 0) {
		if (w->err->code != EROFS)
			return kf_fail_wrap(w->err, "fs readonly %s, which is not there yet",
					    r->path);
		*ret = KF_ABSENT_FINE;
		return 0;
	}
	return volume ? remember_place(w, dir, name) : 0;
}

/* See to it that there is something at @path to be made read-only; what the hook is
 * to do if there is nothing. */
static int place_one(struct placing *w, const struct kf_oci_readonly *r,
		     enum kf_readonly_absent *ret)
{
	const char *name = kf_path_base(r->path);
	KF_CLOSE int dir = -1, lock = -1;
	struct spot spot;
	struct stat st;

	*ret = KF_ABSENT_FINE;
	/* Nothing grants writing to "/" itself. */
	if (name == r->path + 1)
		return 0;
	if (find_spot(w, r->path, &spot) < 0)
		return -1;
	dir = spot.dir;
	if (spot.fixed)
		return 0;
	*ret = spot.fresh ? r->directory ? KF_ABSENT_DIR : KF_ABSENT_FILE : KF_ABSENT_PARENT;
	if (dir < 0)
		return 0;
	if (fstat(dir, &st) < 0)
		return kf_fail_sys(w->err, "stat the directory of '%s'", r->path);
	if (spot.volume && (lock = lock_system(w->records, st.st_dev, w->err)) < 0)
		return -1;
	return fill_place(w, r, dir, name, spot.volume, ret);
}

/* Call @fn with each record, its text and its name, until it returns true.  Also true if there is
 * one that cannot be read: who knows what it says.  One that goes meanwhile says nothing. */
static bool each_record(int dirfd, bool (*fn)(int dirfd, const char *name, char *text, void *ctx),
			void *ctx)
{
	KF_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool found = false, failed = false;
	struct dirent *e;

	if (!d)
		return true;
	fd = -1;
	while (!found && (errno = 0, e = readdir(d))) {
		KF_FREE char *text = NULL;
		struct kf_err why;

		if (e->d_name[0] == '.')
			continue;
		if (kf_file_slurp(dirfd, e->d_name, RECORD_MAX, &text, NULL, &why) == 0)
			found = fn(dirfd, e->d_name, text, ctx);
		else
			failed |= why.code != ENOENT;
	}
	failed |= !found && errno != 0;
	(void)closedir(d);
	return found || failed;
}

struct needed {
	const char *line, *except;
	size_t n; /* of the line, DEV and INO with the spaces behind them */
};

static bool needs_place(int dirfd, const char *name, char *text, void *ctx)
{
	const struct needed *needed = ctx;

	(void)dirfd;
	if (strcmp(name, needed->except) == 0)
		return false;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, needed->line, needed->n) == 0)
			return true;
	}
	return false;
}

/* Remove what @line names, if it still is what we made and no container needs it.  The lock is that
 * of the file system that is there now, once it has answered. */
static void remove_placeholder(int records, const struct needed *needed)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	const char *where = needed->line + needed->n;
	unsigned long long dev, ino;
	KF_CLOSE int dir = -1, lock = -1;
	char path[PATH_MAX], *name;
	struct stat st;

	if (sscanf(needed->line, "%llu %llu ", &dev, &ino) != 2 || *where != '/' ||
	    strlen(where) >= sizeof(path))
		return;
	memcpy(path, where, strlen(where) + 1);
	name = strrchr(path, '/');
	*name++ = '\0';
	dir = (int)syscall(SYS_openat2, AT_FDCWD, *path ? path : "/", &how, sizeof(how));
	if (dir < 0 || fstat(dir, &st) < 0 || st.st_dev != dev)
		return;
	lock = lock_system(records, st.st_dev, KF_ERR_IGNORED);
	if (lock < 0 || each_record(records, needs_place, (void *)(uintptr_t)needed) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev ||
	    st.st_ino != ino || !is_placeholder(name, &st))
		return;
	/* A directory that is not empty stays. */
	(void)unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

/* Drop record @name and the placeholders that only it needs.  The record goes first: of two that
 * end at once, the one that is later at a placeholder has to see that nobody needs it. */
static bool drop_record(int dirfd, const char *name, char *text, void *ctx)
{
	char *next = strchr(text, '\n');

	(void)ctx;
	(void)unlinkat(dirfd, name, 0);
	for (char *line = next ? next + 1 : NULL; line && *line; line = next) {
		struct needed needed = {.line = line, .except = name};
		const char *space;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		space = strchr(line, ' ');
		space = space ? strchr(space + 1, ' ') : NULL;
		if (!space)
			continue;
		needed.n = (size_t)(space + 1 - line);
		remove_placeholder(dirfd, &needed);
	}
	return false;
}

/* Whether the container of a record never came to be or was not deleted: its bundle is gone.  The
 * first line is "bundle NAMESPACE PATH"; in another namespace we could not see it. */
static bool is_stale(int dirfd, const char *name, char *text, void *ctx)
{
	char *end = strchr(text, '\n');
	unsigned long long ns;
	struct stat st;
	int at = 0;
	bool gone;

	(void)dirfd;
	(void)name;
	(void)ctx;
	if (!end || sscanf(text, "bundle %llu %n", &ns, &at) != 1 || !at || !ns ||
	    ns != mount_namespace())
		return false;
	*end = '\0';
	gone = lstat(text + at, &st) < 0 && errno == ENOENT;
	*end = '\n';
	return gone;
}

static bool drop_stale(int dirfd, const char *name, char *text, void *ctx)
{
	return is_stale(dirfd, name, text, ctx) && drop_record(dirfd, name, text, ctx);
}

static void drop_all_stale(int dirfd, void *ctx)
{
	(void)each_record(dirfd, drop_stale, ctx);
}

/* Nothing that somebody waits for the end of is kept open. */
static int keep_open(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
	if (kept > 3)
		(void)syscall(SYS_close_range, 3, kept - 1, 0);
	(void)syscall(SYS_close_range, kept + 1, ~0U, 0);
	return kept;
}

/* Have another process do @fn, with volumes of whoever's, and wait for it as long as a file system
 * takes that answers.  One that does not is waited for by that process alone. */
static void do_aside(int dirfd, void (*fn)(int dirfd, void *ctx), void *ctx)
{
	struct pollfd end = {.events = POLLIN};
	pid_t child = fork();

	if (child == 0) {
		fn(keep_open(dirfd), ctx);
		_exit(0);
	}
	if (child < 0)
		return;
	end.fd = (int)syscall(SYS_pidfd_open, child, 0);
	if (end.fd >= 0) {
		while (poll(&end, 1, ASIDE_MS) < 0 && errno == EINTR)
			;
		(void)close(end.fd);
	}
	(void)waitpid(child, NULL, WNOHANG);
}

static int place_all(struct placing *w, const struct kf_oci_readonly *v, size_t n,
		     const char **args)
{
	for (size_t i = 0; i < n; i++) {
		enum kf_readonly_absent absent;

		if (place_one(w, &v[i], &absent) < 0)
			return -1;
		args[i] = kf_arena_printf(&w->oci->arena, "%c%s", (char)absent, v[i].path);
		if (!args[i])
			return kf_fail_nomem(w->err, "readonly");
	}
	return 0;
}

static int add_hook(struct placing *w, const char *bundle, const char **args, size_t n)
{
	const char *rootfs = w->oci->rootfs;
	char self[PATH_MAX];
	ssize_t len = readlink(SELF, self, sizeof(self) - 1);

	if (len < 0)
		return kf_fail_sys(w->err, "readlink " SELF);
	self[len] = '\0';
	args[0] = KF_READONLY_HOOK;
	args[1] =
		*rootfs == '/' ? rootfs : kf_arena_printf(&w->oci->arena, "%s/%s", bundle, rootfs);
	if (!args[1])
		return kf_fail_nomem(w->err, "readonly");
	return kf_oci_add_hook(w->oci, self, args, n, w->err);
}

int kf_readonly_prepare(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
			const char *bundle, const char *root, const char *id, struct kf_err *err)
{
	struct placing w = {
		.oci = oci,
		.rootfs = rootfs_fd,
		.in = bundle,
		.empty = -1,
		.err = err,
	};
	KF_CLOSE int bundle_fd = -1, dir = -1;
	char name[KF_RECORD_NAME];
	struct kf_oci_readonly *v;
	const char **args;
	size_t n;

	if (!profile->nreadonly)
		return 0;
	if (kf_oci_readonly(oci, profile, rootfs_fd, &v, &n, err) < 0 ||
	    kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	args = kf_arena_calloc(&oci->arena, n + 2, sizeof(*args));
	if (!args)
		return kf_fail_nomem(err, "readonly");
	w.bundle = bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bundle_fd < 0)
		return kf_fail_sys(err, "open '%s'", bundle);
	w.records = dir = open_records(err);
	if (dir < 0)
		return -1;
	w.name = name;
	if (each_record(dir, is_stale, NULL))
		do_aside(dir, drop_all_stale, NULL);
	return place_all(&w, v, n, args + 2) < 0 ? -1 : add_hook(&w, bundle, args, n + 2);
}

static void drop_named(int dirfd, void *ctx)
{
	KF_FREE char *text = NULL;

	if (kf_file_slurp(dirfd, ctx, RECORD_MAX, &text, NULL, KF_ERR_IGNORED) == 0)
		(void)drop_record(dirfd, ctx, text, NULL);
}

void kf_readonly_release(const char *root, const char *id)
{
	KF_CLOSE int dir = open(KF_READONLY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[KF_RECORD_NAME];

	if (dir < 0 || kf_guard_record_name(root, id, name, KF_ERR_IGNORED) < 0 ||
	    faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	do_aside(dir, drop_named, name);
}

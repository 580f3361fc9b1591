/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host that is set up: reading, replacing, removing, listing and locking them below
 * its root, which may be mounted somewhere in our container.  Programs of the host are run in
 * run.c. */
#include "host/host.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* The SELinux label of files that containers may read and execute and that no confined program may
 * write. */
#define SELINUX_LABEL "system_u:object_r:container_ro_file_t:s0"
#define GLOB_MAX      1024

int kf_host_open(const char *root, struct kf_host *ret, struct kf_err *err)
{
	struct kf_host out = {.root = root};
	struct stat a, b;

	out.fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (out.fd < 0)
		return kf_fail_sys(err, "host root '%s'", root);
	if (fstat(out.fd, &a) < 0 || stat("/", &b) < 0) {
		kf_host_done(&out);
		return kf_fail_sys(err, "host root '%s'", root);
	}
	out.here = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	*ret = out;
	return 0;
}

void kf_host_done(struct kf_host *host)
{
	if (host->fd >= 0)
		(void)close(host->fd);
	host->fd = -1;
}

static int open_in_root(const struct kf_host *host, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: something was renamed meanwhile; safe to repeat. */
	do
		fd = syscall(SYS_openat2, host->fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

int kf_host_fd(const struct kf_host *host, const char *path, int flags, int *ret_fd,
	       struct kf_err *err)
{
	int fd = open_in_root(host, path, flags);

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", path);
	*ret_fd = fd;
	return 0;
}

/* What descriptor @fd is open on, as a path of this process's root. */
static int read_fd_path(int fd, char ret[static PATH_MAX], struct kf_err *err)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n <= 0)
		return kf_fail_sys(err, "readlink '%s'", link);
	ret[n] = '\0';
	return 0;
}

int kf_host_real(const struct kf_host *host, const char *path, char *ret, size_t size,
		 struct kf_err *err)
{
	char root[PATH_MAX], real[PATH_MAX];
	KF_CLOSE int fd = -1;
	size_t n;

	if (kf_host_fd(host, path, O_PATH, &fd, err) < 0 || read_fd_path(host->fd, root, err) < 0 ||
	    read_fd_path(fd, real, err) < 0)
		return -1;
	n = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(real, root, n) != 0 || real[n] != '/' || strlen(real + n) >= size)
		return kf_fail(err, ENAMETOOLONG,
			       "'%s' leads out of the host's root, or is too long", path);
	memcpy(ret, real + n, strlen(real + n) + 1);
	return 0;
}

int kf_host_dir(const struct kf_host *host, const char *path, bool create, int *ret_fd,
		struct kf_err *err)
{
	KF_CLOSE int at = -1;
	char part[PATH_MAX];
	size_t n = strlen(path), len;

	if (path[0] != '/' || n >= sizeof(part))
		return kf_fail(err, EINVAL, "'%s': not an absolute path of usable length", path);
	at = open_in_root(host, path, O_RDONLY | O_DIRECTORY);
	if (at < 0 && (errno != ENOENT || !create))
		return kf_fail_sys(err, "directory '%s'", path);
	if (at >= 0) {
		*ret_fd = kf_steal_fd(&at);
		return 0;
	}
	at = open_in_root(host, "/", O_RDONLY | O_DIRECTORY);
	for (len = 1; at >= 0 && len <= n; len++) {
		bool made;
		int next;

		if (path[len] != '/' && path[len] != '\0')
			continue;
		memcpy(part, path, len);
		part[len] = '\0';
		if (kf_mkdir_at(at, kf_path_base(part), 0755, &made, err) < 0)
			return kf_fail_wrap(err, "'%s'", part);
		if (made)
			(void)fsync(at);
		next = open_in_root(host, part, O_RDONLY | O_DIRECTORY);
		(void)close(at);
		at = next;
	}
	if (at < 0)
		return kf_fail_sys(err, "directory '%s'", path);
	*ret_fd = kf_steal_fd(&at);
	return 0;
}

/* Open the directory that holds @path; *ret_name is the last component. */
static int open_parent(const struct kf_host *host, const char *path, bool create, int *ret_fd,
		       const char **ret_name, struct kf_err *err)
{
	const char *name = kf_path_base(path);
	char dir[PATH_MAX];
	size_t n = (size_t)(name - path);

	if (path[0] != '/' || !*name || n >= sizeof(dir))
		return kf_fail(err, EINVAL, "'%s': not the absolute path of a file", path);
	memcpy(dir, path, n);
	dir[n > 1 ? n - 1 : n] = '\0';
	*ret_name = name;
	return kf_host_dir(host, dir, create, ret_fd, err);
}

int kf_host_read(const struct kf_host *host, const char *path, size_t max, char **ret,
		 size_t *ret_n, struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (kf_host_fd(host, path, O_RDONLY | O_NONBLOCK, &fd, err) < 0)
		return -1;
	return kf_fd_slurp(fd, path, max, ret, ret_n, err);
}

static int set_label(const struct kf_host *host, int dir, const char *name, const char *path,
		     struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (!kf_host_exists(host, "/sys/fs/selinux/enforce"))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 ||
	    (fsetxattr(fd, "security.selinux", SELINUX_LABEL, sizeof(SELINUX_LABEL), 0) < 0 &&
	     errno != ENOTSUP))
		return kf_fail_sys(err, "SELinux label of '%s'", path);
	return 0;
}

/* Whether a program may read every file beside @path: CRI-O and Kata read all files of a directory
 * of drop-ins, hidden ones too. */
static bool is_dropin(const char *path)
{
	const char *name = kf_path_base(path);

	return (name - path > 3 && memcmp(name - 3, ".d/", 3) == 0) ||
	       strstr(name, "-kubefence.") != NULL;
}

/* The directory above that of @path, with its slash: a new string, NULL if out of memory. */
static char *directory_above(const char *path)
{
	size_t n = (size_t)(kf_path_base(path) - path);

	n -= n > 1;
	while (n && path[n - 1] != '/')
		n--;
	return strndup(n ? path : "/", n ? n : 1);
}

/* Open the directory for the temporary file of @path, whose own directory is @dir.  It must be on
 * the same mount, so that the file can be renamed. */
static int open_aside(const struct kf_host *host, const char *path, int dir, int *ret_fd,
		      struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *up = directory_above(path);
	struct statx a, b;

	if (!up)
		return kf_fail_nomem(err, path);
	if (kf_host_dir(host, up, false, &fd, err) < 0)
		return -1;
	if (statx(dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &a) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &b) < 0)
		return kf_fail_sys(err, "mount of '%s'", up);
	if (a.stx_mnt_id == b.stx_mnt_id)
		*ret_fd = kf_steal_fd(&fd);
	return 0;
}

/* Check that the file at @path in @dir may be replaced. */
static int check_entry(int dir, const char *name, const char *path, struct kf_err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(err, "stat '%s'", path);
	if (S_ISREG(st.st_mode))
		return 0;
	return kf_fail(
		err, EINVAL,
		"'%s' is not a regular file; something else manages it; make the change there",
		path);
}

/* The advice for systems with a read-only root: where to put such a setting instead. */
static const char *image_remedy(const struct kf_host *host)
{
	static const struct {
		const char *id, *remedy;
	} systems[] = {
		{"\nID=talos\n", "machine.files of Talos's machine configuration, path "
				 "/etc/cri/conf.d/20-customization.part"},
		{"\nID=flatcar\n", "a drop-in of containerd's unit with "
				   "Environment=CONTAINERD_CONFIG=/etc/containerd/config.toml"},
		{"\nID=nixos\n", "virtualisation.containerd.settings"},
	};
	KF_FREE char *text = NULL, *lines = NULL;
	size_t n;

	if (kf_host_read(host, "/etc/os-release", 64 * 1024, &text, &n, KF_ERR_IGNORED) == 0 &&
	    asprintf(&lines, "\n%s\n", text) >= 0)
		for (size_t i = 0; i < KF_ARRAY_SIZE(systems); i++)
			if (strstr(lines, systems[i].id))
				return systems[i].remedy;
	return "there, or have the runtime's unit read a file that can be changed (containerd: "
	       "--config)";
}

int kf_host_check_replace(const struct kf_host *host, const char *path, struct kf_err *err)
{
	const char *name = kf_path_base(path);
	char part[PATH_MAX];
	size_t n = (size_t)(name - path);
	KF_CLOSE int dir = -1;
	struct statvfs fs;

	if (path[0] != '/' || n >= sizeof(part))
		return kf_fail(err, EINVAL, "'%s': not the absolute path of a file", path);
	memcpy(part, path, n);
	/* Look at the nearest directory that exists; the others would be made. */
	for (; n; n--) {
		part[n > 1 ? n - 1 : n] = '\0';
		dir = open_in_root(host, part, O_RDONLY | O_DIRECTORY);
		if (dir >= 0 || errno != ENOENT)
			break;
		while (n > 1 && part[n - 2] != '/')
			n--;
	}
	if (dir < 0 || fstatvfs(dir, &fs) < 0)
		return kf_fail_sys(err, "directory of '%s'", path);
	if (fs.f_flag & ST_RDONLY)
		return kf_fail(
			err, EROFS,
			"'%s' is on a read-only file system: this node's configuration comes "
			"with its image or from elsewhere; set it up %s",
			path, image_remedy(host));
	return n == (size_t)(name - path) ? check_entry(dir, name, path, err) : 0;
}

/* Replace @path; with owner and mode of @like, or root's with @mode if that is NULL. */
static int replace_file(const struct kf_host *host, const char *path, const void *data, size_t n,
			mode_t mode, const struct stat *like, struct kf_err *err)
{
	KF_CLOSE int dir = -1, aside = -1;
	const char *name;

	if (open_parent(host, path, true, &dir, &name, err) < 0)
		return -1;
	if (check_entry(dir, name, path, err) < 0)
		return -1;
	if (is_dropin(path) && open_aside(host, path, dir, &aside, err) < 0)
		return -1;
	if (kf_file_replace_owned(dir, aside >= 0 ? aside : dir, name, data, n,
				  like ? like->st_mode & 07777 : mode,
				  like ? like->st_uid : (uid_t)-1, like ? like->st_gid : (gid_t)-1,
				  err) < 0)
		return kf_fail_wrap(err, "'%s'", path);
	/* Containers read only files of our own directories. */
	return strncmp(path, "/opt/", 5) == 0 ? set_label(host, dir, name, path, err) : 0;
}

int kf_host_write(const struct kf_host *host, const char *path, const void *data, size_t n,
		  mode_t mode, struct kf_err *err)
{
	return replace_file(host, path, data, n, mode, NULL, err);
}

int kf_host_rewrite(const struct kf_host *host, const char *path, const void *data, size_t n,
		    struct kf_err *err)
{
	KF_CLOSE int dir = -1;
	const char *name;
	struct stat st;

	if (open_parent(host, path, true, &dir, &name, err) < 0)
		return -1;
	/* Keep the mode: a configuration may hold registry credentials. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return replace_file(host, path, data, n, 0, &st, err);
	return errno == ENOENT ? replace_file(host, path, data, n, 0644, NULL, err)
			       : kf_fail_sys(err, "stat '%s'", path);
}

int kf_host_remove(const struct kf_host *host, const char *path, struct kf_err *err)
{
	KF_CLOSE int dir = -1;
	const char *name;

	if (open_parent(host, path, false, &dir, &name, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (unlinkat(dir, name, 0) < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(err, "remove '%s'", path);
	return fsync(dir) < 0 ? kf_fail_sys(err, "sync directory of '%s'", path) : 0;
}

void kf_host_rmdir(const struct kf_host *host, const char *path)
{
	KF_CLOSE int dir = -1;
	const char *name;

	if (open_parent(host, path, false, &dir, &name, KF_ERR_IGNORED) == 0)
		(void)unlinkat(dir, name, AT_REMOVEDIR);
}

int kf_host_rename(const struct kf_host *host, const char *from, const char *to, struct kf_err *err)
{
	KF_CLOSE int dir = -1;
	const char *name;

	if (open_parent(host, from, false, &dir, &name, err) < 0)
		return -1;
	if (renameat2(dir, name, dir, kf_path_base(to), RENAME_NOREPLACE) < 0)
		return kf_fail_sys(err, "rename '%s' to '%s'", from, to);
	return fsync(dir) < 0 ? kf_fail_sys(err, "sync directory of '%s'", to) : 0;
}

bool kf_host_exists(const struct kf_host *host, const char *path)
{
	KF_CLOSE int fd = open_in_root(host, path, O_PATH);

	return fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
}

const char *kf_host_first(const struct kf_host *host, const char *const *paths)
{
	for (; *paths; paths++)
		if (kf_host_exists(host, *paths))
			return *paths;
	return NULL;
}

void kf_host_list_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int glob_dir(DIR *dir, const char *pattern, size_t ndir, char **list, struct kf_err *err)
{
	const char *base = pattern + ndir, *star = strchr(base, '*');
	size_t head = star ? (size_t)(star - base) : strlen(base), n = 0;
	size_t tail = star ? strlen(star + 1) : 0;
	struct dirent *de;

	for (;;) {
		size_t len;

		errno = 0;
		de = readdir(dir);
		if (!de && errno)
			return kf_fail_sys(err, "read directory of '%s'", pattern);
		if (!de)
			break;
		len = strlen(de->d_name);
		if (!star ? strcmp(de->d_name, base) != 0
			  : (len < head + tail || strncmp(de->d_name, base, head) != 0 ||
			     strcmp(de->d_name + len - tail, star + 1) != 0))
			continue;
		if (de->d_name[0] == '.' && base[0] != '.')
			continue;
		if (n == GLOB_MAX)
			return kf_fail(err, E2BIG, "'%s': more than %d files", pattern, GLOB_MAX);
		if (asprintf(&list[n], "%.*s%s", (int)ndir, pattern, de->d_name) < 0) {
			list[n] = NULL;
			return kf_fail_nomem(err, pattern);
		}
		n++;
	}
	qsort(list, n, sizeof(*list), by_name);
	return 0;
}

int kf_host_glob(const struct kf_host *host, const char *pattern, char ***ret, struct kf_err *err)
{
	char **list = calloc(GLOB_MAX + 1, sizeof(*list));
	const char *name;
	DIR *dir;
	int fd, r;

	if (!list)
		return kf_fail_nomem(err, pattern);
	if (open_parent(host, pattern, false, &fd, &name, err) < 0) {
		if (err->code == ENOENT) {
			*ret = list;
			return 0;
		}
		free(list);
		return -1;
	}
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		free(list);
		return kf_fail_sys(err, "read directory of '%s'", pattern);
	}
	r = glob_dir(dir, pattern, (size_t)(name - pattern), list, err);
	(void)closedir(dir);
	if (r < 0)
		kf_host_list_free(list);
	else
		*ret = list;
	return r;
}

/* Remove the temporary files of file @name in directory @dir, whose name has @n bytes and ends in a
 * slash. */
static int sweep_in(const struct kf_host *host, const char *dir, size_t n, const char *name,
		    struct kf_err *err)
{
	KF_FREE char *pattern = NULL;
	char **list;
	int r = 0;

	if (asprintf(&pattern, "%.*s.%s.*.tmp", (int)n, dir, name) < 0) {
		pattern = NULL;
		return kf_fail_nomem(err, name);
	}
	if (kf_host_glob(host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = kf_host_remove(host, *p, err);
	kf_host_list_free(list);
	return r;
}

int kf_host_sweep(const struct kf_host *host, const char *path, struct kf_err *err)
{
	const char *name = kf_path_base(path);
	KF_FREE char *up = directory_above(path);

	if (!up)
		return kf_fail_nomem(err, path);
	if (sweep_in(host, path, (size_t)(name - path), name, err) < 0)
		return -1;
	return is_dropin(path) ? sweep_in(host, up, strlen(up), name, err) : 0;
}

int kf_host_lock(const struct kf_host *host, const char *path, unsigned seconds, int *ret_fd,
		 struct kf_err *err)
{
	KF_CLOSE int dir = -1, fd = -1;
	const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	struct timespec start, now;
	const char *name;

	if (open_parent(host, path, true, &dir, &name, err) < 0)
		return -1;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return kf_fail_sys(err, "lock '%s'", path);
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return kf_fail_sys(err, "lock '%s'", path);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= (time_t)seconds)
			return kf_fail(err, EBUSY,
				       "'%s' is held by another node set-up for more than %u s; "
				       "wait for it to end",
				       path, seconds);
		(void)nanosleep(&pause, NULL);
	}
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

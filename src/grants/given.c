/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at what a container was given beside files: a /proc of its own, and devices. */
#include "grants/given.h"

#include "base/cleanup.h"
#include "grants/rt.h"

#include <dirent.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define DEPTH_MAX   4
#define ENTRIES_MAX 4096
#define READ_ONLY   0x1	 /* ST_RDONLY */
#define SYS_ADMIN   21UL /* CAP_SYS_ADMIN; the launcher's headers have none of linux/ */

/* What of /proc is not about processes and can be written: the kubelet has it mounted read-only or
 * masked, whatever the kernel has of it. */
static const char kernels_own[][20] = {
	"/proc/sys", "/proc/sysrq-trigger", "/proc/irq",  "/proc/bus",
	"/proc/fs",  "/proc/acpi",	    "/proc/scsi", "/proc/asound",
};

static const char everywhere[][8] = {"console", "full", "null",	   "ptmx",
				     "random",	"tty",	"urandom", "zero"};
/* Directories that the runtime mounts in /dev, which hold no devices of the pod's. */
static const char passed_over[][8] = {"mqueue", "pts", "shm"};

/* A file that is masked is /dev/null. */
static bool is_null(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

bool kf_given_proc_closed(void)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(kernels_own); i++) {
		struct statfs st = {0}; /* whatever answers, only what is written here counts */

		if (syscall(SYS_statfs, kernels_own[i], &st) < 0) {
			if (errno == ENOENT)
				continue;
			return false;
		}
		if (!(st.f_flags & READ_ONLY) && !is_null(kernels_own[i]))
			return false;
	}
	return true;
}

bool kf_given_sys_admin(void)
{
	/* What is not in the bounding set, no process that enters has. */
	return prctl(PR_CAPBSET_READ, SYS_ADMIN, 0UL, 0UL, 0UL) != 0;
}

bool kf_given_own_pids(void)
{
	struct stat first, own;

	/* Process 1 of a namespace that is shared is the pod's pause program, another container's
	 * or the node's: in another mount namespace, or one that may not be looked at. */
	return stat("/proc/1/ns/mnt", &first) == 0 && stat("/proc/self/ns/mnt", &own) == 0 &&
	       first.st_dev == own.st_dev && first.st_ino == own.st_ino;
}

static bool is_one_of(const char *name, const char (*names)[8], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*name == names[i][0] && strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool kf_given_everywhere(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 &&
	       is_one_of(path + 5, everywhere, KF_ARRAY_SIZE(everywhere));
}

/* Directories that are being listed, and what is left to look at. */
struct search {
	struct {
		struct kf_listing dir;
		int fd;
		size_t path; /* length of its own */
	} at[DEPTH_MAX];
	size_t depth;
	unsigned left;
	char path[PATH_MAX];
};

/* Go into the directory @fd, the search's now, whose path is in s->path; false if that is too
 * deep. */
static bool enter_directory(struct search *s, int fd, size_t path)
{
	if (s->depth == DEPTH_MAX) {
		(void)close(fd);
		return false;
	}
	kf_listing_init(&s->at[s->depth].dir, fd);
	s->at[s->depth].fd = fd;
	s->at[s->depth++].path = path;
	return true;
}

/* What the entry @name of the directory that is listed is; 1 if there is more than is looked at. */
static int look_at(struct search *s, const char *name, kf_device_fn *fn, void *ctx,
		   struct kf_err *err)
{
	const size_t top = s->depth - 1, at = s->at[top].path, n = strlen(name);
	const unsigned char type = s->at[top].dir.type;
	KF_CLOSE int fd = -1;
	struct stat st;
	int dir;

	if (type == DT_LNK || (!top && (is_one_of(name, everywhere, KF_ARRAY_SIZE(everywhere)) ||
					is_one_of(name, passed_over, KF_ARRAY_SIZE(passed_over)))))
		return 0;
	if (at + 1 + n >= sizeof(s->path))
		return 1;
	s->path[at] = '/';
	memcpy(s->path + at + 1, name, n + 1);
	/* Other types lie: a device may be mounted over a file. */
	fd = kf_open(s->at[top].fd, name, O_PATH | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return fn(ctx, s->path, fd, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	/* Of a directory that may not be listed nothing is granted. */
	dir = kf_open(fd, ".", O_RDONLY | O_DIRECTORY);
	return dir < 0 || enter_directory(s, dir, at + 1 + n) ? 0 : 1;
}

int kf_given_devices(kf_device_fn *fn, void *ctx, struct kf_err *err)
{
	KF_UNINIT struct search s;
	int fd = kf_open(AT_FDCWD, "/dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ret = 0;

	if (fd < 0)
		return 0;
	s.depth = 0;
	s.left = ENTRIES_MAX;
	memcpy(s.path, "/dev", sizeof("/dev"));
	(void)enter_directory(&s, fd, strlen("/dev"));
	while (ret == 0 && s.depth) {
		const char *name = kf_listing_next(&s.at[s.depth - 1].dir);

		if (name && s.left--)
			ret = look_at(&s, name, fn, ctx, err);
		else if (name)
			ret = 1;
		else
			(void)close(s.at[--s.depth].fd);
	}
	while (s.depth)
		(void)close(s.at[--s.depth].fd);
	return ret;
}

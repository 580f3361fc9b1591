/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of "kubefence try": a private mount namespace with a tmpfs, the root file system as an
 * overlay, and copied programs. */
#include "kubefence/try/stage.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int try_stage_init(struct try_stage *stage, struct kf_err *err)
{
	struct try_stage s = {.dir = "/tmp/kubefence-try-XXXXXX", .owner = getpid()};

	if (geteuid() != 0)
		return kf_fail(err, EPERM,
			       "needs root: it mounts a root file system and runs a "
			       "container");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return kf_fail_sys(err, "private mount namespace");
	if (!mkdtemp(s.dir))
		return kf_fail_sys(err, "create '%s'", s.dir);
	if (mount("kubefence-try", s.dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0) {
		kf_err_set_sys(err, "mount tmpfs at '%s'", s.dir);
		(void)rmdir(s.dir);
		return -1;
	}
	*stage = s;
	return 0;
}

void try_stage_done(struct try_stage *stage)
{
	if (!stage->owner || stage->owner != getpid())
		return;
	(void)umount2(stage->dir, MNT_DETACH);
	(void)rmdir(stage->dir);
	stage->owner = 0;
}

int try_stage_rootfs(const struct try_stage *stage, const char *lower, struct kf_err *err)
{
	static const char *const dirs[] = {"upper", "work", "rootfs"};
	char path[PATH_MAX], options[3 * PATH_MAX];
	KF_FREE char *real = realpath(lower, NULL);

	if (!real)
		return kf_fail_sys(err, "root file system '%s'", lower);
	if (strpbrk(real, ",:\\"))
		return kf_fail(err, EINVAL,
			       "root file system '%s': overlay cannot take ',', ':' or "
			       "'\\' in a path; rename it",
			       real);
	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", stage->dir, dirs[i]);
		/* This becomes the container's root directory, which its user must be able to
		 * enter. */
		if (kf_mkdir_at(AT_FDCWD, path, 0755, NULL, err) < 0)
			return -1;
	}
	(void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work",
		       real, stage->dir, stage->dir);
	if (mount("overlay", path, "overlay", 0, options) < 0)
		return kf_fail_sys(err,
				   "mount an overlay over '%s' (is the overlay file system "
				   "available?)",
				   real);
	return 0;
}

/* Make the directory of @name below the stage. */
static int make_parent(const struct try_stage *stage, const char *name, struct kf_err *err)
{
	char path[PATH_MAX];
	char *slash;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", stage->dir, name) >= sizeof(path))
		return kf_fail(err, ENAMETOOLONG, "'%s'", name);
	slash = strrchr(path, '/');
	*slash = '\0';
	return kf_mkdir_parents(path, 0755, err);
}

/* The bytes go from file to file, and not through our memory: a key may be among them. */
int try_stage_copy(const struct try_stage *stage, const char *from, const char *to, mode_t mode,
		   struct kf_err *err)
{
	KF_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	KF_CLOSE int out = -1;
	char path[PATH_MAX];
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return kf_fail_sys(err, "open '%s'", from);
	if (!S_ISREG(st.st_mode))
		return kf_fail(err, EINVAL, "'%s' is not a file", from);
	if (make_parent(stage, to, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%s", stage->dir, to);
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out < 0 || fchmod(out, mode) < 0)
		return kf_fail_sys(err, "create '%s'", path);
	for (off_t left = st.st_size; left > 0;) {
		ssize_t sent = sendfile(out, in, NULL, (size_t)left);

		if (sent <= 0)
			return kf_fail_sys(err, "copy '%s'", from);
		left -= sent;
	}
	return 0;
}

int try_stage_program(const struct try_stage *stage, const char *name, const char *to,
		      struct kf_err *err)
{
	char self[PATH_MAX], from[PATH_MAX + NAME_MAX];

	if (!kf_own_directory(self, sizeof(self)))
		return kf_fail_sys(err, "read /proc/self/exe");
	(void)snprintf(from, sizeof(from), "%s/%s", self, name);
	return try_stage_copy(stage, from, to, 0755, err) < 0
		       ? kf_fail_wrap(err, "a program that is needed beside kubefence")
		       : 0;
}

int try_stage_file(const struct try_stage *stage, const char *name, const char *text,
		   struct kf_err *err)
{
	char path[PATH_MAX];
	char *slash;
	KF_CLOSE int dir = -1;

	if (make_parent(stage, name, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%s", stage->dir, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "open '%s'", path);
	return kf_file_replace(dir, slash + 1, text, strlen(text), 0644, err);
}

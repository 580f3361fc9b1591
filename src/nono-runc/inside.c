/* SPDX-License-Identifier: Apache-2.0 */
/* Files and mounts for /nono.  They are for people and programs that ask; nothing is started
 * from there by the guard, whose launcher comes by descriptor. */
#include "nono-runc/inside.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "nono-runc/launch.h"
#include "nono-runc/readme.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIR_IN_BUNDLE "nono"
#define PROFILES      "profiles"
#define INNER	      KF_LAUNCHER_INNER
/* PATH and the working directory; no path of more than PATH_MAX can be looked up. */
#define START_MAX     (64 * 1024)
#define README_MAX    (64 * 1024)

/* The directory that the launcher lies in, with the slash at its end. */
static int launcher_dir(const char *launcher)
{
	return (int)(strrchr(launcher, '/') + 1 - launcher);
}

static bool is_ours(const struct kf_view_mount *mount, const char *bundle, const char *launcher)
{
	const size_t n = strlen(bundle), dir = (size_t)launcher_dir(launcher);

	if (strcmp(mount->destination, KF_LAUNCHER_DIR) == 0)
		return strncmp(mount->source, bundle, n) == 0 &&
		       strcmp(mount->source + n, "/" DIR_IN_BUNDLE) == 0;
	if (strcmp(mount->destination, KF_LAUNCHER_PATH) == 0)
		return strcmp(mount->source, launcher) == 0;
	if (strncmp(mount->source, launcher, dir) != 0)
		return false;
	return (strcmp(mount->destination, KF_LAUNCHER_DIR "/" PROFILES) == 0 &&
		strcmp(mount->source + dir, PROFILES) == 0) ||
	       (strcmp(mount->destination, KF_LAUNCHER_INNER_DIR) == 0 &&
		strcmp(mount->source + dir, INNER) == 0);
}

void kf_inside_forget(struct kf_oci *oci, const char *bundle, const char *launcher)
{
	struct kf_view_mount *mounts = (struct kf_view_mount *)oci->view.mounts;
	size_t n = 0;

	for (size_t i = 0; i < oci->view.nmounts; i++)
		if (!is_ours(&mounts[i], bundle, launcher))
			mounts[n++] = mounts[i];
	oci->view.nmounts = n;
}

/* Whether the runtime finds or makes a directory at /nono, there and nowhere else. */
static int has_place(int rootfs, bool *ret, struct kf_err *err)
{
	struct statvfs fs;
	struct stat st;

	*ret = fstatat(rootfs, &KF_LAUNCHER_DIR[1], &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (*ret) {
		*ret = S_ISDIR(st.st_mode);
		return 0;
	}
	if (errno != ENOENT)
		return kf_fail_sys(err, "stat " KF_LAUNCHER_DIR " of the image");
	if (fstatvfs(rootfs, &fs) < 0)
		return kf_fail_sys(err, "statvfs of the image");
	*ret = !(fs.f_flag & ST_RDONLY);
	return 0;
}

static int write_file(int dir, const char *name, const char *text, size_t n, const char *label,
		      struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	/* Left over in a bundle that is created a second time. */
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return kf_fail_sys(err, "remove '%s' in the bundle", name);
	fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return kf_fail_sys(err, "make '%s' in the bundle", name);
	/* Whatever the caller's umask. */
	if (fchmod(fd, 0444) < 0 || kf_write_all(fd, text, n, err) < 0)
		return kf_fail_sys(err, "write '%s' in the bundle", name);
	return kf_launch_label(fd, label, err);
}

static int make_dir(int in, const char *name, const char *label, int *ret_fd, struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (mkdirat(in, name, 0755) < 0 && errno != EEXIST)
		return kf_fail_sys(err, "make '%s' in the bundle", name);
	fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return kf_fail_sys(err, "open '%s' in the bundle", name);
	if (kf_launch_label(fd, label, err) < 0)
		return -1;
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

/* What the variables of the policy's paths stand for where the first process starts: lines
 * "uid N", "WORKDIR=/..." and "HOME=/..."; a variable that is set and no path is "HOME=." or
 * "HOME=", which neither the runtime nor a default replaces. */
static void write_start(const struct kf_oci *oci, struct kf_buf *out)
{
	static const char *const names[] = {
		"HOME=",	  "TMPDIR=",	     "XDG_RUNTIME_DIR=", "XDG_CONFIG_HOME=",
		"XDG_DATA_HOME=", "XDG_STATE_HOME=", "XDG_CACHE_HOME="};
	const struct kf_view *view = &oci->view;

	kf_buf_addf(out, "uid %ld\n", oci->uid);
	if (*oci->cwd == '/' && !strchr(oci->cwd, '\n'))
		kf_buf_addf(out, "WORKDIR=%s\n", oci->cwd);
	for (size_t i = 0; i < view->nenv; i++) {
		for (size_t k = 0; k < KF_ARRAY_SIZE(names); k++) {
			const size_t n = strlen(names[k]);
			const char *value = view->env[i] + n;

			if (strncmp(view->env[i], names[k], n) != 0)
				continue;
			if (*value && (*value != '/' || strchr(value, '\n')))
				value = ".";
			kf_buf_addf(out, "%s%s\n", names[k], value);
		}
	}
}

static int make_files(const struct kf_oci *oci, const char *bundle,
		      const struct kf_profile_text *policy, struct kf_err *err)
{
	KF_CLOSE int in = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC), dir = -1, sub = -1,
		     inner = -1;
	KF_CLEANUP(kf_buf_done) struct kf_buf readme = KF_BUF_INIT(README_MAX);
	struct kf_buf start = KF_BUF_INIT(START_MAX);
	const char *label = oci->mount_label;
	int r;

	if (in < 0)
		return kf_fail_sys(err, "open '%s'", bundle);
	if (make_dir(in, DIR_IN_BUNDLE, label, &dir, err) < 0 ||
	    (oci->inside.profiles && make_dir(dir, PROFILES, label, &sub, err) < 0) ||
	    (oci->inside.inner && make_dir(dir, INNER, label, &inner, err) < 0) ||
	    kf_readme_format(oci, policy, &readme, err) < 0 ||
	    write_file(dir, "README", readme.p, readme.n, label, err) < 0)
		return -1;
	write_start(oci, &start);
	if (start.failed)
		kf_buf_reset(&start); /* longer than any path */
	r = write_file(dir, "nono", "", 0, label, err) < 0 ||
			    write_file(dir, "policy", policy->text, policy->n, label, err) < 0 ||
			    write_file(dir, "start", start.p ? start.p : "", start.n, label, err) <
				    0
		    ? -1
		    : 0;
	kf_buf_done(&start);
	return r;
}

/* Keep @path, a directory beside the launcher, only if it is there. */
static int find_beside(const char **path, struct kf_err *err)
{
	struct stat st;

	if (!*path)
		return kf_fail_nomem(err, KF_LAUNCHER_DIR);
	if (lstat(*path, &st) == 0)
		return 0;
	if (errno != ENOENT)
		return kf_fail_sys(err, "stat '%s'", *path);
	*path = NULL;
	return 0;
}

static bool asks_for_inner(const struct kf_profile_text *policy)
{
	static const char line[] = "\ninner bwrap\n";

	return memmem(policy->text, policy->n, line, sizeof(line) - 1) != NULL;
}

int kf_inside_prepare(struct kf_oci *oci, int rootfs, const char *bundle, const char *launcher,
		      const struct kf_profile_text *policy, struct kf_err *err)
{
	const int n = launcher_dir(launcher);
	bool place;

	oci->inside.decided = true;
	if (has_place(rootfs, &place, err) < 0)
		return -1;
	if (!place)
		return 0;
	oci->inside.dir = kf_arena_printf(&oci->arena, "%s/" DIR_IN_BUNDLE, bundle);
	oci->inside.launcher = kf_arena_strdup(&oci->arena, launcher);
	oci->inside.profiles = kf_arena_printf(&oci->arena, "%.*s" PROFILES, n, launcher);
	if (!oci->inside.dir || !oci->inside.launcher)
		return kf_fail_nomem(err, KF_LAUNCHER_DIR);
	if (find_beside(&oci->inside.profiles, err) < 0)
		return -1;
	oci->inside.inner = NULL;
	if (asks_for_inner(policy)) {
		oci->inside.inner = kf_arena_printf(&oci->arena, "%.*s" INNER, n, launcher);
		if (find_beside(&oci->inside.inner, err) < 0)
			return -1;
	}
	return make_files(oci, bundle, policy, err);
}

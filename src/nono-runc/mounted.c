/* SPDX-License-Identifier: Apache-2.0 */
/* Finds where in its file system an object lies: the kernel says of each mount which part of which
 * file system it shows, and where. */
#include "nono-runc/mounted.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fields of a line; see proc_pid_mountinfo(5). */
enum { ID, DEVICE = 2, ROOT, POINT, FIELDS };

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape_field(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*out++ = (char)((unsigned)(s[1] - '0') << 6 | (unsigned)(s[2] - '0') << 3 |
					(unsigned)(s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* The mount that @fd is on, and its path as we see it. */
static int find_mount(int fd, int *ret_id, char ret_path[static PATH_MAX], struct kf_err *err)
{
	char link[64], line[64];
	FILE *info;
	bool found = false;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, PATH_MAX);
	if (n < 0 || n >= PATH_MAX)
		return kf_fail_sys(err, "readlink '%s'", link);
	ret_path[n] = '\0';
	(void)snprintf(link, sizeof(link), "/proc/self/fdinfo/%d", fd);
	info = fopen(link, "re");
	if (!info)
		return kf_fail_sys(err, "open '%s'", link);
	while (!found && fgets(line, sizeof(line), info))
		found = sscanf(line, "mnt_id: %d", ret_id) == 1;
	(void)fclose(info);
	return found ? 0 : kf_fail(err, EIO, "'%s' names no mount", link);
}

int kf_guard_mount_split(char *line, struct kf_guard_mount *ret, struct kf_err *err)
{
	char *field[FIELDS], *save;

	for (unsigned i = 0; i < FIELDS; i++) {
		field[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (!field[i])
			return kf_fail(err, EIO, KF_GUARD_MOUNTS ": bad line");
	}
	unescape_field(field[ROOT]);
	unescape_field(field[POINT]);
	*ret = (struct kf_guard_mount){(int)strtol(field[ID], NULL, 10), field[DEVICE], field[ROOT],
				       field[POINT]};
	return 0;
}

/* What lies at @path on the mount @m. */
static int place_on(const struct kf_guard_mount *m, const char *path, struct kf_guard_mounted *ret,
		    struct kf_err *err)
{
	const char *below = path + (strcmp(m->point, "/") == 0 ? 0 : strlen(m->point));
	const char *root = strcmp(m->root, "/") == 0 ? "" : m->root;

	if (!kf_path_under(path, m->point))
		return kf_fail(err, EIO, "'%s' has been moved", path);
	if (strcmp(below, "/") == 0)
		below = "";
	if ((size_t)snprintf(ret->path, sizeof(ret->path), "%s%s", root,
			     *root || *below ? below : "/") >= sizeof(ret->path) ||
	    (size_t)snprintf(ret->device, sizeof(ret->device), "%s", m->device) >=
		    sizeof(ret->device))
		return kf_fail(err, ENAMETOOLONG, "'%s'", path);
	return 0;
}

static bool share_tree(const struct kf_guard_mounted *a, const struct kf_guard_mounted *b)
{
	return strcmp(a->device, b->device) == 0 &&
	       (kf_path_under(a->path, b->path) || kf_path_under(b->path, a->path));
}

/* Go through the list of mounts: *ret_own of what is at @path, and whether one that is mounted
 * below it shares with @with (NULL: nobody asks). */
static int read_mounts(const char *path, struct kf_guard_mounted *ret_own,
		       const struct kf_guard_mounted *with, bool *ret_below, struct kf_err *err)
{
	KF_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	KF_FREE char *line = NULL;
	char real[PATH_MAX];
	bool found = false;
	size_t size = 0;
	FILE *mounts;
	int id, r = 0;

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", path);
	if (find_mount(fd, &id, real, err) < 0)
		return -1;
	mounts = fopen(KF_GUARD_MOUNTS, "re");
	if (!mounts)
		return kf_fail_sys(err, "open '" KF_GUARD_MOUNTS "'");
	while (r == 0 && getline(&line, &size, mounts) > 0) {
		struct kf_guard_mounted other;
		struct kf_guard_mount m;

		r = kf_guard_mount_split(line, &m, err);
		if (r == 0 && m.id == id) {
			r = place_on(&m, real, ret_own, err);
			found = true;
		} else if (r == 0 && with && kf_path_under(m.point, real)) {
			r = place_on(&m, m.point, &other, err);
			*ret_below |= r == 0 && share_tree(&other, with);
		}
	}
	if (r == 0 && ferror(mounts))
		r = kf_fail_sys(err, "read '" KF_GUARD_MOUNTS "'");
	(void)fclose(mounts);
	return r == 0 && !found ? kf_fail(err, EIO, "the mount of '%s' is in no list", path) : r;
}

int kf_guard_mounted(const char *path, struct kf_guard_mounted *ret, struct kf_err *err)
{
	return read_mounts(path, ret, NULL, NULL, err);
}

int kf_guard_mounted_shares(const char *path, const struct kf_guard_mounted *with, bool *ret,
			    struct kf_err *err)
{
	struct kf_guard_mounted own;
	bool below = false;

	if (read_mounts(path, &own, with, &below, err) < 0)
		return -1;
	*ret = below || share_tree(&own, with);
	return 0;
}

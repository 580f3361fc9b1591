/* SPDX-License-Identifier: Apache-2.0 */
/* Removing trees that others have made: of any depth, with one descriptor for the top and one for
 * the directory that is looked at. */
#include "review/store.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct removal {
	int top;
	unsigned long long moved; /* directories that were moved to the top */
	struct kf_err *err;
};

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A directory below the top that may not be empty: its place is now in the top. */
static int move_up(struct removal *r, int dir, const char *name)
{
	char to[32];

	do {
		(void)snprintf(to, sizeof(to), "%llu", ++r->moved);
		if (syscall(SYS_renameat2, dir, name, r->top, to, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return kf_fail_sys(r->err, "move '%s', which is to be removed", name);
}

/* Call @fn for each entry of the directory @fd; *ret_found: that there was one. */
static int each_entry(struct removal *r, int fd,
		      int (*fn)(struct removal *r, int fd, const char *name), bool *ret_found)
{
	KF_CLOSE int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int result = 0;

	*ret_found = false;
	if (!d)
		return kf_fail_sys(r->err, "read a directory that is to be removed");
	(void)kf_steal_fd(&copy);
	while (result == 0 && (errno = 0, e = readdir(d))) {
		if (is_dots(e->d_name))
			continue;
		*ret_found = true;
		result = fn(r, fd, e->d_name);
	}
	if (result == 0 && errno)
		result = kf_fail_sys(r->err, "read a directory that is to be removed");
	(void)closedir(d);
	return result;
}

/* Remove @name, unless it is a directory with something in it: *ret_full. */
static int remove_entry(struct removal *r, int fd, const char *name, bool *ret_full)
{
	*ret_full = false;
	if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if ((errno == EISDIR || errno == EPERM) && unlinkat(fd, name, AT_REMOVEDIR) == 0)
		return 0;
	*ret_full = errno == ENOTEMPTY || errno == EEXIST;
	return *ret_full ? 0 : kf_fail_sys(r->err, "remove '%s'", name);
}

static int remove_below(struct removal *r, int fd, const char *name)
{
	bool full;

	if (remove_entry(r, fd, name, &full) < 0)
		return -1;
	return full ? move_up(r, fd, name) : 0;
}

static int remove_at_top(struct removal *r, int fd, const char *name)
{
	KF_CLOSE int sub = -1;
	bool full, found;

	if (remove_entry(r, fd, name, &full) < 0)
		return -1;
	if (!full)
		return 0;
	sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return kf_fail_sys(r->err, "open '%s'", name);
	return each_entry(r, sub, remove_below, &found);
}

int kf_review_remove(int at, const char *name, struct kf_err *err)
{
	struct removal r = {.err = err};
	KF_CLOSE int top = -1;
	bool found = true;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	top = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(err, "open '%s'", name);
	r.top = top;
	/* What is removed or moved while a directory is read may be skipped: until a pass finds
	 * nothing. */
	while (found)
		if (each_entry(&r, top, remove_at_top, &found) < 0)
			return -1;
	return unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT
		       ? kf_fail_sys(err, "remove '%s'", name)
		       : 0;
}

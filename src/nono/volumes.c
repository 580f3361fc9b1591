/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/path.h"
#include "nono/grants.h"
#include "nono/rt.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What mountinfo says as well, without what takes the kernel longest to find out. */
#define MOUNTS	   "/proc/self/mounts"
#define MOUNTS_MAX (4 * 1024 * 1024)

/* What is mounted there belongs to the runtime, or is us. */
static const char not_volumes[][8] = {"/proc", "/sys", "/nono", "/dev"};
static const char dev_volumes[][24] = {"/dev/shm", "/dev/termination-log"};

static bool is_volume(const char *path)
{
	if (strcmp(path, "/") == 0)
		return false;
	for (size_t i = 0; i < KF_ARRAY_SIZE(dev_volumes); i++)
		if (strcmp(path, dev_volumes[i]) == 0)
			return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(not_volumes); i++)
		if (kf_path_under(path, not_volumes[i]))
			return false;
	return true;
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* Cut off the next space-separated field of *s. */
static char *field(char **s)
{
	char *start = *s, *space = start ? strchr(start, ' ') : NULL;

	if (space)
		*space++ = '\0';
	*s = space;
	return start;
}

/* The file has no size to ask for; it grows with the number of mounts. */
static int read_mounts(char **ret, struct kf_err *err)
{
	KF_CLOSE int fd = kf_open(AT_FDCWD, MOUNTS, O_RDONLY);
	KF_FREE char *buf = NULL;
	size_t n = 0, cap = 0;
	ssize_t got;

	if (fd < 0)
		return kf_fail_sys(err, "open " MOUNTS);
	do {
		if (cap - n < 4096) {
			char *more;

			cap = cap ? 2 * cap : 32 * 1024;
			if (cap > MOUNTS_MAX)
				return kf_fail(err, E2BIG, "too many mounts");
			more = realloc(buf, cap);
			if (!more)
				return kf_fail_nomem(err, MOUNTS);
			buf = more;
		}
		got = read(fd, buf + n, cap - n - 1);
		if (got < 0)
			return kf_fail_sys(err, "read " MOUNTS);
		n += (size_t)got;
	} while (got);
	buf[n] = '\0';
	*ret = KF_STEAL(buf);
	return 0;
}

int kf_volumes_each(int (*fn)(void *ctx, const char *path, bool writable, struct kf_err *err),
		    void *ctx, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char *next, *line;

	if (read_mounts(&text, err) < 0)
		return -1;
	for (next = text; (line = next) && *line;) {
		char *path, *options;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		/* DEVICE PATH TYPE OPTIONS 0 0 */
		(void)field(&line);
		path = field(&line);
		(void)field(&line);
		options = field(&line);
		if (!options)
			return kf_fail(err, EINVAL, MOUNTS ": bad line");
		unescape(path);
		/* The first option is about the mount and its file system both. */
		if (is_volume(path) && fn(ctx, path, strncmp(options, "rw", 2) == 0, err) < 0)
			return -1;
	}
	return 0;
}

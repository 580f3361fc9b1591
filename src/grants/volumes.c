/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the volumes of the container that this process is in: by the kernel's list of mounts,
 * or by its text. */
#include "grants/volumes.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "grants/rt.h"
#include "sandbox/object.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What mountinfo says as well, without what takes the kernel longest to find out. */
#define MOUNTS		    "/proc/self/mounts"
#define MOUNTINFO	    "/proc/self/mountinfo"
#define MOUNTS_MAX	    (4 * 1024 * 1024)

/* The kernel's interface (include/uapi/linux/mount.h, stat.h), since Linux 6.8; our headers
 * have none of it. */
#define NR_STATMOUNT	    457
#define NR_LISTMOUNT	    458
#define LIST_ROOT	    UINT64_MAX
#define STATMOUNT_SB_BASIC  0x1
#define STATMOUNT_MNT_BASIC 0x2
#define STATMOUNT_MNT_POINT 0x10
#define STATMOUNT_MASK	    (STATMOUNT_SB_BASIC | STATMOUNT_MNT_BASIC | STATMOUNT_MNT_POINT)
#define READ_ONLY	    0x1 /* SB_RDONLY and MOUNT_ATTR_RDONLY */
/* More mounts than that are read as text. */
#define IDS_MAX		    128

struct mount_request {
	uint32_t size, spare;
	uint64_t id, param;
};

struct mount_status {
	uint32_t size, spare0;
	uint64_t mask;
	uint32_t device[2];
	uint64_t magic;
	uint32_t sb_flags, spare1[7];
	uint64_t attributes, spare2[4];
	uint32_t root, point; /* offsets in text */
	uint64_t spare3[50];
	char text[PATH_MAX];
};
_Static_assert(offsetof(struct mount_status, attributes) == 64, "layout");
_Static_assert(offsetof(struct mount_status, text) == 512, "layout");

struct mounts {
	uint64_t id[IDS_MAX], below[IDS_MAX];
	struct mount_status status;
};

/* What is mounted there belongs to the runtime, or is us. */
static const char not_volumes[][8] = {"/proc", "/sys", "/nono", "/dev"};
static const char dev_volumes[][24] = {"/dev/shm", "/dev/termination-log"};

/* Tell @fn of the mount @id at @path if that is a volume. */
static int tell_volume(kf_volume_fn *fn, void *ctx, const char *path, uint64_t id, bool writable,
		       struct kf_err *err)
{
	struct kf_volume volume = {
		.path = path,
		.mount = id,
		.access = kf_policy_volume_access(path, writable),
	};

	return fn(ctx, &volume, err);
}

bool kf_volumes_is(const char *path)
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
static void unescape_path(char *s)
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
static char *cut_field(char **s)
{
	char *start = *s, *space = start ? strchr(start, ' ') : NULL;

	if (space)
		*space++ = '\0';
	*s = space;
	return start;
}

/* The file has no size to ask for; it grows with the number of mounts.  1 if it is too long. */
static int read_mounts(const char *name, char **ret, struct kf_err *err)
{
	KF_CLOSE int fd = kf_open(AT_FDCWD, name, O_RDONLY);
	KF_FREE char *buf = NULL;
	size_t n = 0, cap = 0;
	ssize_t got;

	if (fd < 0)
		return kf_fail_sys(err, "open %s", name);
	do {
		if (cap - n < 4096) {
			char *more;

			cap = cap ? 2 * cap : 32 * 1024;
			if (cap > MOUNTS_MAX)
				return 1;
			more = realloc(buf, cap);
			if (!more)
				return kf_fail_nomem(err, name);
			buf = more;
		}
		got = read(fd, buf + n, cap - n - 1);
		if (got < 0)
			return kf_fail_sys(err, "read %s", name);
		n += (size_t)got;
	} while (got);
	buf[n] = '\0';
	*ret = KF_STEAL(buf);
	return 0;
}

static int each_of_text(kf_volume_fn *fn, void *ctx, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char *next, *line;
	int r = read_mounts(MOUNTS, &text, err);

	if (r)
		return r;
	for (next = text; (line = next) && *line;) {
		char *path, *options;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		/* DEVICE PATH TYPE OPTIONS 0 0 */
		(void)cut_field(&line);
		path = cut_field(&line);
		(void)cut_field(&line);
		options = cut_field(&line);
		if (!options)
			return kf_fail(err, EINVAL, MOUNTS ": bad line");
		unescape_path(path);
		/* The first option is about the mount and its file system both. */
		if (kf_volumes_is(path) &&
		    tell_volume(fn, ctx, path, 0, strncmp(options, "rw", 2) == 0, err) < 0)
			return -1;
	}
	return 0;
}

/* Ids of the mounts below the mount @parent, rising; -1 if there may be more. */
static long list_mounts(uint64_t parent, uint64_t id[static IDS_MAX])
{
	const struct mount_request request = {.size = sizeof(request), .id = parent};
	long n = syscall(NR_LISTMOUNT, &request, id, IDS_MAX, 0);

	return n < IDS_MAX ? n : -1;
}

/* Take what is mounted at and below @path, which holds no volumes, off the @n first of
 * m->id; how many are left. */
static long drop_below(struct mounts *m, long n, const char *path)
{
	struct kf_object object;
	long nbelow, left = 0;

	if (kf_object_at(AT_FDCWD, path, &object) < 0 || !object.mount || !object.mount_root)
		return n;
	nbelow = list_mounts(object.mount, m->below);
	for (long i = 0, b = 0; i < n; i++) {
		while (b < nbelow && m->below[b] < m->id[i])
			b++;
		if (m->id[i] != object.mount && (b >= nbelow || m->below[b] != m->id[i]))
			m->id[left++] = m->id[i];
	}
	return left;
}

/* 1 if the kernel does not tell, or is not allowed to; something may have been told then. */
static int each_listed(kf_volume_fn *fn, void *ctx, struct kf_err *err)
{
	KF_FREE struct mounts *m = malloc(sizeof(*m));
	struct mount_request request = {.size = sizeof(request), .param = STATMOUNT_MASK};
	long n;

	if (!m)
		return kf_fail_nomem(err, "mounts");
	n = list_mounts(LIST_ROOT, m->id);
	if (n <= 0)
		return 1;
	/* Most are there: what the runtime masks or makes read-only, and cgroups. */
	n = drop_below(m, n, "/proc");
	n = drop_below(m, n, "/sys");
	for (long i = 0; i < n; i++) {
		struct mount_status *status = &m->status;
		const char *path;

		request.id = m->id[i];
		status->mask = 0; /* whatever answers, only what is written here counts */
		if (syscall(NR_STATMOUNT, &request, status, sizeof(*status), 0) < 0) {
			if (errno == ENOENT) /* no longer there */
				continue;
			return 1;
		}
		if ((status->mask & STATMOUNT_MASK) != STATMOUNT_MASK)
			return 1;
		path = status->text + status->point;
		if (kf_volumes_is(path) &&
		    tell_volume(fn, ctx, path, m->id[i],
				!((status->sb_flags | status->attributes) & READ_ONLY), err) < 0)
			return -1;
	}
	return 0;
}

/* A line of mountinfo. */
struct line {
	const char *id, *parent, *device, *root, *path;
	bool writable;
};

static bool read_line(char *s, struct line *ret)
{
	char *options, *rest;

	/* ID PARENT DEVICE ROOT PATH OPTIONS [PROPAGATION...] - TYPE SOURCE OPTIONS */
	ret->id = cut_field(&s);
	ret->parent = cut_field(&s);
	ret->device = cut_field(&s);
	ret->root = cut_field(&s);
	ret->path = cut_field(&s);
	options = cut_field(&s);
	rest = s ? strstr(s, "- ") : NULL;
	if (!options || !rest)
		return false;
	unescape_path((char *)ret->root);
	unescape_path((char *)ret->path);
	rest += 2;
	(void)cut_field(&rest);
	(void)cut_field(&rest);
	ret->writable = strncmp(options, "rw", 2) == 0 && rest && strncmp(rest, "rw", 2) == 0;
	return true;
}

/* Whether @at shows what lies at its place in @parent anyway, to be used in the same way. */
static bool shows_itself(const struct line *at, const struct line *parent)
{
	size_t path = strcmp(parent->path, "/") == 0 ? 0 : strlen(parent->path);
	size_t root = strcmp(parent->root, "/") == 0 ? 0 : strlen(parent->root);

	return strcmp(at->parent, parent->id) == 0 && strcmp(at->device, parent->device) == 0 &&
	       at->writable == parent->writable && kf_path_under(at->path, parent->path) &&
	       strncmp(at->root, parent->root, root) == 0 &&
	       strcmp(at->root + root, at->path + path) == 0;
}

static int each_not_pinned(kf_volume_fn *fn, void *ctx, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_FREE struct line *v = NULL;
	size_t n = 0, max = 1;
	int r = read_mounts(MOUNTINFO, &text, err);

	if (r)
		return r;
	for (const char *s = text; *s; s++)
		max += *s == '\n';
	v = calloc(max, sizeof(*v));
	if (!v)
		return kf_fail_nomem(err, MOUNTINFO);
	for (char *next = text, *line; (line = next) && *line;) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!read_line(line, &v[n++]))
			return kf_fail(err, EINVAL, MOUNTINFO ": bad line");
	}
	for (size_t i = 0; i < n; i++) {
		bool pin = false;

		if (!kf_volumes_is(v[i].path))
			continue;
		for (size_t p = 0; p < n && !pin; p++)
			pin = shows_itself(&v[i], &v[p]);
		if (!pin && tell_volume(fn, ctx, v[i].path, 0, v[i].writable, err) < 0)
			return -1;
	}
	return 0;
}

int kf_volumes_each(bool pinned, kf_volume_fn *fn, void *ctx, struct kf_err *err)
{
	int ret;

	if (pinned)
		return each_not_pinned(fn, ctx, err);
	ret = each_listed(fn, ctx, err);

	return ret > 0 ? each_of_text(fn, ctx, err) : ret;
}

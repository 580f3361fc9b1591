/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files of trees that others made, and reading, hashing and copying their data.  Holes are
 * skipped, so that what a file takes on disk is what it costs to read it. */
#include "review/internal.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 65536

int kf_review_open(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd;

	/* EAGAIN: something was renamed meanwhile, and the kernel cannot tell whether it matters.
	 */
	for (int i = 0; i < 1000; i++) {
		fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int kf_review_open_parent(int root, const char *path, int flags, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	*ret_name = slash ? slash + 1 : path;
	(void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
	return kf_review_open(root, dir, flags | O_DIRECTORY);
}

int kf_review_open_file(int dir, const char *name, struct stat *ret_st, struct kf_err *err)
{
	KF_CLOSE int at = kf_review_open(dir, name, O_PATH), fd = -1;
	char link[64];

	if (at < 0 || fstat(at, ret_st) < 0)
		return kf_fail_sys(err, "open '%s'", name);
	if (!S_ISREG(ret_st->st_mode))
		return kf_fail(err, EINVAL, "'%s' is no file any more", name);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", name);
	return kf_steal_fd(&fd);
}

int kf_review_link(int dir, const char *name, char ret[static PATH_MAX])
{
	ssize_t n = readlinkat(dir, name, ret, PATH_MAX - 1);

	if (n < 0)
		return -1;
	ret[n] = '\0';
	return 0;
}

static bool all_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* The next block at or behind @at that has data, in *ret_at; 0 if there is none. */
static ssize_t next_block(int fd, off_t at, char *block, off_t *ret_at, struct kf_err *err)
{
	for (;;) {
		size_t n = 0;

		at = lseek(fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return 0;
		if (at < 0)
			return kf_fail_sys(err, "seek");
		at -= at % BLOCK;
		while (n < BLOCK) {
			ssize_t got = pread(fd, block + n, BLOCK - n, at + (off_t)n);

			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return kf_fail_sys(err, "read");
			if (!got)
				break;
			n += (size_t)got;
		}
		if (!n)
			return 0;
		if (!all_zero(block, n)) {
			*ret_at = at;
			return (ssize_t)n;
		}
		at += (off_t)n;
	}
}

static int write_block(int fd, const char *block, size_t n, off_t at, struct kf_err *err)
{
	while (n) {
		ssize_t put = pwrite(fd, block, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return kf_fail_sys(err, "write");
		block += put;
		n -= (size_t)put;
		at += put;
	}
	return 0;
}

/* Hash of size, and place and data of all blocks that are not zero; copied to @to unless -1. */
static int read_content(int fd, int to, char ret[static KF_SHA256_HEX + 1], struct kf_err *err)
{
	KF_FREE char *block = malloc(BLOCK);
	struct kf_sha256 sum;
	struct stat st;
	off_t at = 0;

	if (!block)
		return kf_fail_nomem(err, "content");
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat");
	kf_sha256_init(&sum);
	kf_sha256_add(&sum, &st.st_size, sizeof(st.st_size));
	while (at < st.st_size) {
		const ssize_t n = next_block(fd, at, block, &at, err);

		if (n < 0 || (n && to >= 0 && write_block(to, block, (size_t)n, at, err) < 0))
			return -1;
		if (!n)
			break;
		kf_sha256_add(&sum, &at, sizeof(at));
		kf_sha256_add(&sum, block, (size_t)n);
		at += n;
	}
	if (to >= 0 && ftruncate(to, st.st_size) < 0)
		return kf_fail_sys(err, "set the size");
	kf_sha256_end(&sum, ret);
	return 0;
}

int kf_review_content(int fd, char ret[static KF_SHA256_HEX + 1], struct kf_err *err)
{
	return read_content(fd, -1, ret, err);
}

int kf_review_copy(int from, int to, char ret[static KF_SHA256_HEX + 1], struct kf_err *err)
{
	return read_content(from, to, ret, err);
}

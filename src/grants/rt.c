/* SPDX-License-Identifier: Apache-2.0 */
/* openat2(2) and the listing of directories, without libc. */
#include "grants/rt.h"

struct entry { /* struct linux_dirent64 */
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

#define NR_OPENAT2 437

int kf_open_resolve(int dirfd, const char *path, int flags, unsigned resolve)
{
	const struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = resolve};

	return (int)syscall(NR_OPENAT2, dirfd, path, &how, sizeof(how));
}

const char *kf_listing_next(struct kf_listing *dir)
{
	for (;;) {
		const struct entry *entry;
		const char *s;

		if (dir->at >= dir->n) {
			long got = syscall(SYS_getdents64, dir->fd, dir->buf, sizeof(dir->buf));

			dir->failed = got < 0;
			if (got <= 0)
				return NULL;
			dir->n = (size_t)got;
			dir->at = 0;
		}
		entry = (const struct entry *)(const void *)(dir->buf + dir->at);
		dir->at += entry->len;
		dir->type = entry->type;
		s = entry->name;
		if (!(s[0] == '.' && (!s[1] || (s[1] == '.' && !s[2]))))
			return s;
	}
}

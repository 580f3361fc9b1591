/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a tar archive (POSIX ustar) of small files. */
#include "kubefence/sysdump/tar.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BLOCK 512

struct tar_head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], spare[12];
};
_Static_assert(sizeof(struct tar_head) == BLOCK, "ustar");

int kf_tar_add(int fd, const char *name, const char *data, size_t n, struct kf_err *err)
{
	static const char zeros[BLOCK];
	struct tar_head h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
	unsigned sum = 0;

	(void)snprintf(h.name, sizeof(h.name), "%s", name);
	(void)snprintf(h.mode, sizeof(h.mode), "%07o", 0644U);
	(void)snprintf(h.uid, sizeof(h.uid), "%07o", 0U);
	(void)snprintf(h.gid, sizeof(h.gid), "%07o", 0U);
	(void)snprintf(h.size, sizeof(h.size), "%011zo", n);
	(void)snprintf(h.mtime, sizeof(h.mtime), "%011llo", (unsigned long long)time(NULL));
	memset(h.sum, ' ', sizeof(h.sum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	(void)snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	if (kf_write_all(fd, &h, sizeof(h), err) < 0 || kf_write_all(fd, data, n, err) < 0 ||
	    kf_write_all(fd, zeros, (BLOCK - n % BLOCK) % BLOCK, err) < 0)
		return kf_fail_wrap(err, "archive");
	return 0;
}

int kf_tar_end(int fd, struct kf_err *err)
{
	static const char zeros[2 * BLOCK];

	return kf_write_all(fd, zeros, sizeof(zeros), err);
}

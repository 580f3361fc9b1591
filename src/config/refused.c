/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the guard's refusals.  A line has a time and strings with tabs between them; what is
 * in a string is escaped, so that no name ends it. */
#include "config/refused.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const size_t members[] = {
	offsetof(struct kf_refused, command),	 offsetof(struct kf_refused, id),
	offsetof(struct kf_refused, namespace_), offsetof(struct kf_refused, pod),
	offsetof(struct kf_refused, uid),	 offsetof(struct kf_refused, container),
	offsetof(struct kf_refused, profile),	 offsetof(struct kf_refused, reason),
};

static const char **member_of(const struct kf_refused *r, size_t i)
{
	return (const char **)(void *)((char *)(uintptr_t)r + members[i]);
}

/* A full file is put aside by whoever holds its lock, once: the others find another one in its
 * place, and their line goes to the old one. */
static void put_aside(int dir, int fd)
{
	struct stat open_file, named;

	if (fstat(fd, &open_file) < 0 || open_file.st_size < KF_REFUSED_MAX ||
	    flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	if (fstatat(dir, KF_REFUSED_LOG, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    named.st_ino == open_file.st_ino)
		(void)renameat(dir, KF_REFUSED_LOG, dir, KF_REFUSED_OLD);
}

int kf_refused_write(const char *dir, const struct kf_refused *refused, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(KF_REFUSED_LINE);
	KF_CLOSE int at = -1, fd = -1;

	kf_buf_addf(&line, "%lld", (long long)refused->time);
	for (size_t i = 0; i < KF_ARRAY_SIZE(members); i++) {
		const char *value = *member_of(refused, i);

		kf_buf_adds(&line, "\t");
		kf_buf_add_escaped(&line, value ? value : "");
	}
	kf_buf_adds(&line, "\n");
	if (line.failed)
		return kf_fail(err, E2BIG, "'%s': too long a line", dir);
	if (kf_mkdir_parents(dir, 0700, err) < 0)
		return -1;
	at = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	fd = openat(at, KF_REFUSED_LOG, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (at < 0 || fd < 0)
		return kf_fail_sys(err, "open '%s/" KF_REFUSED_LOG "'", dir);
	if (kf_write_all(fd, line.p, line.n, err) < 0)
		return -1;
	put_aside(at, fd);
	return 0;
}

bool kf_refused_parse(char *line, struct kf_refused *ret)
{
	struct kf_refused found = {0};
	char *end;

	found.time = strtoll(line, &end, 10);
	if (end == line)
		return false;
	for (size_t i = 0; i < KF_ARRAY_SIZE(members); i++) {
		if (*end != '\t')
			return false;
		*end++ = '\0';
		*member_of(&found, i) = end;
		end += strcspn(end, "\t");
	}
	if (*end)
		return false;
	*ret = found;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the file of the guard's refusals, also when it is put aside. */
#include "nono-nri/guard_refused.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much is read at once: the runtime waits meanwhile. */
#define PIECES_MAX 8

struct kf_guard_refused {
	char path[PATH_MAX];
	int fd; /* -1: there was no file */
	off_t at;
};

static void open_log(struct kf_guard_refused *r)
{
	r->fd = open(r->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	r->at = 0;
}

struct kf_guard_refused *kf_guard_refused_new(const char *dir)
{
	struct kf_guard_refused *r = calloc(1, sizeof(*r));
	struct stat st;

	if (!r)
		return NULL;
	(void)snprintf(r->path, sizeof(r->path), "%s/" KF_REFUSED_LOG, dir);
	open_log(r);
	if (r->fd >= 0 && fstat(r->fd, &st) == 0)
		r->at = st.st_size;
	return r;
}

/* Whether the file has been put aside, and another one may be in its place. */
static bool is_another(const struct kf_guard_refused *r)
{
	struct stat mine, named;

	return r->fd < 0 || (lstat(r->path, &named) == 0 && fstat(r->fd, &mine) == 0 &&
			     (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev));
}

/* The whole lines of the next piece; false if there is none. */
static bool read_piece(struct kf_guard_refused *r, kf_guard_refused_tell *tell, void *ctx)
{
	char text[KF_REFUSED_LINE + 1], *line = text, *end;
	const ssize_t n = r->fd < 0 ? 0 : pread(r->fd, text, KF_REFUSED_LINE, r->at);
	struct kf_refused refused;

	if (n <= 0)
		return false;
	text[n] = '\0';
	while ((end = memchr(line, '\n', (size_t)(text + n - line)))) {
		*end = '\0';
		if (kf_refused_parse(line, &refused))
			tell(ctx, &refused);
		line = end + 1;
	}
	/* A line that is longer than any is none of the guard's. */
	r->at += line > text || n < KF_REFUSED_LINE ? line - text : n;
	return line > text;
}

void kf_guard_refused_read(struct kf_guard_refused *reader, kf_guard_refused_tell *tell, void *ctx)
{
	for (unsigned i = 0; i < PIECES_MAX; i++) {
		if (read_piece(reader, tell, ctx))
			continue;
		if (!is_another(reader))
			return;
		if (reader->fd >= 0)
			(void)close(reader->fd);
		open_log(reader);
		if (reader->fd < 0)
			return;
	}
}

void kf_guard_refused_free(struct kf_guard_refused *reader)
{
	if (reader && reader->fd >= 0)
		(void)close(reader->fd);
	free(reader);
}

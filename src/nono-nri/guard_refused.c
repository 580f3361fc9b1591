/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the file of the guard's refusals, also when it is put aside.  How far it was read is kept
 * in the state directory, so that the next process goes on there: as an offset and a hash of what
 * lies before it, by which the file is known again under either name. */
#include "nono-nri/guard_refused.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sha256.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the state directory, whose entries do not begin with a dot. */
#define POSITION_NAME ".refused"
/* So much is read at once: the runtime waits meanwhile. */
#define PIECES_MAX    8
/* ... and the first time: both files, as large as the guard lets them become.  Some 10 ms. */
#define PIECES_FIRST  (2 * (unsigned)(KF_REFUSED_MAX / KF_REFUSED_LINE) + PIECES_MAX)
/* Several lines, with times and IDs: no two files have the same at the same place. */
#define HASHED_MAX    512

/* Behind a line that was read. */
struct position {
	off_t at;
	char hash[KF_SHA256_HEX + 1];
};

struct kf_guard_refused {
	char log[PATH_MAX], old[PATH_MAX];
	int state;   /* directory; negative: there is none */
	int kept;    /* the file of the position; -1: it cannot be kept */
	int fd;	     /* -1: there is no file yet */
	off_t at;    /* in it */
	off_t known; /* ... and how much of it an earlier process has told */
	struct position position, written;
	bool begun;
};

KF_CALLS(kf_guard_refused_calls, KF_CALL(openat), KF_CALL(pread64), KF_CALL(pwrite64));

struct kf_guard_refused *kf_guard_refused_new(const char *dir, int state)
{
	struct kf_guard_refused *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	(void)snprintf(r->log, sizeof(r->log), "%s/" KF_REFUSED_LOG, dir);
	(void)snprintf(r->old, sizeof(r->old), "%s/" KF_REFUSED_OLD, dir);
	r->state = state;
	r->kept = r->fd = -1;
	return r;
}

/* ---- the files ---- */

static int open_file(const char *path)
{
	return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static bool hash_before(int fd, off_t at, char ret[static KF_SHA256_HEX + 1])
{
	const size_t n = at < HASHED_MAX ? (size_t)at : HASHED_MAX;
	char text[HASHED_MAX];

	if (fd < 0 || at <= 0 || pread(fd, text, n, at - (off_t)n) != (ssize_t)n)
		return false;
	kf_sha256_hex(text, n, ret);
	return true;
}

static off_t file_size(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* Before anything was read from a file, the end of the one before it is the position. */
static void take_position(struct kf_guard_refused *r)
{
	struct position here = {.at = r->at};

	if (hash_before(r->fd, r->at, here.hash))
		r->position = here;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void take_file(struct kf_guard_refused *r, int fd, off_t known)
{
	take_position(r);
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = fd;
	r->at = 0;
	r->known = known;
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
		const bool known = r->at + (line - text) < r->known;

		*end = '\0';
		if (kf_refused_parse(line, &refused))
			tell(ctx, &refused, known);
		line = end + 1;
	}
	/* A line that is longer than any is none of the guard's. */
	r->at += line > text || n < KF_REFUSED_LINE ? line - text : n;
	return line > text || n == KF_REFUSED_LINE;
}

/* Whether the file was put aside, so that there is a next one. */
static bool was_put_aside(const struct kf_guard_refused *r)
{
	KF_CLOSE int fd = open_file(r->log);

	return fd >= 0 && !same_file(fd, r->fd);
}

/* The next file is what was put aside later than this one, else the one that is written. */
static void take_next(struct kf_guard_refused *r)
{
	KF_CLOSE int log = open_file(r->log), old = open_file(r->old);

	if (old >= 0 && !same_file(old, r->fd) && !same_file(old, log))
		take_file(r, kf_steal_fd(&old), 0);
	else if (log >= 0 && !same_file(log, r->fd))
		take_file(r, kf_steal_fd(&log), 0);
}

static void read_pieces(struct kf_guard_refused *r, unsigned max, kf_guard_refused_tell *tell,
			void *ctx)
{
	for (unsigned i = 0; i < max; i++) {
		if (read_piece(r, tell, ctx))
			continue;
		if (!was_put_aside(r))
			return;
		/* Who put it aside may have written to it since we have read it. */
		if (!read_piece(r, tell, ctx))
			take_next(r);
	}
}

/* ---- the position ---- */

#define POSITION_SIZE (20 + 1 + KF_SHA256_HEX + 1)

static int write_position(int fd, const struct position *position, struct kf_err *err)
{
	char text[POSITION_SIZE + 1];

	/* In place and always of one size, so that a full disk takes it. */
	(void)snprintf(text, sizeof(text), "%020" PRId64 " %-64s\n", (int64_t)position->at,
		       position->hash);
	return pwrite(fd, text, POSITION_SIZE, 0) == POSITION_SIZE
		       ? 0
		       : kf_fail_sys(err, "write '" POSITION_NAME "' in the state directory");
}

static int keep_position(struct kf_guard_refused *r, struct kf_err *err)
{
	take_position(r);
	if (r->kept < 0 || strcmp(r->position.hash, r->written.hash) == 0)
		return 0;
	if (write_position(r->kept, &r->position, err) < 0)
		return -1;
	r->written = r->position;
	return 0;
}

/* How much of each file an earlier process has told. */
struct known {
	off_t old, log;
};

static struct known find_position(const char *text, int old, int log)
{
	const off_t at = strtoll(text, NULL, 10);
	const char *hash = text + 20 + 1;
	char found[KF_SHA256_HEX + 1];

	if (hash_before(log, at, found) && strncmp(found, hash, KF_SHA256_HEX) == 0)
		return (struct known){.old = INT64_MAX, .log = at};
	if (hash_before(old, at, found) && strncmp(found, hash, KF_SHA256_HEX) == 0)
		return (struct known){.old = at};
	return (struct known){0};
}

/* Nothing is counted that could be counted again: what cannot be noted as read is known. */
static int read_position(struct kf_guard_refused *r, int old, int log, struct known *ret,
			 struct kf_err *err)
{
	KF_CLOSE int fd = r->state < 0 ? -1
				       : openat(r->state, POSITION_NAME,
						O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[POSITION_SIZE + 1] = "";
	ssize_t n;

	*ret = (struct known){.old = INT64_MAX, .log = file_size(log)};
	if (fd < 0)
		return r->state < 0 ? 0 : kf_fail_sys(err, "open '" POSITION_NAME "'");
	n = pread(fd, text, POSITION_SIZE, 0);
	if (n != POSITION_SIZE && write_position(fd, &r->position, err) < 0)
		return -1;
	*ret = n == POSITION_SIZE ? find_position(text, old, log) : (struct known){0};
	r->kept = kf_steal_fd(&fd);
	return 0;
}

static int begin_reading(struct kf_guard_refused *r, kf_guard_refused_tell *tell, void *ctx,
			 struct kf_err *err)
{
	KF_CLOSE int log = open_file(r->log), old = open_file(r->old);
	struct known known;
	int failed;

	/* Put aside between the two: it is the older one now. */
	if (same_file(old, log)) {
		(void)close(log);
		log = -1;
	}
	failed = read_position(r, old, log, &known, err);
	take_file(r, kf_steal_fd(&old), known.old);
	while (r->fd >= 0 && read_piece(r, tell, ctx) && r->at <= 2 * KF_REFUSED_MAX)
		;
	if (log >= 0)
		take_file(r, kf_steal_fd(&log), known.log);
	r->begun = true;
	return failed;
}

int kf_guard_refused_read(struct kf_guard_refused *reader, kf_guard_refused_tell *tell, void *ctx,
			  struct kf_err *err)
{
	const unsigned pieces = reader->begun ? PIECES_MAX : PIECES_FIRST;
	const int failed = reader->begun ? 0 : begin_reading(reader, tell, ctx, err);

	read_pieces(reader, pieces, tell, ctx);
	return failed < 0 ? -1 : keep_position(reader, err);
}

void kf_guard_refused_free(struct kf_guard_refused *reader)
{
	if (!reader)
		return;
	take_file(reader, -1, 0);
	if (reader->kept >= 0)
		(void)close(reader->kept);
	free(reader);
}

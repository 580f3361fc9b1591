/* SPDX-License-Identifier: Apache-2.0 */
/* Makes files, symlinks and directories as the upper side has them, aside. */
#include "review/stage.h"

#include "base/cleanup.h"
#include "review/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_LEADER SIZE_MAX

void kf_stage_name(size_t i, char ret[static KF_STAGE_NAME])
{
	(void)snprintf(ret, KF_STAGE_NAME, "%zu", i);
}

static bool has_links(const struct kf_review_change *c)
{
	return c->chosen && c->kind != KF_REVIEW_REFUSED && S_ISREG(c->mode) && c->links > 1;
}

struct link_place {
	unsigned long long ino;
	size_t change;
};

static int compare_places(const void *a, const void *b)
{
	const struct link_place *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->change < y->change ? -1 : x->change > y->change;
}

static int find_leaders(const struct kf_review_changes *changes, size_t *leader)
{
	KF_FREE struct link_place *v = calloc(changes->n + 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return -1;
	for (size_t i = 0; i < changes->n; i++) {
		leader[i] = NO_LEADER;
		if (has_links(&changes->v[i]))
			v[n++] = (struct link_place){changes->v[i].ino, i};
	}
	qsort(v, n, sizeof(*v), compare_places);
	for (size_t i = 0, first = 0; i < n; i++) {
		if (v[i].ino != v[first].ino)
			first = i;
		leader[v[i].change] = v[first].change;
	}
	return 0;
}

static int make_stage(const struct kf_review_sides *sides, int *ret, struct kf_err *err)
{
	if (kf_review_remove(sides->lower, sides->reserved, err) < 0)
		return -1;
	if (mkdirat(sides->lower, sides->reserved, 0700) < 0)
		return kf_fail_sys(err, "make '%s' in the volume", sides->reserved);
	*ret = kf_review_open(sides->lower, sides->reserved, O_RDONLY | O_DIRECTORY);
	return *ret < 0 ? kf_fail_sys(err, "open '%s' in the volume", sides->reserved) : 0;
}

int kf_stage_open(const struct kf_review_sides *sides, const struct kf_review_changes *changes,
		  struct kf_stage *ret, struct kf_err *err)
{
	struct kf_stage s = {.sides = sides, .dir = -1};

	s.leader = calloc(changes->n + 1, sizeof(*s.leader));
	if (!s.leader || find_leaders(changes, s.leader) < 0) {
		free(s.leader);
		return kf_fail_nomem(err, "links");
	}
	if (make_stage(sides, &s.dir, err) < 0) {
		free(s.leader);
		return -1;
	}
	*ret = s;
	return 0;
}

int kf_stage_close(struct kf_stage *stage, struct kf_err *err)
{
	free(stage->leader);
	(void)close(stage->dir);
	return kf_review_remove(stage->sides->lower, stage->sides->reserved, err);
}

bool kf_stage_leads(const struct kf_stage *stage, const struct kf_review_changes *changes, size_t i)
{
	const struct kf_review_change *c = &changes->v[i];

	return c->kind != KF_REVIEW_REMOVED && !S_ISDIR(c->mode) &&
	       (stage->leader[i] == NO_LEADER || stage->leader[i] == i);
}

static int fail_changed(const struct kf_review_change *c, struct kf_err *err)
{
	return kf_fail(err, EBUSY,
		       "'%s' has changed since the changes were listed; look at them "
		       "again",
		       c->path);
}

static bool is_as_seen(const struct kf_review_change *c, const struct stat *st)
{
	return st->st_ino == c->ino && st->st_mode == c->mode && st->st_uid == c->uid &&
	       st->st_gid == c->gid && (unsigned long long)st->st_size == c->size;
}

/* Owner before mode and attributes, which it takes bits from; times last. */
static int dress_file(const struct kf_stage *s, const struct stat *st, int from, int to,
		      struct kf_err *err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return kf_fail_sys(err, "set the owner");
	if (fchmod(to, kf_review_wanted_mode(s->sides, st->st_mode) & 07777) < 0)
		return kf_fail_sys(err, "set the mode");
	if (kf_review_copy_attributes(from, to, s->sides->keep_privilege, err) < 0)
		return -1;
	return futimens(to, times) < 0 ? kf_fail_sys(err, "set the times") : 0;
}

static int stage_data(const struct kf_stage *s, const struct kf_review_change *c, int dir,
		      const char *name, const char *staged, struct kf_err *err)
{
	char content[KF_SHA256_HEX + 1], attributes[KF_SHA256_HEX + 1];
	KF_CLOSE int to =
		openat(s->dir, staged, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	KF_CLOSE int from = -1;
	struct stat st;
	bool unused;

	if (to < 0)
		return kf_fail_sys(err, "make a file in the volume");
	from = kf_review_open_file(dir, name, &st, err);
	if (from < 0 || kf_review_copy(from, to, content, err) < 0 ||
	    dress_file(s, &st, from, to, err) < 0 ||
	    kf_review_attributes(to, s->sides->keep_privilege, attributes, &unused, err) < 0)
		return -1;
	/* What is committed is what was seen, not what was there a moment ago. */
	return is_as_seen(c, &st) && strcmp(content, c->content) == 0 &&
			       strcmp(attributes, c->attributes) == 0
		       ? 0
		       : fail_changed(c, err);
}

static int stage_symlink(const struct kf_stage *s, const struct kf_review_change *c, int dir,
			 const char *name, const char *staged, struct kf_err *err)
{
	char target[PATH_MAX], content[KF_SHA256_HEX + 1];
	struct timespec times[2];
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    kf_review_link(dir, name, target) < 0)
		return kf_fail_sys(err, "read the symlink");
	kf_sha256_hex(target, strlen(target), content);
	if (!is_as_seen(c, &st) || strcmp(content, c->content) != 0)
		return fail_changed(c, err);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (symlinkat(target, s->dir, staged) < 0 ||
	    fchownat(s->dir, staged, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(s->dir, staged, times, AT_SYMLINK_NOFOLLOW) < 0)
		return kf_fail_sys(err, "make the symlink");
	return 0;
}

int kf_stage_file(const struct kf_stage *stage, const struct kf_review_change *change, size_t i,
		  struct kf_err *err)
{
	char staged[KF_STAGE_NAME];
	const char *name;
	KF_CLOSE int dir =
		kf_review_open_parent(stage->sides->upper, change->path, O_RDONLY, &name);

	if (dir < 0)
		return kf_fail_sys(err, "open the directory of '%s'", change->path);
	kf_stage_name(i, staged);
	if ((S_ISLNK(change->mode) ? stage_symlink(stage, change, dir, name, staged, err)
				   : stage_data(stage, change, dir, name, staged, err)) < 0)
		return kf_fail_wrap(err, "'%s'", change->path);
	return 0;
}

int kf_stage_link(const struct kf_stage *stage, const struct kf_review_changes *changes, size_t i,
		  const char *staged, struct kf_err *err)
{
	const struct kf_review_change *first;
	const char *name;
	KF_CLOSE int dir = -1;

	if (stage->leader[i] == NO_LEADER || stage->leader[i] == i)
		return 0;
	first = &changes->v[stage->leader[i]];
	dir = kf_review_open_parent(stage->sides->lower, first->path, O_RDONLY, &name);
	if (dir < 0 || linkat(dir, name, stage->dir, staged, 0) < 0)
		return kf_fail_sys(err, "link '%s' to '%s'", changes->v[i].path, first->path);
	return 0;
}

int kf_stage_dress(const struct kf_stage *stage, const struct kf_review_change *change, int fd,
		   struct kf_err *err)
{
	KF_CLOSE int from =
		kf_review_open(stage->sides->upper, change->path, O_RDONLY | O_DIRECTORY);
	char attributes[KF_SHA256_HEX + 1];
	struct stat st;
	bool unused;

	if (from < 0 || fstat(from, &st) < 0)
		return kf_fail_sys(err, "open '%s'", change->path);
	if (st.st_mode != change->mode || st.st_uid != change->uid || st.st_gid != change->gid)
		return fail_changed(change, err);
	if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0)
		return kf_fail_sys(err, "set owner and mode of '%s'", change->path);
	if (kf_review_copy_attributes(from, fd, stage->sides->keep_privilege, err) < 0 ||
	    kf_review_attributes(fd, stage->sides->keep_privilege, attributes, &unused, err) < 0)
		return kf_fail_wrap(err, "'%s'", change->path);
	return strcmp(attributes, change->attributes) == 0 ? 0 : fail_changed(change, err);
}

int kf_stage_directory(const struct kf_stage *stage, const struct kf_review_change *change,
		       struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (mkdirat(stage->dir, KF_STAGE_NEW, 0700) < 0)
		return kf_fail_sys(err, "make a directory in the volume");
	fd = kf_review_open(stage->dir, KF_STAGE_NEW, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return kf_fail_sys(err, "open a directory in the volume");
	return kf_stage_dress(stage, change, fd, err);
}

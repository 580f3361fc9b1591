/* SPDX-License-Identifier: Apache-2.0 */
/* Carries changes out.  New files are made in a directory of ours in the volume (stage.c) and put
 * into their places by rename when their data is on disk; what they replace is removed from there.
 * Nothing that was done is noted anywhere: what is done already is no difference any more. */
#include "review/internal.h"

#include "base/cleanup.h"
#include "review/stage.h"
#include "review/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Files that are made before their data is written to disk, all at once. */
#define BATCH 256

static int sync_volume(const struct kf_stage *s, struct kf_err *err)
{
	return syncfs(s->dir) < 0 ? kf_fail_sys(err, "write the volume to disk") : 0;
}

/* Where the directory of @path is gone or no directory, somebody else writes to the volume. */
static int open_place(const struct kf_review_sides *sides, const char *path, const char **ret_name,
		      struct kf_err *err)
{
	int fd = kf_review_open_parent(sides->lower, path, O_RDONLY, ret_name);

	return fd < 0 ? kf_fail_sys(err,
				    "the directory of '%s' in the volume, into which others may "
				    "write",
				    path)
		      : fd;
}

static int remove_place(const struct kf_stage *s, int dir, const char *name, struct kf_err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(err, "stat '%s' of the volume", name);
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dir, name, 0) < 0 && errno != ENOENT
			       ? kf_fail_sys(err, "remove '%s' from the volume", name)
			       : 0;
	/* At once, with all that is in it. */
	if (renameat(dir, name, s->dir, KF_STAGE_OLD) < 0)
		return kf_fail_sys(err, "remove '%s' from the volume", name);
	return kf_review_remove(s->dir, KF_STAGE_OLD, err);
}

/* What is at @name must be of the kind that was seen. */
static unsigned rename_flags(const struct kf_review_change *c)
{
	if (c->kind == KF_REVIEW_ADDED)
		return RENAME_NOREPLACE;
	return c->kind == KF_REVIEW_TYPE ? RENAME_EXCHANGE : 0;
}

static int put_place(const struct kf_stage *s, const struct kf_review_change *c, const char *staged,
		     int dir, const char *name, struct kf_err *err)
{
	if (renameat2(s->dir, staged, dir, name, rename_flags(c)) < 0)
		return errno == EEXIST ? kf_fail(err, EEXIST,
						 "'%s' is in the volume since the changes were "
						 "listed; look "
						 "at them again",
						 c->path)
				       : kf_fail_sys(err, "put '%s' into the volume", c->path);
	/* What was exchanged, or a second name of the very file that is there. */
	return kf_review_remove(s->dir, staged, err);
}

/* From now on the overlay does not look for this directory in the volume, where it appears only
 * now: what the pod removes from it later would appear again. */
static int mark_opaque(const struct kf_review_sides *sides, const struct kf_review_change *c,
		       struct kf_err *err)
{
	KF_CLOSE int fd = kf_review_open(sides->upper, c->path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", c->path);
	if (!kf_review_is_opaque(fd) && fsetxattr(fd, KF_REVIEW_OPAQUE, "y", 1, 0) < 0)
		return kf_fail_sys(err, "mark '%s'", c->path);
	return 0;
}

static int place_directory(const struct kf_stage *s, const struct kf_review_change *c, int dir,
			   const char *name, struct kf_err *err)
{
	if (c->kind == KF_REVIEW_METADATA) {
		KF_CLOSE int fd = kf_review_open(dir, name, O_RDONLY | O_DIRECTORY);

		if (fd < 0)
			return kf_fail_sys(err, "open '%s' of the volume", c->path);
		return kf_stage_dress(s, c, fd, err);
	}
	if (mark_opaque(s->sides, c, err) < 0 || kf_stage_directory(s, c, err) < 0)
		return -1;
	return put_place(s, c, KF_STAGE_NEW, dir, name, err);
}

static int place_change(struct kf_stage *s, const struct kf_review_changes *changes, size_t i,
			struct kf_err *err)
{
	const struct kf_review_change *c = &changes->v[i];
	char staged[KF_STAGE_NAME];
	const char *name;
	KF_CLOSE int dir = open_place(s->sides, c->path, &name, err);

	if (dir < 0)
		return -1;
	if (c->kind == KF_REVIEW_REMOVED)
		return remove_place(s, dir, name, err);
	if (S_ISDIR(c->mode))
		return place_directory(s, c, dir, name, err);
	kf_stage_name(i, staged);
	if (kf_stage_link(s, changes, i, staged, err) < 0)
		return -1;
	return put_place(s, c, staged, dir, name, err);
}

static bool is_chosen(const struct kf_review_change *c)
{
	return c->chosen && c->kind != KF_REVIEW_REFUSED;
}

/* Changes from @from on; *ret_next is where the next batch begins. */
static int apply_batch(struct kf_stage *s, const struct kf_review_changes *changes, size_t from,
		       size_t *ret_next, struct kf_err *err)
{
	size_t staged = 0, i;

	for (i = from; i < changes->n && staged < BATCH; i++)
		if (is_chosen(&changes->v[i]) && kf_stage_leads(s, changes, i)) {
			if (kf_stage_file(s, &changes->v[i], i, err) < 0)
				return -1;
			staged++;
		}
	if (staged && sync_volume(s, err) < 0)
		return -1;
	for (size_t k = from; k < i; k++)
		if (is_chosen(&changes->v[k]) && place_change(s, changes, k, err) < 0)
			return -1;
	*ret_next = i;
	return 0;
}

static int apply_all(struct kf_stage *s, const struct kf_review_changes *changes,
		     struct kf_err *err)
{
	for (size_t i = 0; i < changes->n;)
		if (apply_batch(s, changes, i, &i, err) < 0)
			return -1;
	return sync_volume(s, err);
}

int kf_review_apply(const struct kf_review_sides *sides, const struct kf_review_changes *changes,
		    struct kf_err *err)
{
	struct kf_stage s;
	int r;

	if (kf_stage_open(sides, changes, &s, err) < 0)
		return -1;
	r = apply_all(&s, changes, err);
	/* The first error counts. */
	if (kf_stage_close(&s, r < 0 ? KF_ERR_IGNORED : err) < 0)
		r = -1;
	return r;
}

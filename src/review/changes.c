/* SPDX-License-Identifier: Apache-2.0 */
/* The list of changes: choosing some of them, and releasing it.  scan.c makes it. */
#include "review/internal.h"

#include <stdlib.h>
#include <string.h>

mode_t kf_review_wanted_mode(const struct kf_review_sides *sides, mode_t mode)
{
	return S_ISREG(mode) && !sides->keep_privilege ? mode & ~(mode_t)(S_ISUID | S_ISGID) : mode;
}

void kf_review_changes_done(struct kf_review_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		free(changes->v[i].path);
	free(changes->v);
	*changes = (struct kf_review_changes){0};
}

static bool is_below(const char *path, const char *dir)
{
	const size_t n = strlen(dir);

	return !n || (strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/'));
}

/* Directories that are not there yet have to be made for what is chosen in them. */
static void choose_parents(struct kf_review_changes *changes, size_t of)
{
	for (size_t i = of; i-- > 0;) {
		struct kf_review_change *c = &changes->v[i];

		/* Sorted: nothing before this one can be above. */
		if (strcspn(c->path, "/") != strcspn(changes->v[of].path, "/") ||
		    strncmp(c->path, changes->v[of].path, strcspn(c->path, "/")) != 0)
			break;
		if (S_ISDIR(c->mode) && c->kind != KF_REVIEW_METADATA &&
		    c->kind != KF_REVIEW_REFUSED && is_below(changes->v[of].path, c->path))
			c->chosen = true;
	}
}

bool kf_review_choose(struct kf_review_changes *changes, const char *path)
{
	size_t first = changes->n;
	bool found = false;

	for (size_t i = 0; i < changes->n; i++) {
		if (!is_below(changes->v[i].path, path))
			continue;
		changes->v[i].chosen = found = true;
		if (first == changes->n)
			first = i;
	}
	/* What is above the path is above all that is below it. */
	if (found && *path)
		choose_parents(changes, first);
	return found;
}

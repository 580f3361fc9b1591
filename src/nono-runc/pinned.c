/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the file on which a container runtime has mounted a pod's network namespace. */
#include "nono-runc/pinned.h"

#include "base/cleanup.h"
#include "nono-runc/mounted.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where @line, which is changed, says that @root is mounted; NULL if it is about another one. */
static const char *mount_point(char *line, const char *root)
{
	struct kf_guard_mount m;

	/* The record of a pod is made of lines and words. */
	return kf_guard_mount_split(line, &m, KF_ERR_IGNORED) == 0 && strcmp(m.root, root) == 0 &&
			       !strpbrk(m.point, " \t\n\\")
		       ? m.point
		       : NULL;
}

/* The first mount of @root in the table; "" if there is none.  -1 if it cannot be read. */
static int find_mount(FILE *mounts, const char *root, struct kf_arena *arena, const char **ret,
		      struct kf_err *err)
{
	KF_FREE char *line = NULL;
	const char *found = "";
	size_t size = 0;

	while (!*found && getline(&line, &size, mounts) > 0) {
		const char *path = mount_point(line, root);

		found = path ? kf_arena_strdup(arena, path) : "";
		if (!found)
			return kf_fail_nomem(err, "network namespace");
	}
	if (ferror(mounts))
		return kf_fail_sys(err, "read the table of mounts");
	*ret = found;
	return 0;
}

int kf_guard_pinned(const char *mounts, uint64_t inode, struct kf_arena *arena, const char **ret,
		    struct kf_err *err)
{
	FILE *table = fopen(mounts, "re");
	const char *found = "";
	char root[48];
	int r;

	if (!table)
		return kf_fail_sys(err, "open '%s'", mounts);
	(void)snprintf(root, sizeof(root), "net:[%" PRIu64 "]", inode);
	r = find_mount(table, root, arena, &found, err);
	(void)fclose(table);
	if (r == 0 && !*found)
		r = kf_fail(err, ENOENT,
			    "the pod's network namespace is mounted nowhere, so that nobody sees "
			    "its end; the egress broker needs a runtime that keeps it in a file, "
			    "as containerd and CRI-O do");
	if (r == 0)
		*ret = found;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the file on which a container runtime has mounted a pod's network namespace. */
#include "nono-runc/pinned.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a line; see proc_pid_mountinfo(5). */
enum { ROOT = 3, MOUNT_POINT = 4 };

/* Where @line, which is changed, says that @root is mounted; NULL if it is about another one. */
static const char *mount_point(char *line, const char *root)
{
	const char *field[MOUNT_POINT + 1];
	char *save;

	for (unsigned i = 0; i <= MOUNT_POINT; i++) {
		field[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (!field[i])
			return NULL;
	}
	/* A path with a space or the like is written in another way. */
	return strcmp(field[ROOT], root) == 0 && !strchr(field[MOUNT_POINT], '\\')
		       ? field[MOUNT_POINT]
		       : NULL;
}

int kf_guard_pinned(FILE *mounts, uint64_t inode, struct kf_arena *arena, const char **ret,
		    struct kf_err *err)
{
	KF_FREE char *line = NULL;
	const char *found = NULL;
	char root[48];
	size_t size = 0;

	(void)snprintf(root, sizeof(root), "net:[%" PRIu64 "]", inode);
	while (!found && getline(&line, &size, mounts) > 0) {
		const char *path = mount_point(line, root);

		if (path) {
			found = kf_arena_strdup(arena, path);
			if (!found)
				return kf_fail_nomem(err, "network namespace");
		}
	}
	if (ferror(mounts))
		return kf_fail_sys(err, "read the table of mounts");
	if (!found)
		return kf_fail(err, ENOENT,
			       "the pod's network namespace is mounted nowhere, so that nobody "
			       "sees its end; the egress broker needs a runtime that keeps it in a "
			       "file, as containerd and CRI-O do");
	*ret = found;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy means for a path in a container that does not run: the launcher's own decision
 * (grants/decide.h), on an image that is only read, or without any files. */
#ifndef KF_EXPLAIN_EXPLAIN_H
#define KF_EXPLAIN_EXPLAIN_H

#include "base/arena.h"
#include "base/err.h"
#include "flat/flat.h"

#include <limits.h>
#include <stdbool.h>

struct kf_explain_mount {
	const char *path;
	bool read_only;
};

struct kf_explain {
	int rootfs; /* directory descriptor; -1: paths are taken as they are written */
	unsigned uid;
	int abi;			       /* Landlock's ABI of the node's kernel */
	const char *home, *workdir, *tmpdir;   /* absolute; NULL: not set */
	const struct kf_explain_mount *mounts; /* the container's volumes */
	size_t nmounts;
	struct kf_arena *arena;
	struct kf_explain_seen
		*seen; /* for kf_explain_path() itself, in the arena; NULL at first */
};

struct kf_explained {
	bool allowed;
	/* The rule that decides: the denial or the first grant; NULL if nothing grants it. */
	const struct kf_rule *rule;
	const char *real; /* where the path leads; itself without a rootfs */
	bool exists;	  /* with a rootfs: whether it exists */
	const char *why;  /* one sentence */
};

/* Whether @access (one of KF_FS_*, or KF_LANDLOCK_CONNECT) to @path is allowed. */
int kf_explain_path(struct kf_explain *in, const struct kf_rule *rules, size_t nrules,
		    const char *path, unsigned access, struct kf_explained *ret,
		    struct kf_err *err);

#endif

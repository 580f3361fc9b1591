/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_EXPLAIN_EXPLAIN_H
#define KF_KUBEFENCE_EXPLAIN_EXPLAIN_H

#include "base/arena.h"
#include "base/err.h"
#include "flat/flat.h"

#include <limits.h>
#include <stdbool.h>

/* What a policy means for a path: the launcher's rules about variables,
 * symlinks and what does not exist, applied to a root directory that is only
 * looked at, or to no directory at all. */

struct kf_explain_mount {
	const char *path;
	bool read_only;
};

struct kf_explain {
	int rootfs; /* directory descriptor; -1: paths are taken as they are written */
	unsigned uid;
	const char *home, *workdir, *tmpdir;   /* absolute; NULL: not set */
	const struct kf_explain_mount *mounts; /* the container's volumes */
	size_t nmounts;
	struct kf_arena *arena;
};

struct kf_explained {
	bool allowed;
	/* What decides: the denial, the (first) grant, or NULL: nothing grants it. */
	const struct kf_rule *rule;
	const char *real; /* where the path leads; itself without a rootfs */
	bool exists;	  /* with a rootfs: whether there is anything */
	unsigned access;  /* all that is granted there, KF_FS_* */
	bool list;	  /* and listing, if it is a directory */
	const char *why;  /* one sentence */
};

/* Whether @access (one of KF_FS_*) to @path is allowed. */
int kf_explain_path(const struct kf_explain *in, const struct kf_rule *rules, size_t nrules,
		    const char *path, unsigned access, struct kf_explained *ret,
		    struct kf_err *err);

#endif

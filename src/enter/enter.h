/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_ENTER_ENTER_H
#define KF_ENTER_ENTER_H

#include "base/err.h"
#include "flat/flat.h"
#include "grants/grants.h"
#include "sandbox/domain.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"

#include <stdbool.h>

/* What a policy's rules that are not about files amount to. */
struct kf_enter_needs {
	struct kf_landlock_want landlock;
	struct kf_filter filter;
	bool volumes;	    /* a rule grants them */
	bool proc_writable; /* a rule may grant that */
};

void kf_enter_find_needs(const struct kf_policy *policy, struct kf_enter_needs *ret);

/* What is entered.  All is the caller's. */
struct kf_enter {
	const struct kf_scene *scene;
	const struct kf_enter_needs *needs;
	/* Of the container: its first process's grants are written into it, later ones read them.
	 * NULL or one without a magic: there is none. */
	struct kf_domain *domain;
	int domain_fd;
	/* The policy names every object by its path without symlinks; a grant that lies elsewhere,
	 * because somebody is changing the tree, is an error. */
	bool literal;
	/* A directory with something denied below it cannot be listed: the right to list it would
	 * be one for all below. */
	bool unlisted;
};

/* Enter, for good, and prove it.  With a seccomp policy of the container's, the launcher's filter
 * is the head of that policy and installed by the caller, last of all: no call but execve(2) is
 * under it then. */
int kf_enter_sandbox(const struct kf_enter *enter, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_GUARD_H
#define KF_NONO_RUNC_GUARD_H

#include "base/arena.h"
#include "base/err.h"
#include "nono-runc/cmdline.h"
#include "nono-runc/node.h"

#include <stddef.h>

/* What is to be executed when the guard has done its part. */
struct kf_guard {
	const struct kf_guard_node *node;
	const struct kf_cmdline *cmd;
	char runtime[PATH_MAX];
	char **argv;	       /* argv[0] is the runtime; from malloc */
	struct kf_arena arena; /* its strings */
	/* What the launcher tells is read here once the runtime has ended, -1 if nobody waits for
	 * it (outcome.h).  The launcher's end, which must be closed before that, else -1. */
	int outcome, outcome_write;
};

/* Sandbox what "create" or "run" of @guard->cmd would start: edit the bundle,
 * install the descriptors, write the record, fill runtime and argv.  On failure
 * nothing may be executed. */
int kf_guard_create(struct kf_guard *guard, struct kf_err *err);
/* The same for "exec". */
int kf_guard_exec(struct kf_guard *guard, struct kf_err *err);
/* "start": only on a node whose settings are in order, and with the outcome. */
int kf_guard_start(struct kf_guard *guard, struct kf_err *err);
/* Anything else: find the real runtime and leave the command line alone.  Works
 * without settings, and as long as any record or runtime file is left. */
int kf_guard_pass(struct kf_guard *guard, struct kf_err *err);

#endif

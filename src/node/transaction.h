/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_TRANSACTION_H
#define KF_NODE_TRANSACTION_H

#include "node/payload.h"

/* The change of one configuration file of somebody else's, from the journal entry to the runtime's
 * service.  Whenever it is interrupted, the file has the old or the new text, and the journal tells
 * which one was meant. */
struct kf_change {
	const char *path;
	const char *text; /* new contents; NULL = there shall be no such file */
	size_t n;
	/* Let the runtime's own parser check what is on disk; @installed is false after a rollback.
	 */
	int (*check)(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err);
	void *ctx;
	/* Handlers that the runtime must serve afterwards. */
	const char *const *handlers;
	size_t nhandlers;
};

#define KF_NODE_LOCK	     "/run/kubefence/node.lock"
#define KF_NODE_LOCK_SECONDS 120

/* One run at a time on a node, and none while kata-deploy runs, which edits the same files: the
 * second lock is kata-deploy's. */
struct kf_transaction_lock {
	int node, kata_deploy;
};
#define KF_TRANSACTION_LOCK_INIT \
	{                        \
		-1, -1           \
	}
int kf_transaction_lock(const struct kf_node *node, struct kf_transaction_lock *ret,
			struct kf_err *err);
void kf_transaction_unlock(struct kf_transaction_lock *lock);

/* If the last run did not finish, restore what it had found.  *ret_recovered: the runtime must be
 * restarted, since it may run with either configuration. */
int kf_transaction_recover(struct kf_node *node, bool *ret_recovered, struct kf_err *err);

/* Write to node->journal and to disk what is about to happen.  @change may be NULL: only files of
 * ours change. */
int kf_transaction_begin(struct kf_node *node, const struct kf_change *change, struct kf_err *err);
/* Write, check, restart (if the options say so) and wait.  On failure everything is restored, and
 * that is reported as well. */
int kf_transaction_run(struct kf_node *node, const struct kf_change *change, struct kf_err *err);
/* Restart the runtime and wait until it serves @handlers. */
int kf_transaction_restart(const struct kf_node *node, const char *const *handlers,
			   size_t nhandlers, struct kf_err *err);
/* CRI-O drops a handler whose program is missing when it reads its configuration.  Let it read its
 * configuration again if it runs and does not list one of the journal's handlers with a guard.
 * *ret_changed is set then, also if the options forbid it. -1 if it does not list the handler
 * afterwards either. */
int kf_transaction_serve(struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Plan, and carry out the plan together with the files of @payload; *ret_changed is only ever set.
 * Called under the lock, after recovery (@restart). */
int kf_node_apply(struct kf_node *node, struct kf_payload *payload, bool restart, bool *ret_changed,
		  struct kf_err *err);
/* The journal says "done" again. */
int kf_transaction_end(struct kf_node *node, struct kf_err *err);

/* Remove the directories that were made for the configuration file @path, which is gone, unless
 * something else is in them by now. */
void kf_transaction_remove_made(struct kf_node *node, const char *path);

#endif

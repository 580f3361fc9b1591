/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_TRANSACTION_H
#define KF_NODE_TRANSACTION_H

#include "node/payload.h"

/* The change of one configuration file of somebody else's, from journal entry
 * to serving runtime.  Wherever it is interrupted, the file holds the old or
 * the new text, and the journal tells which was meant. */
struct kf_change {
	const char *path;
	const char *text; /* new contents; NULL = there shall be no such file */
	size_t n;
	/* Have the runtime's own parser judge what is on disk; @installed false
	 * after a rollback. */
	int (*check)(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err);
	void *ctx;
	/* Handlers that the runtime must serve afterwards. */
	const char *const *handlers;
	size_t nhandlers;
};

#define KF_NODE_LOCK	     "/run/kubefence/node.lock"
#define KF_NODE_LOCK_SECONDS 120

/* One run at a time on a node, and none while kata-deploy is at work, which edits
 * the same files: it takes the second lock. */
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

/* If the last run did not get to its end, put back what it had found.
 * *ret_recovered: the runtime must be restarted, for nobody knows what it runs with. */
int kf_transaction_recover(struct kf_node *node, bool *ret_recovered, struct kf_err *err);

/* Note in node->journal, and durably, what is about to happen.  @change may be
 * NULL: only files of ours change. */
int kf_transaction_begin(struct kf_node *node, const struct kf_change *change, struct kf_err *err);
/* Write, check, restart (if the options say so) and wait; puts everything back
 * on failure and tells about that as well. */
int kf_transaction_run(struct kf_node *node, const struct kf_change *change, struct kf_err *err);
/* Restart the runtime and wait until it serves @handlers. */
int kf_transaction_restart(const struct kf_node *node, const char *const *handlers,
			   size_t nhandlers, struct kf_err *err);
/* CRI-O forgets a handler whose program is not there when it reads its configuration: have it read
 * it again if it runs and does not list one of the journal's handlers with a guard.  Then, or if
 * the options forbid that, *ret_changed is set.  -1 if it does not list it afterwards either. */
int kf_transaction_serve(struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Plan, and bring about what was planned together with the files of @payload;
 * *ret_changed is only ever set.  Under the lock, after recovery (@restart). */
int kf_node_apply(struct kf_node *node, struct kf_payload *payload, bool restart, bool *ret_changed,
		  struct kf_err *err);
/* The journal says "done" again. */
int kf_transaction_end(struct kf_node *node, struct kf_err *err);

#endif

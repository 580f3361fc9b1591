/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "node/payload.h"
#include "node/transaction.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Directories that install makes, the deepest first; removed if empty. */
static const char *const directories[] = {
	KF_JOURNAL_DIR, "/opt/kubefence/bin", "/opt/kubefence", "/opt/nono-nri", NULL,
};

static int check(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err)
{
	(void)ctx;
	/* After a rollback the guard is back, as it was. */
	return installed ? node->adapter->removed(node, err) : 0;
}

/* Put the original back.  *ret_left: somebody else changed the file. */
static int restore(struct kf_node *node, bool restart, bool *ret_left, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	struct kf_change change = {.path = j->config, .check = check};
	KF_FREE char *text = NULL;
	kf_digest now;

	if (!j->config[0])
		return 0;
	if (kf_journal_digest(&node->host, j->config, now, err) < 0)
		return -1;
	if (strcmp(now, j->base) != 0 && strcmp(now, j->after) != 0) {
		struct kf_err names_guard;

		if (node->adapter->removed(node, &names_guard) == 0) {
			node->say(
				node->ctx, "left", j->config,
				"somebody else changed it since, the guard is not in it any more");
			j->config[0] = '\0';
			return kf_transaction_end(node, err);
		}
		node->say(node->ctx, "left", j->config,
			  "somebody else changed it since; take the guard's handlers out by hand, "
			  "then run this again");
		*ret_left = true;
		return 0;
	}
	if (strcmp(now, j->base) != 0) {
		if (strcmp(j->base, KF_JOURNAL_ABSENT) != 0 &&
		    kf_journal_kept(&node->host, j->base, &text, &change.n, err) < 0)
			return -1;
		change.text = text;
		if (kf_transaction_begin(node, &change, err) < 0 ||
		    kf_transaction_run(node, &change, err) < 0)
			return -1;
	} else if (restart && node->options->restart) {
		if (kf_transaction_restart(node, NULL, 0, err) < 0)
			return -1;
		j->pending = false;
	}
	j->config[0] = '\0';
	return kf_transaction_end(node, err);
}

static void remove_directory(const struct kf_node *node, const char *path)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *dir = strdup(path);

	if (!dir)
		return;
	*strrchr(dir, '/') = '\0';
	if (kf_host_dir(&node->host, *dir ? dir : "/", false, &fd, NULL) == 0)
		(void)unlinkat(fd, strrchr(path, '/') + 1, AT_REMOVEDIR);
}

static int remove_all(struct kf_node *node, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;

	for (size_t i = 0; i < j->nfiles; i++) {
		if (kf_host_unlink(&node->host, j->files[i].path, err) < 0)
			return -1;
		node->say(node->ctx, "removed", j->files[i].path, "");
	}
	/* The journal last: until then a next run can finish. */
	if (kf_journal_sweep(&node->host, j, true, err) < 0 ||
	    kf_journal_remove(&node->host, err) < 0)
		return -1;
	for (const char *const *d = directories; *d; d++)
		remove_directory(node, *d);
	return 0;
}

int kf_node_uninstall(struct kf_node *node, bool *ret_kept, struct kf_err *err)
{
	KF_CLOSE int lock = -1;
	bool restart = false, left = false;
	unsigned containers;
	char detail[96];

	*ret_kept = false;
	/* Without a journal there may be the beginnings of one. */
	if (!node->journal.exists && !kf_host_exists(&node->host, KF_JOURNAL_DIR))
		return 0;
	if (kf_transaction_lock(node, &lock, err) < 0 ||
	    kf_journal_read(&node->host, &node->journal, err) < 0 ||
	    kf_transaction_recover(node, &restart, err) < 0)
		return -1;
	/* Without its handler a running container cannot be entered (containerd:
	 * "no runtime is configured"), so its probes would fail. */
	containers = kf_payload_in_use(node);
	if (!containers && restore(node, restart, &left, err) < 0)
		return -1;
	if (!containers && !left)
		return remove_all(node, err);
	(void)snprintf(detail, sizeof(detail), "%u containers were started through the guard",
		       containers);
	node->say(node->ctx, "kept", "/opt/kubefence",
		  containers ? detail : "the configuration still names the guard");
	*ret_kept = true;
	/* What recovery may have put back needs a restart all the same. */
	if (restart && node->options->restart && node->journal.busy) {
		if (kf_transaction_restart(node, NULL, 0, err) < 0)
			return -1;
		return kf_transaction_end(node, err);
	}
	return 0;
}

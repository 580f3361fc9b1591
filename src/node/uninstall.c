/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "node/cri.h"
#include "node/predecessor.h"
#include "node/profiles.h"
#include "node/transaction.h"

#include <limits.h>
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

/* Whether file @i of the journal belongs to the part that options->set_vms means. */
static bool in_part(const struct kf_node *node, size_t i)
{
	bool kata = strncmp(node->journal.files[i].path, KF_NODE_KATA "/",
			    strlen(KF_NODE_KATA "/")) == 0;

	return kata == node->options->set_vms;
}

/* Remove the files of this part and forget them. */
static int remove_files(struct kf_node *node, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	size_t kept = 0;

	for (size_t i = 0; i < j->nfiles; i++) {
		if (!in_part(node, i)) {
			j->files[kept++] = j->files[i];
			continue;
		}
		if (kf_host_unlink(&node->host, j->files[i].path, err) < 0)
			return -1;
		node->say(node->ctx, "removed", j->files[i].path, "");
	}
	j->nfiles = kept;
	return 0;
}

static void remove_directories(const struct kf_node *node)
{
	for (const char *const *d = directories; *d; d++)
		kf_host_rmdir(&node->host, *d);
}

static int remove_all(struct kf_node *node, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;

	if (remove_files(node, err) < 0)
		return -1;
	if (j->nfiles) {
		j->nvms = j->nhandlers = 0;
		return kf_transaction_end(node, err);
	}
	/* The journal last: until then a next run can finish.  But it names nothing of ours any
	 * more: what is put back now may have the same name. */
	if (kf_node_profiles_remove(node, err) < 0 || kf_journal_write(&node->host, j, err) < 0 ||
	    kf_predecessor_restore(node, err) < 0 ||
	    kf_journal_sweep(&node->host, j, true, err) < 0 ||
	    kf_journal_remove(&node->host, err) < 0)
		return -1;
	remove_directories(node);
	return 0;
}

/* The other part stays: what is left of the plan without this one. */
static int shrink(struct kf_node *node, bool restart, struct kf_err *err)
{
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct kf_journal *j = &node->journal, old = *j;
	struct kf_node_options options = *node->options;
	const struct kf_node_options *given = node->options;
	struct kf_payload nothing = {0};
	bool changed;
	int r;

	options.nri_socket = options.nri_plugins = options.nri_config = NULL;
	options.handlers = handlers;
	options.nhandlers = 0;
	options.vms = old.vms;
	options.nvms = given->set_vms ? 0 : old.nvms;
	options.set_vms = true;
	for (size_t i = 0; given->set_vms && i < old.nhandlers; i++)
		handlers[options.nhandlers++] = old.handlers[i].name;
	node->options = &options;
	r = kf_node_apply(node, &nothing, restart, &changed, err);
	node->options = given;
	if (r < 0)
		return -1;
	j->busy = true; /* until the files are gone */
	if (kf_journal_write(&node->host, j, err) < 0 || remove_files(node, err) < 0)
		return -1;
	return kf_transaction_end(node, err);
}

/* Why the part must stay, in @why; false if it can go. */
static bool in_use(const struct kf_node *node, char why[static 256])
{
	static const char unknown[] = "nobody knows whether it is in use (%.80s)";
	const struct kf_journal *j = &node->journal;
	struct kf_in_use pods;
	struct kf_err err;
	unsigned n = 0;

	/* Without its handler a running container cannot be entered (containerd:
	 * "no runtime is configured"), so its probes would fail. */
	if (!node->options->set_vms) {
		if (kf_payload_in_use(node, &pods, &err) < 0) {
			(void)snprintf(why, 256, unknown, err.msg);
			return true;
		}
		(void)snprintf(why, 256, "pods need the guard, delete them: %s", pods.names);
		return pods.n > 0;
	}
	for (size_t i = 0; i < j->nvms && !n; i++) {
		if (kf_cri_pods(node, j->vms[i].name, &n, &err) < 0) {
			(void)snprintf(why, 256, unknown, err.msg);
			return true;
		}
		(void)snprintf(why, 256, "%u pods have handler '%.40s'", n, j->vms[i].name);
	}
	return n > 0;
}

int kf_node_uninstall(struct kf_node *node, bool *ret_kept, struct kf_err *err)
{
	KF_CLEANUP(kf_transaction_unlock)
	struct kf_transaction_lock lock = KF_TRANSACTION_LOCK_INIT;
	const struct kf_journal *j = &node->journal;
	bool restart = false, left = false, used;
	char why[256];

	*ret_kept = false;
	/* Without a journal there may be the beginnings of one. */
	if (!node->journal.exists && !kf_host_exists(&node->host, KF_JOURNAL_DIR)) {
		remove_directories(node);
		return 0;
	}
	if (kf_transaction_lock(node, &lock, err) < 0 ||
	    kf_journal_read(&node->host, &node->journal, err) < 0 ||
	    kf_transaction_recover(node, &restart, err) < 0)
		return -1;
	used = in_use(node, why);
	if (!used && (node->options->set_vms ? j->nhandlers : j->nvms))
		return shrink(node, restart, err);
	if (!used && restore(node, restart, &left, err) < 0)
		return -1;
	if (!used && !left)
		return remove_all(node, err);
	node->say(node->ctx, "kept", node->options->set_vms ? KF_NODE_KATA : "/opt/kubefence",
		  used ? why : "the configuration still names the guard");
	*ret_kept = true;
	/* What recovery may have put back needs a restart all the same. */
	if (restart && node->options->restart && node->journal.busy) {
		if (kf_transaction_restart(node, NULL, 0, err) < 0)
			return -1;
		return kf_transaction_end(node, err);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Changing one configuration file of somebody else's, with journal, check, restart and rollback.
 * Which text is written is decided by the plan; the order of an installation is in install.c. */
#include "node/transaction.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "cri/cri.h"
#include "host/unit.h"
#include "node/effects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KATA_LOCK      "/run/lock/kata-deploy.lock"
/* kata-deploy copies some GiB and restarts the runtime while it holds its lock. */
#define KATA_SECONDS   600

/* After this time CRI-O has read its configuration. */
#define RELOAD_SECONDS 10

int kf_transaction_lock(const struct kf_node *node, struct kf_transaction_lock *ret,
			struct kf_err *err)
{
	KF_CLOSE int own = -1, kata = -1;

	if (kf_host_lock(&node->host, KF_NODE_LOCK, KF_NODE_LOCK_SECONDS, &own, err) < 0 ||
	    kf_host_lock(&node->host, KATA_LOCK, KATA_SECONDS, &kata, err) < 0)
		return -1;
	ret->node = kf_steal_fd(&own);
	ret->kata_deploy = kf_steal_fd(&kata);
	return 0;
}

void kf_transaction_unlock(struct kf_transaction_lock *lock)
{
	kf_cleanup_close(&lock->kata_deploy);
	kf_cleanup_close(&lock->node);
	*lock = (struct kf_transaction_lock)KF_TRANSACTION_LOCK_INIT;
}

/* Note the topmost directory that does not exist and will be made for the file @path. */
static void note_directory(struct kf_node *node, const char *path)
{
	struct kf_journal *j = &node->journal;
	char dir[sizeof(j->made)];

	for (size_t n = 1; path[n]; n++) {
		if (path[n] != '/' || n >= sizeof(dir))
			continue;
		memcpy(dir, path, n);
		dir[n] = '\0';
		if (kf_host_exists(&node->host, dir))
			continue;
		memcpy(j->made, dir, n + 1);
		return;
	}
}

void kf_transaction_remove_made(struct kf_node *node, const char *path)
{
	struct kf_journal *j = &node->journal;
	const size_t least = strlen(j->made);
	char dir[sizeof(j->undo)];
	size_t n = strlen(path);

	if (!least || n >= sizeof(dir))
		return;
	memcpy(dir, path, n + 1);
	while (n > least) {
		while (n > least && dir[n] != '/')
			n--;
		dir[n] = '\0';
		/* Others may have put something there: then it stays, and those above it. */
		if (kf_path_under(dir, j->made))
			kf_host_rmdir(&node->host, dir);
	}
	if (!kf_host_exists(&node->host, j->made))
		j->made[0] = '\0';
}

/* Restore the contents of @path that were kept under @digest. */
static int put_back(struct kf_node *node, const char *path, const char *digest, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n;

	if (strcmp(digest, KF_JOURNAL_ABSENT) == 0) {
		if (kf_host_remove(&node->host, path, err) < 0)
			return -1;
		kf_transaction_remove_made(node, path);
		return 0;
	}
	if (kf_journal_kept(&node->host, digest, &text, &n, err) < 0)
		return -1;
	return kf_host_rewrite(&node->host, path, text, n, err);
}

int kf_transaction_recover(struct kf_node *node, bool *ret_recovered, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	kf_digest now;

	*ret_recovered = j->pending;
	/* Remove temporary files: a runtime that reads every file of a directory may not start
	 * because of one. */
	if (j->config[0] && kf_host_sweep(&node->host, j->config, err) < 0)
		return -1;
	if (j->busy && kf_journal_sweep(&node->host, j, false, err) < 0)
		return -1;
	if (!j->busy || !j->undo[0])
		return 0;
	*ret_recovered = true;
	if (kf_journal_digest(&node->host, j->undo, now, err) < 0)
		return -1;
	if (strcmp(now, j->prev) == 0)
		return 0;
	if (strcmp(now, j->next) != 0) {
		node->say(node->ctx, "left", j->undo,
			  "somebody else changed it after a run of ours was interrupted");
		return 0;
	}
	if (put_back(node, j->undo, j->prev, err) < 0)
		return kf_fail_wrap(err, "recovery of an interrupted run");
	node->say(node->ctx, "recovered", j->undo, "from a run that was interrupted");
	return 0;
}

int kf_transaction_begin(struct kf_node *node, const struct kf_change *change, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	KF_FREE char *text = NULL;
	size_t n;

	j->exists = true;
	j->busy = true;
	j->fingerprint[0] = '\0';
	(void)snprintf(j->distribution, sizeof(j->distribution), "%s", node->distro->name);
	if ((size_t)snprintf(j->place, sizeof(j->place), "%s", node->place ? node->place : "") >=
	    sizeof(j->place))
		return kf_fail(err, ENAMETOOLONG, "'%s': too long a path", node->place);
	if (!change)
		return kf_journal_write(&node->host, j, err);
	if ((size_t)snprintf(j->undo, sizeof(j->undo), "%s", change->path) >= sizeof(j->undo))
		return kf_fail(err, ENAMETOOLONG, "'%s': too long a path", change->path);
	if (kf_host_read(&node->host, change->path, KF_JOURNAL_MAX, &text, &n, err) == 0) {
		if (kf_journal_keep(&node->host, text, n, j->prev, err) < 0)
			return -1;
	} else if (err->code == ENOENT) {
		memcpy(j->prev, KF_JOURNAL_ABSENT, sizeof(KF_JOURNAL_ABSENT));
		if (!j->made[0])
			note_directory(node, change->path);
	} else {
		return -1;
	}
	if (change->text)
		kf_sha256_hex(change->text, change->n, j->next);
	else
		memcpy(j->next, KF_JOURNAL_ABSENT, sizeof(KF_JOURNAL_ABSENT));
	return kf_journal_write(&node->host, j, err);
}

static int restart_unit(const struct kf_node *node, const char *unit, bool again,
			const char *const *handlers, size_t nhandlers, struct kf_err *err)
{
	const struct kf_host_runtime rt = kf_node_runtime(node);

	node->say(node->ctx, "restart", unit, "");
	if (kf_unit_restart(&rt, unit, again, err) < 0)
		return -1;
	return kf_node_serves(node, handlers, nhandlers, err);
}

int kf_transaction_restart(const struct kf_node *node, const char *const *handlers,
			   size_t nhandlers, struct kf_err *err)
{
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const char *unit;

	if (kf_unit_find(&rt, true, &unit, err) < 0)
		return -1;
	return restart_unit(node, unit, true, handlers, nhandlers, err);
}

/* Wait as long as a reload takes. */
static int wait_reloaded(const struct kf_node *node, const char *const *handlers, size_t nhandlers,
			 struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const char *missing = NULL;

	for (unsigned i = 0; i < RELOAD_SECONDS * 10; i++) {
		if (kf_cri_ask(&rt, handlers, nhandlers, &missing, err) < 0)
			return -1;
		if (!missing)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return kf_cri_fail(&rt, missing, err);
}

int kf_transaction_serve(struct kf_node *node, bool *ret_changed, struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;
	const char *handlers[KF_JOURNAL_HANDLERS], *missing, *unit;
	const struct kf_host_runtime rt = kf_node_runtime(node);

	if (node->distro->kind != KF_RUNTIME_CRIO)
		return 0;
	for (size_t i = 0; i < j->nhandlers; i++)
		handlers[i] = j->handlers[i].name;
	/* A runtime that does not run reads its configuration when it starts. */
	if (kf_cri_ask(&rt, handlers, j->nhandlers, &missing, err) < 0)
		return err->code == ENOENT || err->code == ECONNREFUSED ? 0 : -1;
	if (!missing)
		return 0;
	*ret_changed = true;
	if (!node->options->restart) {
		node->say(node->ctx, "note", missing,
			  "is not listed by the runtime; reload or restart it");
		return 0;
	}
	if (kf_unit_find(&rt, false, &unit, err) < 0)
		return -1;
	node->say(node->ctx, "reload", unit, "");
	if (kf_unit_reload(&rt, unit, err) < 0)
		return restart_unit(node, unit, false, handlers, j->nhandlers, err);
	return wait_reloaded(node, handlers, j->nhandlers, err);
}

/* Undo the change after failure @why: restore the file, and restart the runtime if it may run with
 * the new one.  @restarted: the unit that was restarted, NULL = none. */
static int roll_back(struct kf_node *node, const struct kf_change *change, const char *restarted,
		     struct kf_err *why)
{
	struct kf_journal *j = &node->journal;
	struct kf_err err = {0};
	int r = put_back(node, change->path, j->prev, &err);

	/* Use the unit's name: a unit whose restart failed is not active, so it would not be found.
	 */
	if (r == 0 && restarted)
		r = restart_unit(node, restarted, true, NULL, 0, &err);
	if (r < 0) {
		/* The journal stays busy, so that the next run tries again. */
		node->say(node->ctx, "failed", change->path, err.msg);
		return kf_fail_wrap(why,
				    "the old configuration could not be restored either (%.160s)",
				    err.msg);
	}
	node->say(node->ctx, "restored", change->path, "");
	j->undo[0] = '\0';
	j->busy = false;
	if (kf_journal_write(&node->host, j, &err) < 0)
		node->say(node->ctx, "failed", "journal", err.msg);
	return -1;
}

int kf_transaction_run(struct kf_node *node, const struct kf_change *change, struct kf_err *err)
{
	bool late = node->distro->late, restart = node->options->restart;
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const char *unit = NULL, *restarted = NULL;
	struct kf_err first;
	int r;

	/* Find the unit before anything is written: without one the runtime cannot be restarted. */
	if (restart) {
		r = kf_unit_find(&rt, false, &unit, err);
		if (r < 0)
			goto fail;
	}
	r = change->text ? kf_host_rewrite(&node->host, change->path, change->text, change->n, err)
			 : kf_host_remove(&node->host, change->path, err);
	if (r == 0)
		node->say(node->ctx, change->text ? "changed" : "removed", change->path, "");
	if (r == 0 && !late)
		r = change->check(node, change->ctx, true, err);
	if (r == 0 && restart) {
		restarted = unit;
		r = restart_unit(node, unit, false, change->handlers, change->nhandlers, err);
	}
	if (r == 0 && late && restart)
		r = change->check(node, change->ctx, true, err);
	if (r == 0) {
		node->journal.pending = !restart;
		return 0;
	}
fail:
	first = *err;
	r = roll_back(node, change, restarted, &first);
	*err = first;
	return r;
}

int kf_transaction_end(struct kf_node *node, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;

	j->busy = false;
	j->undo[0] = '\0';
	if (kf_journal_write(&node->host, j, err) < 0)
		return -1;
	return kf_journal_sweep(&node->host, j, false, err);
}

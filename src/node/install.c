/* SPDX-License-Identifier: Apache-2.0 */
/* Installing on a node: plan, journal, files, configuration, in the order that survives an
 * interruption.  The plan is made in node.c and its adapters, the configuration is changed in
 * transaction.c, files are written in payload.c. */
#include "base/cleanup.h"
#include "node/fingerprint.h"
#include "node/payload.h"
#include "node/predecessor.h"
#include "node/profiles.h"
#include "node/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_plan(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err)
{
	return node->adapter->check(node, ctx, installed, err);
}

/* Note the original that uninstall will restore: before the file is first changed.  It is kept from
 * run to run, with changes that somebody else makes in between. */
static int note_original(struct kf_node *node, const struct kf_node_plan *plan, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	kf_digest now;

	if (kf_journal_digest(&node->host, plan->config, now, err) < 0)
		return -1;
	if (j->config[0] && strcmp(j->config, plan->config) != 0)
		return kf_fail(
			err, EEXIST,
			"this node was set up through '%s', but another file would be changed "
			"now; uninstall first, then install again",
			j->config);
	if (j->config[0] && (strcmp(now, j->after) == 0 || strcmp(now, j->base) == 0))
		return 0;
	if (j->config[0] && plan->base) {
		node->say(node->ctx, "note", plan->config,
			  "somebody else changed it since; their changes stay, also when this is "
			  "uninstalled, and ours are put right");
		return 0; /* it becomes the original when the change is complete */
	}
	if (j->config[0] && plan->ours) {
		node->say(node->ctx, "note", plan->config,
			  "somebody else changed this file of ours; it is written anew");
		return 0;
	}
	if (j->config[0])
		node->say(node->ctx, "note", plan->config,
			  "somebody else wrote it anew, without ours; uninstall will go back to "
			  "what it is now");
	else if (!plan->root && kf_journal_keep(&node->host, plan->effective, plan->neffective,
						j->before, err) < 0)
		return -1;
	(void)snprintf(j->config, sizeof(j->config), "%s", plan->config);
	memcpy(j->base, now, sizeof(kf_digest));
	memcpy(j->after, now, sizeof(kf_digest));
	return plan->existed ? kf_journal_keep(&node->host, plan->before, plan->nbefore, now, err)
			     : 0;
}

static int note_all(struct kf_node *node, const struct kf_node_plan *plan,
		    const struct kf_payload *payload, bool config, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	kf_digest sum;

	for (size_t i = 0; i < payload->n; i++) {
		kf_sha256_hex(payload->files[i].data, payload->files[i].n, sum);
		if (kf_journal_add_file(j, payload->files[i].path, sum, err) < 0)
			return -1;
	}
	j->nhandlers = 0;
	for (size_t i = 0; i < plan->nhandlers; i++) {
		if (!plan->handlers[i].guard)
			continue;
		(void)snprintf(j->handlers[j->nhandlers].name, sizeof(j->handlers[0].name), "%s",
			       plan->handlers[i].name);
		j->handlers[j->nhandlers++].created = plan->handlers[i].created;
	}
	if (plan->nvms)
		memmove(j->vms, plan->vms, plan->nvms * sizeof(*j->vms));
	j->nvms = plan->nvms;
	/* Keep the root file as it is beside our drop-in; a later dump joins both in one file. */
	if (plan->root && kf_journal_keep(&node->host, plan->root, plan->nroot, j->before, err) < 0)
		return -1;
	if (!config)
		return 0;
	/* Keep our text, to know later which parts of the file are ours. */
	return note_original(node, plan, err) < 0
		       ? -1
		       : kf_journal_keep(&node->host, plan->after, plan->nafter, sum, err);
}

static bool root_is_known(const struct kf_journal *j, const struct kf_node_plan *plan)
{
	kf_digest now;

	if (!plan->root)
		return true;
	kf_sha256_hex(plan->root, plan->nroot, now);
	return strcmp(now, j->before) == 0;
}

static int all_exist(const struct kf_node *node, const struct kf_payload *payload, bool *ret,
		     struct kf_err *err)
{
	if (kf_node_profiles_exist(node, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < payload->n && *ret; i++)
		if (kf_payload_exists(node, &payload->files[i], ret, err) < 0)
			return -1;
	return 0;
}

static bool has_file(const struct kf_journal *j, const char *path)
{
	for (size_t i = 0; i < j->nfiles; i++)
		if (strcmp(j->files[i].path, path) == 0)
			return true;
	return false;
}

/* The run failed and the configuration is as before: the journal gets its old entries back, except
 * for the programs, which are installed. */
static void restore_journal(struct kf_node *node, const struct kf_journal *found)
{
	struct kf_journal *j = &node->journal;
	struct kf_err err;

	j->pending = found->pending;
	memcpy(j->config, found->config, sizeof(j->config));
	memcpy(j->base, found->base, sizeof(j->base));
	memcpy(j->after, found->after, sizeof(j->after));
	memcpy(j->before, found->before, sizeof(j->before));
	memcpy(j->handlers, found->handlers, sizeof(j->handlers));
	j->nhandlers = found->nhandlers;
	memcpy(j->vms, found->vms, sizeof(j->vms));
	j->nvms = found->nvms;
	if (kf_transaction_end(node, &err) < 0)
		node->say(node->ctx, "failed", "journal", err.msg);
	for (size_t i = 0; i < j->nfiles; i++)
		if (!has_file(found, j->files[i].path))
			node->say(node->ctx, "left", j->files[i].path,
				  "for the next try; 'kubefence node uninstall' removes it");
}

static int apply_plan(struct kf_node *node, struct kf_node_plan *plan, struct kf_payload *payload,
		      bool restart, bool *ret_changed, struct kf_err *err)
{
	const char *handlers[KF_JOURNAL_HANDLERS + KF_JOURNAL_VMS];
	const struct kf_journal found = node->journal;
	struct kf_change change = {
		plan->config, plan->after, plan->nafter, check_plan, plan, handlers, 0};
	bool there, config = !plan->existed || plan->nbefore != plan->nafter ||
			     memcmp(plan->before, plan->after, plan->nafter) != 0;

	for (size_t i = 0; i < plan->nhandlers; i++)
		if (plan->handlers[i].guard)
			handlers[change.nhandlers++] = plan->handlers[i].name;
		else
			node->say(node->ctx, "note", plan->handlers[i].name, plan->handlers[i].why);
	for (size_t i = 0; i < plan->nvms; i++)
		handlers[change.nhandlers++] = plan->vms[i].name;
	if (kf_payload_plan(node, plan, payload, err) < 0 ||
	    all_exist(node, payload, &there, err) < 0)
		return -1;
	/* The input changed, but the result is the same. */
	if (there && !config && !plan->base && root_is_known(&node->journal, plan) &&
	    !(restart && node->options->restart) && node->journal.exists && !node->journal.busy &&
	    (node->journal.fingerprint[0] || !payload->launcher))
		return 0;
	if (note_all(node, plan, payload, config || plan->base, err) < 0 ||
	    kf_transaction_begin(node, config ? &change : NULL, err) < 0 ||
	    kf_payload_write(node, payload, ret_changed, err) < 0 ||
	    kf_node_profiles_write(node, ret_changed, err) < 0)
		return -1;
	if (config) {
		*ret_changed = true;
		if (kf_transaction_run(node, &change, err) < 0) {
			/* If the rollback failed as well, the journal stays busy for the next run.
			 */
			if (!node->journal.busy)
				restore_journal(node, &found);
			return -1;
		}
	} else if (restart && node->options->restart) {
		*ret_changed = true;
		if (kf_transaction_restart(node, handlers, change.nhandlers, err) < 0)
			return -1;
		node->journal.pending = false;
	}
	/* A drop-in that would have nothing of theirs has no original. */
	if (plan->base && plan->ours && !plan->nbase)
		memcpy(node->journal.base, KF_JOURNAL_ABSENT, sizeof(KF_JOURNAL_ABSENT));
	else if (plan->base &&
		 kf_journal_keep(&node->host, plan->base, plan->nbase, node->journal.base, err) < 0)
		return -1;
	if (config || plan->base)
		kf_sha256_hex(plan->after, plan->nafter, node->journal.after);
	/* A run without the programs does not look at everything, so it cannot record a fingerprint
	 * for runs that do. */
	if (payload->launcher && kf_fingerprint(node, payload, node->journal.fingerprint, err) < 0)
		return -1;
	return kf_transaction_end(node, err);
}

int kf_node_apply(struct kf_node *node, struct kf_payload *payload, bool restart, bool *ret_changed,
		  struct kf_err *err)
{
	struct kf_node_plan plan;
	int r = kf_node_plan(node, &plan, err);

	if (r == 0) {
		r = apply_plan(node, &plan, payload, restart, ret_changed, err);
		kf_node_plan_done(&plan);
	}
	return r;
}

int kf_node_install(struct kf_node *node, bool *ret_changed, struct kf_err *err)
{
	KF_CLEANUP(kf_transaction_unlock)
	struct kf_transaction_lock lock = KF_TRANSACTION_LOCK_INIT;
	struct kf_payload payload;
	kf_digest now;
	bool restart;
	int r;

	*ret_changed = false;
	if (kf_payload_load(node->options->payload, &payload, err) < 0)
		return -1;
	r = kf_transaction_lock(node, &lock, err);
	/* The run that we waited for may have changed the journal. */
	if (r == 0)
		r = kf_journal_read(&node->host, &node->journal, err);
	if (r == 0)
		r = kf_predecessor_clean(node, ret_changed, err);
	if (r == 0 && node->journal.exists && !node->journal.busy &&
	    !(node->journal.pending && node->options->restart)) {
		bool there;

		r = kf_fingerprint(node, &payload, now, err);
		if (r == 0)
			r = kf_node_profiles_exist(node, &there, err);
		if (r == 0 && there && strcmp(now, node->journal.fingerprint) == 0) {
			kf_payload_done(&payload);
			return kf_transaction_serve(node, ret_changed, err);
		}
	}
	if (r == 0)
		r = kf_transaction_recover(node, &restart, err);
	if (r == 0)
		r = kf_node_apply(node, &payload, restart, ret_changed, err);
	if (r == 0)
		r = kf_transaction_serve(node, ret_changed, err);
	kf_payload_done(&payload);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Uninstalling: our part is removed from the runtime's configuration, then our files from the node.
 * What is ours in a text is decided in ours.c, whether it is in use in inuse.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "cri/cri.h"
#include "flat/launcher.h"
#include "node/beside.h"
#include "node/handler.h"
#include "node/ours.h"
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

/* The configuration as the runtime understood it before its files were changed. */
struct before {
	struct kf_arena arena;
	const char *text; /* NULL: the runtime does not accept its files */
	size_t n;
};

/* List what may differ: our handlers, also where the images plugin has them, NRI's settings, the
 * list of plugins that are switched off (NRI may have been among them), and the list of files. */
static int list_ours(const struct kf_toml_node *root, struct kf_toml_want *ret, size_t max,
		     size_t *ret_n, struct kf_err *err)
{
	static const struct kf_toml_want always[] = {
		{.path = {"imports"}},
		{.path = {"disabled_plugins"}},
		{.path = {"plugins", "io.containerd.nri.v1.nri"}},
		{.path = {"crio", "nri"}},
	};
	const char *path[KF_TOML_DEPTH_MAX + 1];
	const struct kf_toml_node *h = NULL;

	memcpy(ret, always, sizeof(always));
	*ret_n = KF_ARRAY_SIZE(always);
	while ((h = kf_ours_next(root, h))) {
		if (max - *ret_n < 2 || !kf_toml_path(h, path))
			return kf_fail(err, E2BIG, "more than %zu handlers name the guard",
				       max / 2);
		for (size_t i = 0; i < KF_TOML_PATH_MAX && path[i]; i++)
			ret[*ret_n].path[i] = path[i];
		++*ret_n;
		ret[(*ret_n)++] = (struct kf_toml_want){
			.path = {"plugins", KF_CONTAINERD_IMAGES, "runtime_platforms", h->key}};
	}
	return 0;
}

/* Check with the runtime's own parser that nothing of theirs was removed with ours. */
static int check_theirs(const struct kf_node *node, struct before *before, struct kf_err *err)
{
	struct kf_toml_want list[KF_JOURNAL_HANDLERS * 4];
	struct kf_toml was, is;
	const char *text;
	size_t n, nlist;
	int r;

	if (!before->text)
		return 0;
	if (node->adapter->effective(node, &before->arena, &text, &n, err) < 0 ||
	    kf_toml_parse(before->text, before->n, "configuration dump", &was, err) < 0)
		return -1;
	if (kf_toml_parse(text, n, "configuration dump", &is, err) < 0) {
		kf_toml_done(&was);
		return -1;
	}
	memset(list, 0, sizeof(list));
	r = list_ours(was.root, list, KF_ARRAY_SIZE(list), &nlist, err);
	if (r == 0)
		r = kf_toml_compare(&(struct kf_toml_doc){was.root, before->text},
				    &(struct kf_toml_doc){is.root, text}, NULL, 0, list, nlist,
				    err);
	kf_toml_done(&was);
	kf_toml_done(&is);
	if (r < 0)
		kf_err_wrap(err,
			    "removing our tables would change settings of others as well; "
			    "remove the tables that name '" KF_NODE_GUARD
			    "' from '%s' by hand, then run this again",
			    node->journal.config);
	return r;
}

static int check_removed(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err)
{
	/* After a rollback the guard is configured again. */
	if (!installed)
		return 0;
	if (node->adapter->removed(node, err) < 0)
		return -1;
	return check_theirs(node, ctx, err);
}

/* Other files are changed first; the runtime reads them together with the last one. */
static int check_others(const struct kf_node *node, void *ctx, bool installed, struct kf_err *err)
{
	(void)ctx;
	if (!installed || node->adapter->removed(node, err) == 0)
		return 0;
	return err->code == EBUSY ? 0 : -1;
}

static int take_out(struct kf_node *node, const struct kf_change *change, bool restart,
		    struct kf_err *err)
{
	const struct kf_node_options *given = node->options;
	struct kf_node_options options = *given;
	int r;

	options.restart = restart && given->restart;
	node->options = &options;
	r = kf_transaction_begin(node, change, err);
	if (r == 0)
		r = kf_transaction_run(node, change, err);
	node->options = given;
	return r;
}

static int take_out_others(struct kf_node *node, struct kf_arena *arena, bool *ret_changed,
			   struct kf_err *err)
{
	struct kf_beside *files;
	size_t n;

	if (kf_beside_find(node, arena, &files, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct kf_change change = {.path = files[i].path,
						 .text = files[i].text,
						 .n = files[i].n,
						 .check = check_others};

		node->say(node->ctx, "note", files[i].path,
			  "somebody else brought tables of ours here; they go, the rest stays");
		if (take_out(node, &change, false, err) < 0)
			return -1;
		*ret_changed = true;
	}
	return 0;
}

/* Work out the new text of the journal's file, whose digest is @now: @ret_text NULL = no file. */
static int without_ours(struct kf_node *node, const char *now, struct kf_arena *arena,
			struct kf_text *ret, bool *ret_found, struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	bool existed = strcmp(j->base, KF_JOURNAL_ABSENT) != 0;
	KF_FREE char *text = NULL;
	struct kf_merge m;
	size_t n;

	*ret_found = true;
	*ret = (struct kf_text){0};
	if (kf_merge_open(&node->host, j, arena, &m, err) < 0)
		return -1;
	if (strcmp(now, j->after) == 0) {
		if (existed)
			*ret = m.original;
		return 0;
	}
	*ret_found = false;
	if (strcmp(now, KF_JOURNAL_ABSENT) == 0)
		return 0;
	if (kf_host_read(&node->host, j->config, KF_JOURNAL_MAX, &text, &n, err) < 0 ||
	    kf_merge_back(&m, (struct kf_text){text, n}, &out, ret_found, err) < 0)
		return -1;
	if (!*ret_found)
		node->say(node->ctx, "left", j->config,
			  "somebody else changed it since, the guard is not in it any more");
	else if (existed || out.n)
		node->say(node->ctx, "note", j->config,
			  "somebody else changed it since; their changes stay");
	if (!*ret_found || (!existed && !out.n))
		return 0;
	ret->p = kf_arena_strdup(arena, out.n ? out.p : "");
	ret->n = out.n;
	return ret->p ? 0 : kf_fail_nomem(err, j->config);
}

/* Remove our part from all files that it is in by now. */
static int restore_in(struct kf_node *node, bool restart, struct before *before, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	struct kf_change change = {.path = j->config, .check = check_removed, .ctx = before};
	struct kf_text text = {0};
	kf_digest now;
	bool found;

	if (kf_journal_digest(&node->host, j->config, now, err) < 0 ||
	    take_out_others(node, &before->arena, &restart, err) < 0)
		return -1;
	if (strcmp(now, j->base) == 0)
		found = false;
	else if (without_ours(node, now, &before->arena, &text, &found, err) < 0)
		return -1;
	if (found) {
		change.text = text.p;
		change.n = text.n;
		if (take_out(node, &change, true, err) < 0)
			return -1;
	} else {
		if (!node->distro->late && check_removed(node, before, true, err) < 0)
			return -1;
		if (restart && node->options->restart) {
			if (kf_transaction_restart(node, NULL, 0, err) < 0)
				return -1;
			j->pending = false;
		}
	}
	kf_transaction_remove_made(node, j->config);
	j->config[0] = j->before[0] = j->made[0] = '\0';
	return kf_transaction_end(node, err);
}

static int restore_config(struct kf_node *node, bool restart, struct kf_err *err)
{
	struct before before = {0};
	struct kf_err unreadable;
	int r;

	/* The journal has no configuration file.  A handler that still leads to the guard would
	 * lead to nothing. */
	if (!node->journal.config[0])
		return node->adapter->removed(node, &unreadable) < 0 && unreadable.code == EBUSY
			       ? kf_fail(err, EBUSY,
					 "%s, but it is not known how it came there; remove the "
					 "tables "
					 "that name '" KF_NODE_GUARD
					 "' from the runtime's configuration by hand, then run "
					 "this again",
					 unreadable.msg)
			       : 0;
	kf_arena_init(&before.arena, 4 * KF_JOURNAL_MAX + 8 * KF_LIMIT_CONFIG);
	/* A configuration that the runtime does not accept may be repaired by this. */
	if (node->adapter->effective(node, &before.arena, &before.text, &before.n, &unreadable) < 0)
		before.text = NULL;
	r = restore_in(node, restart, &before, err);
	kf_arena_done(&before.arena);
	return r;
}

/* Whether file @i of the journal belongs to the part (node or Kata) that options->set_vms selects.
 */
static bool in_part(const struct kf_node *node, size_t i)
{
	bool kata = strncmp(node->journal.files[i].path, KF_NODE_KATA "/",
			    strlen(KF_NODE_KATA "/")) == 0;

	return kata == node->options->set_vms;
}

/* Remove the files of this part and forget them. */
/* The directory of nono-bwrap, wherever the launcher is, is nobody else's. */
static void remove_inner(const struct kf_node *node, const char *path)
{
	KF_FREE char *dir = strdup(path);

	if (!dir)
		return;
	*strrchr(dir, '/') = '\0';
	if (strcmp(kf_path_base(dir), KF_LAUNCHER_INNER) == 0)
		kf_host_rmdir(&node->host, dir);
}

static int remove_files(struct kf_node *node, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	size_t kept = 0;

	for (size_t i = 0; i < j->nfiles; i++) {
		if (!in_part(node, i)) {
			j->files[kept++] = j->files[i];
			continue;
		}
		if (kf_host_remove(&node->host, j->files[i].path, err) < 0)
			return -1;
		remove_inner(node, j->files[i].path);
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
	/* The journal is removed last: until then another run can finish the job.  It names nothing
	 * of ours any more, since files that are restored now may have the same names. */
	if (kf_node_profiles_remove(node, err) < 0 || kf_journal_write(&node->host, j, err) < 0 ||
	    kf_predecessor_restore(node, err) < 0 ||
	    kf_journal_sweep(&node->host, j, true, err) < 0 ||
	    kf_journal_remove(&node->host, err) < 0)
		return -1;
	remove_directories(node);
	return 0;
}

/* Remove one part only: apply the plan for the other part, without this one. */
static int keep_other_part(struct kf_node *node, bool restart, struct kf_err *err)
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
	j->busy = true; /* until the files are removed */
	if (kf_journal_write(&node->host, j, err) < 0 || remove_files(node, err) < 0)
		return -1;
	return kf_transaction_end(node, err);
}

/* Whether the part must stay; the reason is in @why. */
static bool in_use(const struct kf_node *node, char why[static 256])
{
	static const char unknown[] = "nobody knows whether it is in use (%.80s)";
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const struct kf_journal *j = &node->journal;
	struct kf_in_use pods;
	struct kf_err err;
	unsigned n = 0;

	/* Without its handler a running container cannot be entered (containerd: "no runtime is
	 * configured"), and its probes would fail. */
	if (!node->options->set_vms) {
		if (kf_payload_in_use(node, &pods, &err) < 0) {
			(void)snprintf(why, 256, unknown, err.msg);
			return true;
		}
		(void)snprintf(why, 256, "pods need the guard, delete them: %s", pods.names);
		return pods.n > 0;
	}
	for (size_t i = 0; i < j->nvms && !n; i++) {
		if (kf_cri_pods(&rt, j->vms[i].name, &n, &err) < 0) {
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
	bool restart = false, used;
	char why[256];

	*ret_kept = false;
	/* Without a journal there may still be files of an interrupted first run. */
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
		return keep_other_part(node, restart, err);
	if (!used)
		return restore_config(node, restart, err) < 0 ? -1 : remove_all(node, err);
	node->say(node->ctx, "kept", node->options->set_vms ? KF_NODE_KATA : "/opt/kubefence", why);
	*ret_kept = true;
	/* What recovery restored needs a restart in any case. */
	if (restart && node->options->restart && node->journal.busy) {
		if (kf_transaction_restart(node, NULL, 0, err) < 0)
			return -1;
		return kf_transaction_end(node, err);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Installing only the programs on a node, without changing the runtime's configuration.  The whole
 * installation is in install.c. */
#include "base/cleanup.h"
#include "node/handler.h"
#include "node/payload.h"
#include "node/transaction.h"

#include <string.h>

/* The guards of further handlers that install made. */
#define OTHER_GUARDS  KF_NODE_GUARD ".*"

#define CRIO_SOCKET   "/run/crio/crio.sock"
#define SERVE_SECONDS 60

static int add_program(struct kf_payload *p, const char *path, const char *data, size_t n,
		       struct kf_err *err)
{
	for (size_t i = 0; path && i < p->n; i++)
		if (strcmp(p->files[i].path, path) == 0)
			return 0;
	if (!path)
		return kf_fail_nomem(err, "programs");
	if (p->n == KF_PAYLOAD_MAX)
		return kf_fail(err, E2BIG, "more than %d files to install", KF_PAYLOAD_MAX);
	p->files[p->n++] = (struct kf_payload_file){path, data, n, 0755, false};
	return 0;
}

/* List the programs, including guards that were lost since: a container is stopped and deleted
 * through the guard's path as well. */
static int list_programs(const struct kf_node *node, char **guards, struct kf_payload *p,
			 struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;

	if (add_program(p, node->options->launcher, p->launcher, p->nlauncher, err) < 0 ||
	    add_program(p, kf_payload_inner_path(p, node->options->launcher), p->inner, p->ninner,
			err) < 0 ||
	    add_program(p, KF_NODE_GUARD, p->guard, p->nguard, err) < 0)
		return -1;
	for (char **g = guards; *g; g++)
		if (kf_node_guard_handler(*g) && add_program(p, *g, p->guard, p->nguard, err) < 0)
			return -1;
	for (size_t i = 0; i < j->nfiles; i++)
		if (kf_node_guard_handler(j->files[i].path) &&
		    add_program(p, j->files[i].path, p->guard, p->nguard, err) < 0)
			return -1;
	return 0;
}

/* Update the journal before the files, as install does.  If the run is interrupted, verify reports
 * the node; otherwise there could be files that nobody owns. */
static int note_programs(struct kf_node *node, const struct kf_payload *p, struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	kf_digest sum;

	if (!j->exists)
		return 0;
	for (size_t i = 0; i < p->n; i++) {
		kf_sha256_hex(p->files[i].data, p->files[i].n, sum);
		if (kf_journal_add_file(j, p->files[i].path, sum, err) < 0)
			return -1;
	}
	return kf_journal_write(&node->host, j, err);
}

static int bring_programs(struct kf_node *node, struct kf_payload *p, bool *ret_changed,
			  struct kf_err *err)
{
	KF_CLOSE int lock = -1;
	bool there = true;
	char **guards;
	int r;

	/* Only the node's lock is taken: no configuration is changed, so kata-deploy may run
	 * meanwhile. */
	if (kf_host_lock(&node->host, KF_NODE_LOCK, KF_NODE_LOCK_SECONDS, &lock, err) < 0 ||
	    kf_journal_read(&node->host, &node->journal, err) < 0 ||
	    kf_host_glob(&node->host, OTHER_GUARDS, &guards, err) < 0)
		return -1;
	r = list_programs(node, guards, p, err);
	for (size_t i = 0; i < p->n && r == 0 && there; i++)
		r = kf_payload_exists(node, &p->files[i], &there, err);
	if (r == 0 && !there)
		r = note_programs(node, p, err);
	if (r == 0)
		r = kf_payload_write(node, p, ret_changed, err);
	kf_host_list_free(guards);
	return r;
}

/* If CRI-O read its configuration while the guard was missing, let it read it again. */
static int make_known(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		      bool *ret_changed, struct kf_err *err)
{
	struct kf_node_options o = *options;
	struct kf_node node;
	int r;

	o.restart = true;
	o.timeout = SERVE_SECONDS;
	if (kf_node_open(&o, say, ctx, &node, err) < 0)
		return -1;
	r = kf_transaction_serve(&node, ret_changed, err);
	kf_node_done(&node);
	return r;
}

int kf_node_programs(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		     bool *ret_changed, struct kf_err *err)
{
	struct kf_node node = {.options = options, .say = say, .ctx = ctx};
	struct kf_payload payload;
	bool crio = false;
	int r;

	*ret_changed = false;
	if (kf_payload_load(options->payload, &payload, err) < 0)
		return -1;
	r = kf_host_open(options->host_root, &node.host, err);
	if (r == 0) {
		r = bring_programs(&node, &payload, ret_changed, err);
		/* If only our directories of the host are mounted, CRI-O cannot be told. */
		crio = node.journal.exists && strcmp(node.journal.distribution, "crio") == 0 &&
		       kf_host_exists(&node.host, CRIO_SOCKET);
		kf_host_done(&node.host);
	}
	if (r == 0 && crio)
		r = make_known(options, say, ctx, ret_changed, err);
	kf_payload_done(&payload);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a node in words: set up, partly, or not.  The journal only says where to look; the
 * files, the configuration as the runtime understands it and the answer on its CRI socket decide.
 */
#include "node/state.h"

#include "base/limits.h"
#include "cri/cri.h"
#include "node/ours.h"
#include "node/payload.h"

#include <stdio.h>
#include <string.h>

struct look {
	const struct kf_node *node;
	kf_node_say *say;
	void *ctx;
	bool readable;	/* the runtime accepts its configuration */
	bool any;	/* a handler leads to the guard or to a virtual machine of ours */
	bool missing;	/* a handler that should does not */
	bool not_there; /* a file of ours is missing or was changed */
	bool not_run;	/* the runtime runs without one of the handlers */
};

static void report_part(const struct look *l, const char *action, const char *object,
			const char *detail)
{
	if (l->say)
		l->say(l->ctx, action, object, detail);
}

/* Ask the running runtime about @handler; "" if none runs, or if it serves it. */
static const char *check_served(struct look *l, const char *handler, struct kf_err *err)
{
	struct kf_host_runtime rt = kf_node_runtime(l->node);

	if (!kf_host_first(rt.host, rt.distro->sockets))
		return "";
	rt.timeout = 0;
	if (kf_cri_wait(&rt, &handler, 1, err) == 0)
		return "";
	l->not_run = true;
	return err->msg;
}

static void look_at_handler(struct look *l, const struct kf_toml_node *root, const char *name,
			    bool created)
{
	const struct kf_toml_node *h = NULL;
	struct kf_err err;
	const char *why;

	while (root && (h = kf_ours_next(root, h)) && strcmp(h->key, name) != 0)
		;
	if (!h) {
		l->missing = true;
		report_part(l, "handler", name,
			    root ? "does not lead to us in the runtime's configuration"
				 : "not known");
		return;
	}
	why = check_served(l, name, &err);
	report_part(l, "handler", name, *why ? why : created ? "" : "existed before");
}

static void look_at_configuration(struct look *l)
{
	const struct kf_journal *j = &l->node->journal;
	const struct kf_toml_node *h = NULL;
	struct kf_arena arena;
	struct kf_toml toml = {0};
	struct kf_err err;
	const char *text;
	size_t n;

	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	l->readable = l->node->adapter->effective(l->node, &arena, &text, &n, &err) == 0 &&
		      kf_toml_parse(text, n, "configuration dump", &toml, &err) == 0;
	if (!l->readable)
		report_part(l, "config", "not known", err.msg);
	l->any = l->readable && kf_ours_next(toml.root, NULL);
	for (size_t i = 0; i < j->nhandlers; i++)
		look_at_handler(l, toml.root, j->handlers[i].name, j->handlers[i].created);
	for (size_t i = 0; i < j->nvms; i++)
		look_at_handler(l, toml.root, j->vms[i].name, true);
	while (!j->exists && l->readable && (h = kf_ours_next(toml.root, h)))
		report_part(l, "handler", h->key, "leads to the guard, and nobody recorded why");
	if (toml.root)
		kf_toml_done(&toml);
	kf_arena_done(&arena);
}

static int look_at_files(struct look *l, struct kf_err *err)
{
	const struct kf_journal *j = &l->node->journal;
	kf_digest now;

	if (j->config[0]) {
		if (kf_journal_digest(&l->node->host, j->config, now, err) < 0)
			return -1;
		report_part(l, "config", j->config,
			    strcmp(now, j->base) == 0		  ? "as before the installation"
			    : strcmp(now, j->after) == 0	  ? "as installed"
			    : strcmp(now, KF_JOURNAL_ABSENT) == 0 ? "missing"
								  : "changed by somebody else");
	}
	for (size_t i = 0; i < j->nfiles; i++) {
		bool same, settings = strcmp(j->files[i].path, KF_NODE_SETTINGS) == 0;

		if (kf_journal_digest(&l->node->host, j->files[i].path, now, err) < 0)
			return -1;
		same = strcmp(now, j->files[i].sum) == 0;
		report_part(l, "file", j->files[i].path,
			    same				  ? ""
			    : strcmp(now, KF_JOURNAL_ABSENT) == 0 ? "missing"
			    : settings				  ? "the plugin's"
								  : "changed since");
		/* The plugin may have published its own settings. */
		if (!same && (!settings || strcmp(now, KF_JOURNAL_ABSENT) == 0))
			l->not_there = true;
	}
	return 0;
}

static void look_at_pods(const struct look *l)
{
	struct kf_in_use pods;
	struct kf_err err;
	char count[16];

	if (!l->say)
		return;
	if (kf_payload_in_use(l->node, &pods, &err) < 0) {
		report_part(l, "pods", "not known", err.msg);
		return;
	}
	(void)snprintf(count, sizeof(count), "%u", pods.n);
	report_part(l, "pods", count, pods.names);
}

static const char *in_words(const struct look *l)
{
	const struct kf_journal *j = &l->node->journal;
	/* The runtime's answer decides, and it has not read the new configuration yet. */
	bool later = j->pending && l->node->distro->late;

	if (j->busy)
		return "interrupted, run install or uninstall again";
	if (!j->exists || !j->config[0])
		return l->any	   ? "not installed, but the configuration names the guard"
		       : j->nfiles ? "not installed, programs are left; run install or uninstall"
				   : "not installed";
	if (!l->readable)
		return "not known, the runtime does not tell its configuration";
	if (l->missing && !later)
		return "not as installed, run install again";
	if (l->not_there)
		return "not as installed, run install again";
	return j->pending || l->not_run ? "installed, restart pending" : "installed";
}

int kf_node_state(const struct kf_node *node, kf_node_say *say, void *ctx, const char **ret,
		  struct kf_err *err)
{
	struct look l = {.node = node, .say = say, .ctx = ctx};

	if (node->journal.exists)
		report_part(&l, "runtime", node->distro->name, "");
	look_at_configuration(&l);
	if (look_at_files(&l, err) < 0)
		return -1;
	if (node->journal.exists)
		look_at_pods(&l);
	*ret = in_words(&l);
	return 0;
}

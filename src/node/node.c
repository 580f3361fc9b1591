/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a node (which runtime, which journal) and planning with the runtime's adapter.  The plan
 * is carried out in install.c, undone in uninstall.c. */
#include "node/node.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "config/runtime_text.h"
#include "flat/name.h"
#include "host/which.h"

#include <limits.h>
#include <string.h>

/* Memory for several copies of a configuration and its dump, and for the wants. */
#define PLAN_MEMORY  (32 * 1024 * 1024)
#define PLACE_MEMORY (1024 * 1024)

static const struct kf_adapter *const adapters[] = {
	[KF_RUNTIME_CONTAINERD] = &kf_containerd,
	[KF_RUNTIME_CRIO] = &kf_crio,
};

/* A node that was set up keeps its runtime.  If another one runs now, that is reported to whoever
 * would change its configuration. */
static int find_again(struct kf_node *n, struct kf_err *err)
{
	const struct kf_node_options *o = n->options;
	const struct kf_which_question question = {o->distribution, o->containerd_config};
	const struct kf_journal *j = &n->journal;
	struct kf_which now;
	int r;

	/* Older journals do not have the file that the option named. */
	if (*j->place)
		n->place = kf_arena_strdup(&n->arena, j->place);
	else if (strcmp(j->distribution, "containerd") == 0)
		n->place = o->containerd_config;
	n->why = "set up";
	if (*j->place && !n->place)
		return kf_fail_nomem(err, "distribution");
	if (kf_which_at(j->distribution, n->place, &n->arena, &n->distro, err) < 0)
		return -1;
	/* The runtime may be stopped or removed: then only what was set up is known. */
	r = kf_which(&n->host, &question, &n->arena, &now, err);
	if (r < 0)
		return o->distribution ? -1 : 0;
	if (strcmp(now.distro->name, j->distribution) == 0 &&
	    strcmp(now.distro->config, n->distro->config) == 0) {
		n->distro = now.distro;
		n->why = now.why;
		return 0;
	}
	if (o->distribution)
		return kf_fail(err, EEXIST, "this node was set up as %s; uninstall that before %s",
			       j->distribution, now.distro->name);
	if (!now.runs)
		return 0;
	n->elsewhere = kf_arena_printf(
		&n->arena,
		"this node was set up as %s ('%s'), but what %s is %s ('%s'); run 'kubefence node "
		"uninstall', then install again",
		j->distribution, n->distro->config, now.why, now.distro->name, now.distro->config);
	return n->elsewhere ? 0 : kf_fail_nomem(err, "distribution");
}

static int find_runtime(struct kf_node *n, struct kf_err *err)
{
	const struct kf_which_question question = {n->options->distribution,
						   n->options->containerd_config};
	struct kf_which now;

	if (n->journal.exists)
		return find_again(n, err);
	if (kf_which(&n->host, &question, &n->arena, &now, err) < 0)
		return -1;
	n->distro = now.distro;
	n->place = now.place;
	n->why = now.why;
	return 0;
}

static int check_launcher(const char *path, struct kf_err *err)
{
	char clean[PATH_MAX];

	if (path[0] != '/' || !kf_path_clean(path, clean, sizeof(clean)) ||
	    strcmp(path, clean) != 0)
		return kf_fail(err, EINVAL, "launcher: '%s' is not a plain absolute path", path);
	/* Containers have its directory as /nono, and start /nono/nono. */
	if (strcmp(kf_path_base(path), "nono") != 0 || strrchr(path, '/') == path)
		return kf_fail(err, EINVAL,
			       "launcher: '%s': the file is called 'nono', in a directory of its "
			       "own, such as " KF_NODE_LAUNCHER,
			       path);
	return 0;
}

int kf_node_options_check(const struct kf_node_options *options, struct kf_err *err)
{
	const struct {
		const char *what, *path;
	} paths[] = {
		{"NRI socket", options->nri_socket},
		{"NRI plugins", options->nri_plugins},
		{"NRI configurations", options->nri_config},
		{"containerd's configuration", options->containerd_config},
	};

	if (options->launcher && check_launcher(options->launcher, err) < 0)
		return -1;
	if (options->default_profile && !kf_profile_name_valid(options->default_profile))
		return kf_fail(err, EINVAL,
			       "default profile: '%s' is no profile's name (letters, digits, '_' "
			       "and '-', at most 64)",
			       options->default_profile);
	for (size_t i = 0; i < KF_ARRAY_SIZE(paths); i++)
		if (paths[i].path && paths[i].path[0] != '/')
			return kf_fail(err, EINVAL, "%s: '%s' is not an absolute path",
				       paths[i].what, paths[i].path);
	return 0;
}

int kf_node_open(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		 struct kf_node *ret, struct kf_err *err)
{
	struct kf_node n = {.options = options, .say = say, .ctx = ctx};

	if (kf_host_open(options->host_root, &n.host, err) < 0)
		return -1;
	kf_arena_init(&n.arena, PLACE_MEMORY);
	if (kf_journal_read(&n.host, &n.journal, err) < 0 || find_runtime(&n, err) < 0) {
		kf_node_done(&n);
		return -1;
	}
	n.adapter = adapters[n.distro->kind];
	*ret = n;
	return 0;
}

void kf_node_done(struct kf_node *node)
{
	kf_host_done(&node->host);
	kf_arena_done(&node->arena);
}

static bool has_changes(const struct kf_node_plan *p)
{
	return !p->existed || p->nbefore != p->nafter ||
	       memcmp(p->before, p->after, p->nafter) != 0;
}

int kf_node_plan(const struct kf_node *node, struct kf_node_plan *ret, struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	struct kf_node_plan p = {0};

	if (node->elsewhere)
		return kf_fail(err, EEXIST, "%s", node->elsewhere);
	p.vms = o->set_vms ? o->vms : node->journal.vms;
	p.nvms = o->set_vms ? o->nvms : node->journal.nvms;
	if ((o->nhandlers == 0 && p.nvms == 0) || o->nhandlers > KF_JOURNAL_HANDLERS)
		return kf_fail(err, EINVAL, "between 1 and %d handlers are needed",
			       KF_JOURNAL_HANDLERS);
	kf_arena_init(&p.arena, PLAN_MEMORY);
	p.handlers = kf_arena_calloc(&p.arena, o->nhandlers + 1, sizeof(*p.handlers));
	if (!p.handlers) {
		kf_node_plan_done(&p);
		return kf_fail_nomem(err, "plan");
	}
	p.nhandlers = o->nhandlers;
	for (size_t i = 0; i < o->nhandlers; i++) {
		p.handlers[i].name = o->handlers[i];
		if (!kf_handler_name_valid(o->handlers[i])) {
			kf_node_plan_done(&p);
			return kf_fail(err, EINVAL,
				       "'%s' is no handler's name (lower-case letters, digits and "
				       "dashes, at most 63)",
				       o->handlers[i]);
		}
	}
	if (node->adapter->plan(node, &p, err) < 0 ||
	    (has_changes(&p) && kf_host_check_replace(&node->host, p.config, err) < 0)) {
		kf_node_plan_done(&p);
		return -1;
	}
	*ret = p;
	return 0;
}

void kf_node_plan_done(struct kf_node_plan *plan)
{
	kf_arena_done(&plan->arena);
}

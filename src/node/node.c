/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node.h"

#include "policy/runtime_text.h"

#include <stdlib.h>
#include <string.h>

/* The texts of a configuration and its dump several times, and the wants. */
#define PLAN_MEMORY (32 * 1024 * 1024)

static const struct kf_adapter *const adapters[] = {
	[KF_RUNTIME_CONTAINERD] = &kf_containerd,
	[KF_RUNTIME_CRIO] = &kf_crio,
};

int kf_node_open(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		 struct kf_node *ret, struct kf_err *err)
{
	struct kf_node n = {.options = options, .say = say, .ctx = ctx};
	const char *name = options->distribution;

	if (kf_host_open(options->host_root, &n.host, err) < 0)
		return -1;
	if (kf_journal_read(&n.host, &n.journal, err) < 0)
		goto fail;
	if (!name && n.journal.exists)
		name = n.journal.distribution;
	if (kf_distro_find(&n.host, name, &n.distro, err) < 0)
		goto fail;
	if (n.journal.exists && strcmp(n.journal.distribution, n.distro->name) != 0) {
		kf_err_set(err, EEXIST, "this node was set up as %s; uninstall that before %s",
			   n.journal.distribution, n.distro->name);
		goto fail;
	}
	if (options->containerd_config && strcmp(n.distro->name, "containerd") == 0 &&
	    strcmp(options->containerd_config, n.distro->config) != 0) {
		n.moved = malloc(sizeof(*n.moved));
		if (!n.moved) {
			kf_err_set(err, ENOMEM, "node: out of memory");
			goto fail;
		}
		*n.moved = *n.distro;
		n.moved->config = options->containerd_config;
		n.distro = n.moved;
	}
	n.adapter = adapters[n.distro->kind];
	*ret = n;
	return 0;
fail:
	kf_host_done(&n.host);
	return -1;
}

void kf_node_done(struct kf_node *node)
{
	kf_host_done(&node->host);
	free(node->moved);
	node->moved = NULL;
}

int kf_node_plan(const struct kf_node *node, struct kf_node_plan *ret, struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	struct kf_node_plan p = {0};

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
	if (node->adapter->plan(node, &p, err) < 0) {
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

/* SPDX-License-Identifier: Apache-2.0 */
/* containerd as a runtime of node set-up: planning by the steps of containerd_int.h, and having
 * containerd itself judge the result. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"

#include <string.h>

/* What of @facts the plan keeps. */
static void take_facts(const struct kf_containerd_facts *f, struct kf_node_plan *plan)
{
	plan->program = f->program;
	plan->major = f->major;
	plan->minor = f->minor;
	plan->effective = f->dump_text.p;
	plan->neffective = f->dump_text.n;
	plan->config = f->target;
	plan->ours = f->dropin;
	plan->before = f->before.p;
	plan->nbefore = f->before.n;
	plan->existed = f->existed;
	plan->base = f->base.p;
	plan->nbase = f->base.n;
	if (f->dropin &&
	    !memmem(f->root_text.p, f->root_text.n, KF_NODE_GUARD, strlen(KF_NODE_GUARD))) {
		plan->root = f->root_text.p;
		plan->nroot = f->root_text.n;
	}
}

static int containerd_plan(const struct kf_node *node, struct kf_node_plan *plan,
			   struct kf_err *err)
{
	struct kf_containerd_wants wants = {0};
	struct kf_containerd_facts facts;
	int r = kf_containerd_read(node, &plan->arena, &facts, err);

	if (r == 0) {
		take_facts(&facts, plan);
		r = kf_containerd_want(&facts, plan, &wants, err);
	}
	if (r == 0)
		r = kf_containerd_text(&facts, &wants, plan, err);
	kf_containerd_facts_done(&facts);
	return r;
}

/* Whether @after says what @want wants. */
static bool is_as_wanted(const struct kf_toml_want *want, const struct kf_toml_doc *after,
			 struct kf_arena *arena)
{
	const struct kf_toml_node *is = kf_toml_find(after->root, want->path);
	const char *text = kf_arena_printf(arena, "x = %s\n", want->value);
	struct kf_toml toml;
	struct kf_err ignored;
	bool same;

	/* What cannot be told is nobody's fault. */
	if (!text || kf_toml_parse(text, strlen(text), "x", &toml, &ignored) < 0)
		return true;
	same = is && kf_toml_same(&(struct kf_toml_doc){toml.root, text},
				  kf_toml_get(toml.root, "x"), after, is);
	kf_toml_done(&toml);
	return same;
}

/* Add to *err, why the effective configuration is not what was planned, which file has the last
 * word on the first value that differs: not ours. */
static void add_culprit(const struct kf_node *node, const struct kf_node_plan *plan,
			const struct kf_toml_doc *after, struct kf_arena *arena, struct kf_err *err)
{
	struct kf_containerd_facts facts = {0};
	const struct kf_toml_want *want = plan->wants;
	size_t n = strlen(plan->config);
	struct kf_err ignored;
	const char *at = NULL;

	while (want < plan->wants + plan->nwants && is_as_wanted(want, after, arena))
		want++;
	if (want == plan->wants + plan->nwants)
		return;
	/* 1.x takes a plugin's whole table from one file. */
	const char *const plugin[] = {want->path[0], want->path[1], NULL};

	if (kf_containerd_read_files(node, arena, &facts, &ignored) == 0 &&
	    kf_containerd_where(&facts, plan->major < 2 ? plugin : want->path, NULL, &at,
				&ignored) == 0 &&
	    at && (strncmp(at, plan->config, n) != 0 || at[n] != ':'))
		kf_err_wrap(err, "%s has the last word; change it there", at);
	kf_containerd_facts_done(&facts);
}

static int containerd_check(const struct kf_node *node, const struct kf_node_plan *plan,
			    bool installed, struct kf_err *err)
{
	struct kf_arena arena;
	struct kf_toml before, after;
	const char *text;
	size_t n;
	int r;

	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = kf_containerd_dump(node, plan->program, &arena, &text, &n, err);
	if (r == 0)
		r = kf_toml_parse(plan->effective, plan->neffective, "dump", &before, err);
	if (r == 0 && (r = kf_toml_parse(text, n, "dump", &after, err)) < 0)
		kf_toml_done(&before);
	if (r == 0) {
		r = kf_toml_compare(&(struct kf_toml_doc){before.root, plan->effective},
				    &(struct kf_toml_doc){after.root, text},
				    installed ? plan->wants : NULL, installed ? plan->nwants : 0,
				    plan->ignore, plan->nignore, err);
		if (r < 0 && installed)
			add_culprit(node, plan, &(struct kf_toml_doc){after.root, text}, &arena,
				    err);
		if (r < 0)
			kf_err_wrap(err, "containerd does not make of '%s' what was intended",
				    plan->config);
		kf_toml_done(&before);
		kf_toml_done(&after);
	}
	kf_arena_done(&arena);
	return r;
}

static int containerd_effective(const struct kf_node *node, struct kf_arena *arena,
				const char **ret, size_t *ret_n, struct kf_err *err)
{
	const char *program = kf_host_first(&node->host, node->distro->programs);

	if (!program)
		return kf_fail(err, ENOENT, "containerd of %s is not at '%s'", node->distro->name,
			       node->distro->programs[0]);
	return kf_containerd_dump(node, program, arena, ret, ret_n, err);
}

static int containerd_removed(const struct kf_node *node, struct kf_err *err)
{
	const char *program = kf_host_first(&node->host, node->distro->programs), *text;
	const struct kf_toml_node *all;
	struct kf_arena arena;
	struct kf_toml toml;
	size_t n;
	int r;

	if (!program) /* the runtime itself is gone */
		return 0;
	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = kf_containerd_dump(node, program, &arena, &text, &n, err);
	if (r == 0 && (r = kf_toml_parse(text, n, "configuration dump", &toml, err)) == 0) {
		all = kf_containerd_runtimes(toml.root, kf_containerd_version(toml.root));
		for (const struct kf_toml_node *h = all ? all->first_child : NULL; h && r == 0;
		     h = h->next)
			if (kf_node_guard_handler(
				    kf_toml_string(h, KF_TOML_PATH("options", "BinaryName"), "")) ||
			    strncmp(kf_toml_string(h, KF_TOML_PATH("options", "ConfigPath"), ""),
				    KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) == 0)
				r = kf_fail(err, EBUSY,
					    "handler '%s' is still ours after the original "
					    "configuration was restored",
					    h->key);
		kf_toml_done(&toml);
	}
	kf_arena_done(&arena);
	return r;
}

const struct kf_adapter kf_containerd = {
	.plan = containerd_plan,
	.check = containerd_check,
	.effective = containerd_effective,
	.removed = containerd_removed,
};

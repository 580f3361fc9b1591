/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: what to write where, for configuration versions 2, 3 and 4. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/run.h"
#include "node/containerd_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NRI	     "io.containerd.nri.v1.nri"
#define DUMP_TIMEOUT 20000

/* The CRI plugin's name moved with version 3. */
const char *kf_containerd_cri(int64_t version)
{
	return version >= 3 ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
}

int64_t kf_containerd_version(const struct kf_toml_node *root)
{
	const struct kf_toml_node *v = kf_toml_get(root, "version");

	return v && v->kind == KF_TOML_INTEGER ? v->integer : root->nchildren ? 1 : 0;
}

/* "containerd github.com/containerd/containerd/v2 v2.4.2 REV" */
static int find_version(struct kf_containerd_work *w, struct kf_err *err)
{
	const char *argv[] = {w->plan->program, "--version", NULL};
	struct kf_run run;
	const char *v;
	bool ok;

	if (kf_run_host(&w->node->host, argv, DUMP_TIMEOUT, 4096, &run, err) < 0)
		return -1;
	v = strstr(run.out, " v");
	if (!v || sscanf(v, " v%u.%u", &w->plan->major, &w->plan->minor) != 2) {
		v = strstr(run.out, " 1."); /* distributions drop the "v" */
		v = v ? v : strstr(run.out, " 2.");
		ok = v && sscanf(v, " %u.%u", &w->plan->major, &w->plan->minor) == 2;
	} else {
		ok = true;
	}
	kf_run_done(&run);
	if (!ok)
		return kf_fail(err, EINVAL, "'%s --version' does not tell a version",
			       w->plan->program);
	if (w->plan->major < 1 || (w->plan->major == 1 && w->plan->minor < 7))
		return kf_fail(
			err, ENOTSUP,
			"containerd %u.%u is too old: NRI came with 1.7, sandboxing by plugin "
			"with 2.2; upgrade containerd",
			w->plan->major, w->plan->minor);
	return 0;
}

/* What containerd makes of its configuration, in the plan's arena. */
static int dump(const struct kf_node *node, const char *program, struct kf_arena *arena,
		const char **ret, size_t *ret_n, struct kf_err *err)
{
	const char *argv[] = {program, "--config", node->distro->config, "config", "dump", NULL};
	/* Without a file the built-in configuration counts (1.7 cannot dump it). */
	const char *plain[] = {program, "config", "default", NULL};
	bool exists = kf_host_exists(&node->host, node->distro->config);
	struct kf_run run;
	char *copy;
	int r = 0;

	if (kf_run_host(&node->host, exists ? argv : plain, DUMP_TIMEOUT, KF_LIMIT_CONFIG, &run,
			err) < 0)
		return -1;
	copy = kf_arena_alloc(arena, run.n + 1);
	if (run.status != 0)
		r = kf_fail(err, EINVAL, "containerd does not accept '%s': %s",
			    node->distro->config, run.why);
	else if (!copy)
		r = kf_fail_nomem(err, "configuration dump");
	if (r == 0) {
		memcpy(copy, run.out, run.n);
		*ret = copy;
		*ret_n = run.n;
	}
	kf_run_done(&run);
	return r;
}

/* The table of runtimes in @root. */
const struct kf_toml_node *kf_containerd_runtimes(const struct kf_toml_node *root, int64_t version)
{
	return kf_toml_find(root, KF_TOML_PATH("plugins", kf_containerd_cri(version), "containerd",
					       "runtimes"));
}

/* @path, or what is configured, as TOML; "" if nothing is. */
static const char *nri_path(struct kf_containerd_work *w, const char *key, const char *path)
{
	if (!path)
		path = kf_toml_string(w->dump.root, KF_TOML_PATH("plugins", NRI, key), NULL);
	return path ? kf_node_quote(&w->plan->arena, path) : "";
}

static int plan_nri(struct kf_containerd_work *w, struct kf_err *err)
{
	const struct kf_node_options *o = w->node->options;
	struct kf_node_plan *p = w->plan;
	const struct {
		const char *key, *value;
	} values[] = {
		{"disable", "false"},
		{"disable_connections", "false"},
		{"socket_path", nri_path(w, "socket_path", o->nri_socket)},
		{"plugin_path", nri_path(w, "plugin_path", o->nri_plugins)},
		{"plugin_config_path", nri_path(w, "plugin_config_path", o->nri_config)},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++) {
		const char *const path[] = {"plugins", NRI, values[i].key, NULL};

		if (!values[i].value)
			return kf_fail_nomem(err, "plan");
		if (!*values[i].value)
			continue;
		if (kf_node_want(p, &w->wants, &w->nwants, values[i].value, path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, values[i].value, path, err) < 0)
			return -1;
	}
	/* The validator came with NRI 0.10, containerd 2.2. */
	if (p->major > 2 || (p->major == 2 && p->minor >= 2)) {
		const char *const path[] = {"plugins", NRI, "default_validator", "enable", NULL};

		if (kf_node_want(p, &w->wants, &w->nwants, "true", path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, "true", path, err) < 0)
			return -1;
	}
	return 0;
}

/* Plugins that must not be among disabled_plugins, which counts whatever else is set. */
static const struct {
	const char *uri;
	bool nri;
} needed[] = {
	{"io.containerd.grpc.v1.cri", false},
	{"io.containerd.cri.v1.runtime", false},
	{"io.containerd.cri.v1.images", false},
	{NRI, true},
};

static bool is_disabled(const struct kf_toml_node *list, const char *uri)
{
	for (const struct kf_toml_node *n = list ? list->first_child : NULL; n; n = n->next)
		if (n->kind == KF_TOML_STRING && strcmp(n->string, uri) == 0)
			return true;
	return false;
}

/* The array of strings @list without @item, as TOML. */
static const char *array_without(struct kf_arena *arena, const struct kf_toml_node *list,
				 const char *item)
{
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *out;

	kf_buf_adds(&buf, "[");
	for (const struct kf_toml_node *n = list ? list->first_child : NULL; n; n = n->next) {
		if (n->kind != KF_TOML_STRING || strcmp(n->string, item) == 0)
			continue;
		kf_buf_adds(&buf, buf.n > 1 ? ", " : "");
		kf_toml_put_string(&buf, n->string);
	}
	kf_buf_adds(&buf, "]");
	out = buf.failed ? NULL : kf_arena_strdup(arena, buf.p);
	kf_buf_done(&buf);
	return out;
}

/* Take NRI out of disabled_plugins, if our own file is the one that has it there. */
static int want_nri_enabled(struct kf_containerd_work *w, struct kf_err *err)
{
	const char *const path[] = {"disabled_plugins", NULL};
	struct kf_arena *arena = &w->plan->arena;
	struct kf_node_plan *p = w->plan;
	const char *file = array_without(arena, kf_toml_find(w->root.root, path), NRI);
	const char *all = array_without(arena, kf_toml_find(w->dump.root, path), NRI);

	if (!file || !all)
		return kf_fail_nomem(err, "plan");
	/* containerd does not tell the settings of a plugin that is off: all of them are new. */
	return kf_node_want(p, &w->wants, &w->nwants, file, path, err) < 0 ||
			       kf_node_want(p, &p->wants, &p->nwants, all, path, err) < 0
		       ? -1
		       : kf_node_want(p, &p->ignore, &p->nignore, NULL,
				      KF_TOML_PATH("plugins", NRI), err);
}

static int check_disabled(struct kf_containerd_work *w, const char *root, struct kf_err *err)
{
	const char *const path[] = {"disabled_plugins", NULL};
	const struct kf_toml_node *all = kf_toml_find(w->dump.root, path),
				  *here = kf_toml_find(w->root.root, path);

	bool mine = is_disabled(here, NRI) && kf_containerd_edits_root(w);

	for (size_t i = 0; i < KF_ARRAY_SIZE(needed); i++) {
		const char *uri = needed[i].uri, *at;

		if (!is_disabled(all, uri) || (needed[i].nri && mine))
			continue;
		if (kf_containerd_where(w->node, &w->plan->arena, path, uri, &at, err) < 0)
			return -1;
		at = at ? at : root;
		if (needed[i].nri)
			return kf_fail(err, ENOTSUP,
				       "%s: disabled_plugins switches NRI off ('%s'); take it out "
				       "there, then run this again",
				       at, uri);
		return kf_fail(err, ENOTSUP,
			       "%s: disabled_plugins switches CRI off ('%s'), so that no kubelet "
			       "can use this containerd; take it out there, or choose the runtime "
			       "that the kubelet uses with --distribution",
			       at, uri);
	}
	return mine ? want_nri_enabled(w, err) : 0;
}

/* containerd 1.x does not merge: what @root says of handlers counts only if it is the last file
 * that says something of CRI. */
static int check_last_word(struct kf_containerd_work *w, const char *root, struct kf_err *err)
{
	const char *cri = kf_containerd_cri(w->version), *at = NULL;
	size_t n = strlen(root);

	if (w->plan->major >= 2)
		return 0;
	if (kf_containerd_where(w->node, &w->plan->arena, KF_TOML_PATH("plugins", cri), NULL, &at,
				err) < 0)
		return -1;
	if (!at || (strncmp(at, root, n) == 0 && at[n] == ':'))
		return 0;
	return kf_fail(err, ENOTSUP,
		       "%s has the last word on plugin '%s': containerd 1.x takes a plugin's whole "
		       "table from the last file that has one; move what it says there into '%s'",
		       at, cri, root);
}

static int plan_all(struct kf_containerd_work *w, struct kf_err *err)
{
	const struct kf_distro *d = w->node->distro;
	const char *root = d->edit ? d->edit : d->config;
	struct kf_node_plan *p = w->plan;
	size_t nroot;

	if (kf_containerd_read_root(w, root, &nroot, err) < 0 ||
	    kf_toml_parse(w->text, nroot, root, &w->root, err) < 0 ||
	    kf_containerd_check_version(w, root, err) < 0 || find_version(w, err) < 0 ||
	    dump(w->node, p->program, &p->arena, &p->effective, &p->neffective, err) < 0 ||
	    kf_toml_parse(p->effective, p->neffective, "configuration dump", &w->dump, err) < 0)
		return -1;
	if (w->version == 0) /* nothing in it, or no such file */
		w->version = kf_containerd_version(w->dump.root);
	if (check_last_word(w, root, err) < 0 || check_disabled(w, root, err) < 0 ||
	    kf_containerd_check_old_name(w, root, err) < 0 ||
	    kf_node_want(p, &p->ignore, &p->nignore, NULL, KF_TOML_PATH("imports"), err) < 0 ||
	    kf_containerd_plan_handlers(w, err) < 0)
		return -1;
	if (plan_nri(w, err) < 0)
		return -1;
	return kf_containerd_make_text(w, root, nroot, err);
}

static int containerd_plan(const struct kf_node *node, struct kf_node_plan *plan,
			   struct kf_err *err)
{
	struct kf_containerd_work w = {.node = node, .plan = plan};
	int r;

	plan->program = kf_host_first(&node->host, node->distro->programs);
	if (!plan->program)
		return kf_fail(err, ENOENT, "containerd of %s is not at '%s'", node->distro->name,
			       node->distro->programs[0]);
	if (kf_node_recorded(&node->host, &w.recorded, err) < 0)
		return -1;
	r = plan_all(&w, err);
	kf_runtimes_done(&w.recorded);
	if (w.root.root)
		kf_toml_done(&w.root);
	if (w.dump.root)
		kf_toml_done(&w.dump);
	return r;
}

/* Add to *err, why the effective configuration is not what was planned, which file has the last
 * word on the first value that differs: not ours. */
static void blame(const struct kf_node *node, const struct kf_node_plan *plan,
		  const struct kf_toml_doc *after, struct kf_arena *arena, struct kf_err *err)
{
	for (size_t i = 0; i < plan->nwants; i++) {
		const struct kf_toml_want *want = &plan->wants[i];
		/* 1.x takes a plugin's whole table from one file. */
		const char *const plugin[] = {want->path[0], want->path[1], NULL};
		const char *text = kf_arena_printf(arena, "x = %s\n", want->value), *at = NULL;
		struct kf_err ignored;
		struct kf_toml toml;
		bool same;

		if (!text || kf_toml_parse(text, strlen(text), "x", &toml, NULL) < 0)
			return;
		const struct kf_toml_node *is = kf_toml_find(after->root, want->path);
		same = is && kf_toml_same(&(struct kf_toml_doc){toml.root, text},
					  kf_toml_get(toml.root, "x"), after, is);
		kf_toml_done(&toml);
		if (same)
			continue;
		if (kf_containerd_where(node, arena, plan->major < 2 ? plugin : want->path, NULL,
					&at, &ignored) < 0 ||
		    !at ||
		    (strncmp(at, plan->config, strlen(plan->config)) == 0 &&
		     at[strlen(plan->config)] == ':'))
			return;
		kf_err_wrap(err, "%s has the last word; change it there", at);
		return;
	}
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
	r = dump(node, plan->program, &arena, &text, &n, err);
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
			blame(node, plan, &(struct kf_toml_doc){after.root, text}, &arena, err);
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
	return dump(node, program, arena, ret, ret_n, err);
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
	r = dump(node, program, &arena, &text, &n, err);
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

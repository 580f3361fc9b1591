/* SPDX-License-Identifier: Apache-2.0 */
/* CRI-O: always a drop-in; crio merges them in the order of their names. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/handler.h"
#include "node/run.h"

#include <stdlib.h>
#include <string.h>

#define DROPIN	     "/etc/crio/crio.conf.d/90-kubefence.conf"
#define CRIO_TIMEOUT 20000
#define DEFAULT_LINE "default_runtime = \""

/* "crio config": what differs from the built-in defaults as TOML, those as comments. */
static int effective(const struct kf_node *node, const char *program, struct kf_arena *arena,
		     const char **ret, size_t *ret_n, struct kf_err *err)
{
	const char *argv[] = {program, "config", NULL};
	struct kf_run run;
	char *copy;
	int r = 0;

	if (kf_run_host(&node->host, argv, CRIO_TIMEOUT, KF_LIMIT_CONFIG, &run, err) < 0)
		return -1;
	copy = kf_arena_strdup(arena, run.out);
	if (run.status != 0)
		r = kf_fail(err, EINVAL, "crio does not accept its configuration: %s", run.why);
	else if (!copy)
		r = kf_fail_nomem(err, "configuration dump");
	if (r == 0) {
		*ret = copy;
		*ret_n = run.n;
	}
	kf_run_done(&run);
	return r;
}

/* The default runtime's name: set, or in the comment that tells the built-in one. */
static const char *default_runtime(const struct kf_toml_node *root, const char *text,
				   struct kf_arena *arena)
{
	const char *set =
		kf_toml_string(root, KF_TOML_PATH("crio", "runtime", "default_runtime"), NULL);
	const char *at = strstr(text, DEFAULT_LINE);

	if (set && *set)
		return set;
	if (!at)
		return "runc";
	at += strlen(DEFAULT_LINE);
	return kf_arena_printf(arena, "%.*s", (int)strcspn(at, "\"\n"), at);
}

static int want(struct kf_node_plan *p, const char *value, const char *const *path,
		struct kf_err *err)
{
	return value ? kf_node_want(p, &p->wants, &p->nwants, value, path, err)
		     : kf_fail_nomem(err, "plan");
}

static int plan_handler(const struct kf_node *node, struct kf_node_plan *p,
			const struct kf_runtimes *recorded, const struct kf_toml_node *root,
			struct kf_node_handler *h, struct kf_err *err)
{
	const struct kf_toml_node *all =
		kf_toml_find(root, KF_TOML_PATH("crio", "runtime", "runtimes"));
	const struct kf_toml_node *there = kf_toml_get(all, h->name), *from;
	const char *name = default_runtime(root, p->effective, &p->arena), *type, *binary;
	static const char *const ours[] = {"runtime_path", "allowed_annotations",
					   "inherit_default_runtime"};

	h->created = !there || kf_node_created(&node->journal, h->name);
	if (!there && (h->why = kf_node_not_ours(h->name)) != NULL) {
		h->created = false;
		return 0;
	}
	from = h->created && name ? kf_toml_get(all, name) : there;
	type = kf_toml_string(from, KF_TOML_PATH("runtime_type"), "oci");
	if (*type && strcmp(type, "oci") != 0) {
		if (h->created)
			return kf_fail(
				err, ENOTSUP,
				"handler '%s': CRI-O's default runtime '%s' is of type '%s'; set "
				"default_runtime to one of type oci",
				h->name, name, type);
		h->why = kf_arena_printf(&p->arena,
					 "is of type '%s', the plugin alone sandboxes it", type);
		return h->why ? 0 : kf_fail_nomem(err, "plan");
	}
	binary = kf_toml_string(from, KF_TOML_PATH("runtime_path"), "");
	if (kf_node_real_runtime(node, recorded,
				 *binary ? binary
				 : name	 ? name
					 : "",
				 &p->arena, &h->real, err) < 0)
		return kf_fail_wrap(err, "handler '%s'", h->name);
	h->guard = kf_node_guard_path(&p->arena, h->name);
	if (!h->guard)
		return kf_fail_nomem(err, "plan");
	if (want(p, kf_node_quote(&p->arena, h->guard),
		 KF_TOML_PATH("crio", "runtime", "runtimes", h->name, "runtime_path"), err) < 0 ||
	    want(p,
		 kf_node_array_with(&p->arena, kf_toml_get(from, "allowed_annotations"),
				    "nono.sh/"),
		 KF_TOML_PATH("crio", "runtime", "runtimes", h->name, "allowed_annotations"),
		 err) < 0)
		return -1;
	for (const struct kf_toml_node *n = from ? from->first_child : NULL; n; n = n->next) {
		const char *key = kf_arena_strdup(&p->arena, n->key);
		bool skip = n->kind == KF_TOML_TABLE || !key;

		for (size_t i = 0; key && i < KF_ARRAY_SIZE(ours); i++)
			skip = skip || strcmp(key, ours[i]) == 0;
		if (!skip &&
		    want(p, kf_node_literal(&p->arena, p->effective, n),
			 KF_TOML_PATH("crio", "runtime", "runtimes", h->name, key), err) < 0)
			return -1;
	}
	return 0;
}

static int plan_vm(struct kf_node_plan *p, const struct kf_journal_vm *vm, struct kf_err *err)
{
	const struct {
		const char *key, *value;
	} values[] = {
		{"runtime_path", kf_node_quote(&p->arena, vm->shim)},
		{"runtime_type", "\"vm\""},
		{"runtime_root", "\"/run/vc\""},
		{"runtime_config_path", kf_node_quote(&p->arena, vm->config)},
		{"privileged_without_host_devices", "true"},
		{"allowed_annotations", "[]"},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++)
		if (want(p, values[i].value,
			 KF_TOML_PATH("crio", "runtime", "runtimes", vm->name, values[i].key),
			 err) < 0)
			return -1;
	return 0;
}

/* @path, or what is configured, as TOML; "" if nothing is. */
static const char *nri_path(struct kf_node_plan *p, const struct kf_toml_node *root,
			    const char *key, const char *path)
{
	if (!path)
		path = kf_toml_string(root, KF_TOML_PATH("crio", "nri", key), NULL);
	return path ? kf_node_quote(&p->arena, path) : "";
}

static int plan_nri(const struct kf_node *node, const struct kf_toml_node *root,
		    struct kf_node_plan *p, struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	const struct {
		const char *key, *value;
	} values[] = {
		{"enable_nri", "true"},
		{"nri_disable_connections", "false"},
		{"nri_listen", nri_path(p, root, "nri_listen", o->nri_socket)},
		{"nri_plugin_dir", nri_path(p, root, "nri_plugin_dir", o->nri_plugins)},
		{"nri_plugin_config_dir",
		 nri_path(p, root, "nri_plugin_config_dir", o->nri_config)},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++)
		if ((!values[i].value || *values[i].value) &&
		    want(p, values[i].value, KF_TOML_PATH("crio", "nri", values[i].key), err) < 0)
			return -1;
	/* NRI 0.10 came with CRI-O 1.34; older ones refuse unknown keys. */
	if (p->major > 1 || p->minor >= 34)
		return want(p, "true",
			    KF_TOML_PATH("crio", "nri", "default_validator",
					 "nri_enable_default_validator"),
			    err);
	return 0;
}

/* "crio version 1.36.1" in the first lines. */
static int find_version(const struct kf_node *node, struct kf_node_plan *p, struct kf_err *err)
{
	const char *argv[] = {p->program, "--version", NULL};
	struct kf_run run;
	const char *v;
	bool ok;

	if (kf_run_host(&node->host, argv, CRIO_TIMEOUT, 64 * 1024, &run, err) < 0)
		return -1;
	v = strstr(run.out, "version ");
	ok = v && sscanf(v, "version %u.%u", &p->major, &p->minor) == 2;
	kf_run_done(&run);
	if (!ok)
		return kf_fail(err, EINVAL, "'%s --version' does not tell a version", p->program);
	if (p->major == 1 && p->minor < 26)
		return kf_fail(err, ENOTSUP, "CRI-O %u.%u is too old: NRI came with 1.26", p->major,
			       p->minor);
	return 0;
}

static int make_text(const struct kf_node *node, struct kf_node_plan *p, struct kf_err *err)
{
	static const char head[] =
		"# Written by 'kubefence node install', removed by 'kubefence node uninstall'.\n";
	KF_FREE char *before = NULL, *out = NULL;

	p->config = DROPIN;
	p->ours = true;
	p->before = "";
	if (kf_host_read(&node->host, DROPIN, KF_LIMIT_CONFIG, &before, &p->nbefore, err) == 0) {
		p->existed = true;
		p->before = kf_arena_strdup(&p->arena, before);
	} else if (err->code != ENOENT) {
		return -1;
	}
	if (kf_toml_edit(head, sizeof(head) - 1, DROPIN, p->wants, p->nwants, &out, &p->nafter,
			 err) < 0)
		return -1;
	p->after = kf_arena_strdup(&p->arena, out);
	return p->before && p->after ? 0 : kf_fail_nomem(err, "plan");
}

static int crio_plan(const struct kf_node *node, struct kf_node_plan *p, struct kf_err *err)
{
	struct kf_runtimes recorded;
	struct kf_toml toml;
	int r = 0;

	p->program = kf_host_first(&node->host, node->distro->programs);
	if (!p->program)
		return kf_fail(err, ENOENT, "crio is not at '%s'", node->distro->programs[0]);
	if (find_version(node, p, err) < 0 ||
	    effective(node, p->program, &p->arena, &p->effective, &p->neffective, err) < 0 ||
	    kf_toml_parse(p->effective, p->neffective, "crio config", &toml, err) < 0)
		return -1;
	if (kf_node_recorded(&node->host, &recorded, err) < 0) {
		kf_toml_done(&toml);
		return -1;
	}
	for (size_t i = 0; i < p->nhandlers && r == 0; i++)
		r = plan_handler(node, p, &recorded, toml.root, &p->handlers[i], err);
	for (size_t i = 0; i < p->nvms && r == 0; i++)
		r = plan_vm(p, &p->vms[i], err);
	if (r == 0)
		r = plan_nri(node, toml.root, p, err);
	if (r == 0)
		r = make_text(node, p, err);
	kf_runtimes_done(&recorded);
	kf_toml_done(&toml);
	return r;
}

/* crio prints only what differs from its defaults: each handler with its guard
 * must be in it, and none after removal. */
static int crio_check(const struct kf_node *node, const struct kf_node_plan *plan, bool installed,
		      struct kf_err *err)
{
	struct kf_arena arena;
	struct kf_toml toml;
	const char *text;
	size_t n;
	int r;

	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = effective(node, plan->program, &arena, &text, &n, err);
	if (r == 0 && (r = kf_toml_parse(text, n, "crio config", &toml, err)) == 0) {
		for (size_t i = 0; i < plan->nhandlers && installed && r == 0; i++) {
			const struct kf_node_handler *h = &plan->handlers[i];
			const char *path =
				kf_toml_string(toml.root,
					       KF_TOML_PATH("crio", "runtime", "runtimes", h->name,
							    "runtime_path"),
					       "");

			if (h->guard && strcmp(path, h->guard) != 0)
				r = kf_fail(
					err, EINVAL,
					"crio does not take handler '%s' from '%s'; does a later "
					"drop-in replace it?",
					h->name, plan->config);
		}
		for (size_t i = 0; i < plan->nvms && installed && r == 0; i++) {
			const struct kf_journal_vm *vm = &plan->vms[i];
			const char *path =
				kf_toml_string(toml.root,
					       KF_TOML_PATH("crio", "runtime", "runtimes", vm->name,
							    "runtime_config_path"),
					       "");

			if (strcmp(path, vm->config) != 0)
				r = kf_fail(err, EINVAL,
					    "crio does not take handler '%s' from '%s'; does a "
					    "later drop-in replace it?",
					    vm->name, plan->config);
		}
		kf_toml_done(&toml);
	}
	kf_arena_done(&arena);
	return r;
}

static int crio_removed(const struct kf_node *node, struct kf_err *err)
{
	const char *program = kf_host_first(&node->host, node->distro->programs), *text;
	struct kf_arena arena;
	size_t n;
	int r;

	if (!program)
		return 0;
	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = effective(node, program, &arena, &text, &n, err);
	if (r == 0 && (strstr(text, "\"" KF_NODE_GUARD) || strstr(text, "\"" KF_NODE_KATA "/")))
		r = kf_fail(err, EBUSY,
			    "a handler of CRI-O is still ours after the original "
			    "configuration was restored");
	kf_arena_done(&arena);
	return r;
}

const struct kf_adapter kf_crio = {
	.plan = crio_plan,
	.check = crio_check,
	.removed = crio_removed,
};

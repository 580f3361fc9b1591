/* SPDX-License-Identifier: Apache-2.0 */
/* The adapter for CRI-O.  Our change is always a drop-in; crio merges drop-ins in the order of
 * their names.  Which files there are is found out in crio_files.c; a handler's table is made in
 * crio_runtime.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/run.h"
#include "node/crio_runtime.h"
#include "node/handler.h"

#include <stdlib.h>
#include <string.h>

#define DROPIN	     "/etc/crio/crio.conf.d/90-kubefence.conf"
#define CRIO_TIMEOUT 20000

static int want_value(struct kf_node_plan *p, const char *value, const char *const *path,
		      struct kf_err *err)
{
	return value ? kf_node_want(p, &p->wants, &p->nwants, value, path, err)
		     : kf_fail_nomem(err, "plan");
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
		if (want_value(p, values[i].value,
			       KF_TOML_PATH("crio", "runtime", "runtimes", vm->name, values[i].key),
			       err) < 0)
			return -1;
	return 0;
}

/* Ask "crio config" for the configuration as it is now. */
static int ask_effective(const struct kf_node *node, const char *program, struct kf_arena *arena,
			 const char **ret, size_t *ret_n, struct kf_err *err)
{
	return kf_crio_says(node, program, false, arena, ret, ret_n, err);
}

/* @path or, if that is NULL, the configured value, as TOML; "" if there is none. */
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
		    want_value(p, values[i].value, KF_TOML_PATH("crio", "nri", values[i].key),
			       err) < 0)
			return -1;
	/* NRI has the validator from 0.10 on.  CRI-O 1.34.0 has NRI 0.9.1, and CRI-O ignores keys
	 * that it does not know. */
	if (p->major > 1 || p->minor >= 35)
		return want_value(p, "true",
				  KF_TOML_PATH("crio", "nri", "default_validator",
					       "nri_enable_default_validator"),
				  err);
	return 0;
}

/* Find "crio version 1.36.1" in the first lines of its output. */
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

/* Whether the TOML text @value has the same meaning as the value @there of @text. */
static int same_value(const char *text, const struct kf_toml_node *there, const char *value,
		      bool *ret, struct kf_err *err)
{
	KF_FREE char *line = NULL;
	struct kf_toml toml;

	if (asprintf(&line, "v = %s", value) < 0) {
		line = NULL;
		return kf_fail_nomem(err, "comparison");
	}
	if (kf_toml_parse(line, strlen(line), "value", &toml, err) < 0)
		return -1;
	*ret = kf_toml_same(&(struct kf_toml_doc){NULL, text}, there,
			    &(struct kf_toml_doc){toml.root, line}, kf_toml_get(toml.root, "v"));
	kf_toml_done(&toml);
	return 0;
}

/* Refuse a handler's table in a file that is read later: it replaces ours, whatever is in it. */
static int refuse_table(const struct kf_crio_file *later, const char *handler, struct kf_err *err)
{
	const struct kf_toml_node *n = kf_toml_find(
		later->toml.root, KF_TOML_PATH("crio", "runtime", "runtimes", handler));

	return n ? kf_fail(err, EEXIST,
			   "'%s':%u has the table of handler '%s' and is read after '%s', so that "
			   "it would count instead; rename the file so that it comes before",
			   later->path, n->key_begin.line, handler, DROPIN)
		 : 0;
}

static const char *join_path(struct kf_node_plan *p, const char *const *path)
{
	const char *out = *path;

	while (out && *++path)
		out = kf_arena_printf(&p->arena, "%s.%s", out, *path);
	return out ? out : "a key";
}

/* Refuse files that are read after ours and take back something that ours sets. */
static int refuse_later(struct kf_node_plan *p, const struct kf_crio_file *later,
			struct kf_err *err)
{
	for (size_t i = 0; i < p->nhandlers; i++)
		if (p->handlers[i].guard && refuse_table(later, p->handlers[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < p->nvms; i++)
		if (refuse_table(later, p->vms[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < p->nwants; i++) {
		const struct kf_toml_want *w = &p->wants[i];
		const struct kf_toml_node *n = kf_toml_find(later->toml.root, w->path);
		bool same = true;

		if (n && same_value(later->text, n, w->value, &same, err) < 0)
			return -1;
		if (!same)
			return kf_fail(err, EEXIST,
				       "'%s':%u sets %s to something else than %s and is read "
				       "after '%s'; remove that line there",
				       later->path, n->key_begin.line, join_path(p, w->path),
				       w->value, DROPIN);
	}
	return 0;
}

/* Collect everything that the plan wants, given @files. */
static int plan_wants(const struct kf_node *node, struct kf_node_plan *p,
		      struct kf_crio_files *files, const struct kf_runtimes *recorded,
		      struct kf_err *err)
{
	struct kf_toml toml;
	int r;

	for (size_t i = 0; i < p->nhandlers; i++)
		if (kf_crio_plan_handler(node, p, files, recorded, &p->handlers[i], err) < 0)
			return -1;
	for (size_t i = 0; i < p->nvms; i++)
		if (plan_vm(p, &p->vms[i], err) < 0)
			return -1;
	if (kf_toml_parse(p->effective, p->neffective, "crio config", &toml, err) < 0)
		return -1;
	r = plan_nri(node, toml.root, p, err);
	kf_toml_done(&toml);
	for (size_t i = 0; i < files->n && r == 0; i++)
		/* The root file is read first, wherever it is. */
		if (i > 0 || strcmp(files->v[i].path, node->distro->config) != 0)
			if (kf_crio_before(DROPIN, files->v[i].path))
				r = refuse_later(p, &files->v[i], err);
	return r;
}

static int crio_plan(const struct kf_node *node, struct kf_node_plan *p, struct kf_err *err)
{
	struct kf_crio_files files;
	struct kf_runtimes recorded;
	int r;

	p->program = kf_host_first(&node->host, node->distro->programs);
	if (!p->program)
		return kf_fail(err, ENOENT, "crio is not at '%s'", node->distro->programs[0]);
	if (find_version(node, p, err) < 0 ||
	    ask_effective(node, p->program, &p->arena, &p->effective, &p->neffective, err) < 0 ||
	    kf_node_recorded(&node->host, &recorded, err) < 0)
		return -1;
	r = kf_crio_files_read(node, DROPIN, &files, err);
	if (r == 0)
		r = plan_wants(node, p, &files, &recorded, err);
	if (r == 0)
		r = make_text(node, p, err);
	kf_crio_files_done(&files);
	kf_runtimes_done(&recorded);
	return r;
}

/* Check that crio prints @value for @key of handler @name. */
static int check_handler(const struct kf_node_plan *plan, const struct kf_toml_node *root,
			 const char *name, const char *key, const char *value, struct kf_err *err)
{
	const char *said =
		kf_toml_string(root, KF_TOML_PATH("crio", "runtime", "runtimes", name, key), "");

	return strcmp(said, value) == 0
		       ? 0
		       : kf_fail(err, EINVAL,
				 "crio does not take handler '%s' from '%s': its %s is '%s'", name,
				 plan->config, key, said);
}

/* Check the values for NRI as far as crio prints them: it leaves out values that equal its built-in
 * ones. */
static int check_nri(const struct kf_node_plan *plan, const char *text,
		     const struct kf_toml_node *root, struct kf_err *err)
{
	for (size_t i = 0; i < plan->nwants; i++) {
		const struct kf_toml_want *w = &plan->wants[i];
		const struct kf_toml_node *n = kf_toml_find(root, w->path);
		bool same = true;

		if (strcmp(w->path[1], "nri") != 0)
			continue;
		if (n && same_value(text, n, w->value, &same, err) < 0)
			return -1;
		if (!same)
			return kf_fail(err, EINVAL, "crio does not take %s from '%s'", n->key,
				       plan->config);
	}
	return 0;
}

static int check_text(const struct kf_node_plan *plan, const char *text,
		      const struct kf_toml_node *root, struct kf_err *err)
{
	for (size_t i = 0; i < plan->nhandlers; i++) {
		const struct kf_node_handler *h = &plan->handlers[i];

		if (h->guard &&
		    check_handler(plan, root, h->name, "runtime_path", h->guard, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < plan->nvms; i++)
		if (check_handler(plan, root, plan->vms[i].name, "runtime_config_path",
				  plan->vms[i].config, err) < 0)
			return -1;
	return check_nri(plan, text, root, err);
}

/* crio prints only values that differ from its defaults.  Each handler with its guard must be among
 * them; after removal crio must still accept its configuration. */
static int crio_check(const struct kf_node *node, const struct kf_node_plan *plan, bool installed,
		      struct kf_err *err)
{
	struct kf_arena arena;
	struct kf_toml toml;
	const char *text;
	size_t n;
	int r;

	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = ask_effective(node, plan->program, &arena, &text, &n, err);
	if (r == 0 && installed && (r = kf_toml_parse(text, n, "crio config", &toml, err)) == 0) {
		r = check_text(plan, text, toml.root, err);
		kf_toml_done(&toml);
	}
	kf_arena_done(&arena);
	return r;
}

static int crio_effective(const struct kf_node *node, struct kf_arena *arena, const char **ret,
			  size_t *ret_n, struct kf_err *err)
{
	const char *program = kf_host_first(&node->host, node->distro->programs);

	if (!program)
		return kf_fail(err, ENOENT, "crio is not at '%s'", node->distro->programs[0]);
	return ask_effective(node, program, arena, ret, ret_n, err);
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
	r = ask_effective(node, program, &arena, &text, &n, err);
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
	.effective = crio_effective,
	.removed = crio_removed,
};

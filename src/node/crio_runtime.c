/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a handler for CRI-O.  The table of a later file replaces that of an earlier one as a
 * whole, so ours repeats every key of the table that it replaces. */
#include "node/crio_runtime.h"

#include "base/cleanup.h"
#include "node/handler.h"

#include <string.h>
#include <strings.h>

#define OCI	"oci"
#define INHERIT "inherit_default_runtime"

/* A handler's table, and the file that it is in; .node is NULL if there is none. */
struct handler_table {
	const struct kf_toml_node *node;
	const struct kf_crio_file *file;
};

/* CRI-O accepts keys in any case. */
static const struct kf_toml_node *key_of(const struct kf_toml_node *table, const char *key)
{
	for (const struct kf_toml_node *n = table ? table->first_child : NULL; n; n = n->next)
		if (strcasecmp(n->key, key) == 0)
			return n;
	return NULL;
}

static const char *string_of(const struct kf_toml_node *table, const char *key)
{
	const struct kf_toml_node *n = key_of(table, key);

	return n && n->kind == KF_TOML_STRING ? n->string : "";
}

static bool is_true(const struct kf_toml_node *table, const char *key)
{
	const struct kf_toml_node *n = key_of(table, key);

	return n && n->kind == KF_TOML_BOOL && n->boolean;
}

/* Ask CRI-O for its built-in configuration: once, and only if the files do not answer the question.
 */
static int need_builtin(const struct kf_node *node, struct kf_node_plan *p,
			struct kf_crio_files *files, struct kf_err *err)
{
	struct kf_crio_file *b = &files->builtin;
	const char *text;

	if (b->parsed)
		return 0;
	if (kf_crio_says(node, p->program, true, &p->arena, &text, &b->n, err) < 0)
		return -1;
	b->text = strdup(text);
	if (!b->text)
		return kf_fail_nomem(err, "configuration");
	if (kf_toml_parse(b->text, b->n, "crio config --default", &b->toml, err) < 0)
		return -1;
	b->parsed = true;
	return 0;
}

static int find_table(const struct kf_node *node, struct kf_node_plan *p,
		      struct kf_crio_files *files, const char *name, struct handler_table *ret,
		      struct kf_err *err)
{
	const char *const *path = KF_TOML_PATH("crio", "runtime", "runtimes", name);

	for (size_t i = files->n; i-- > 0;) {
		ret->file = &files->v[i];
		ret->node = kf_toml_find(ret->file->toml.root, path);
		if (ret->node)
			return 0;
	}
	if (need_builtin(node, p, files, err) < 0)
		return -1;
	ret->file = &files->builtin;
	ret->node = kf_toml_find(files->builtin.toml.root, path);
	return 0;
}

static int default_runtime(const struct kf_node *node, struct kf_node_plan *p,
			   struct kf_crio_files *files, const char **ret, struct kf_err *err)
{
	const char *const *path = KF_TOML_PATH("crio", "runtime", "default_runtime");

	for (size_t i = files->n; i-- > 0;) {
		const struct kf_toml_node *n = kf_toml_find(files->v[i].toml.root, path);

		if (!n)
			continue;
		*ret = n->kind == KF_TOML_STRING ? n->string : "";
		if (**ret)
			return 0;
		break;
	}
	if (need_builtin(node, p, files, err) < 0)
		return -1;
	*ret = kf_toml_string(files->builtin.toml.root, path, "");
	return **ret ? 0
		     : kf_fail(err, ENOENT, "CRI-O has no default_runtime; set it in '%s'",
			       node->distro->config);
}

static int want_key(struct kf_node_plan *p, const char *const *path, const char *value,
		    struct kf_err *err)
{
	return value ? kf_node_want(p, &p->wants, &p->nwants, value, path, err)
		     : kf_fail_nomem(err, "plan");
}

/* Copy @n and everything below it to the same place in handler @name's table. */
static int copy_value(struct kf_node_plan *p, const char *name, const struct handler_table *from,
		      const struct kf_toml_node *n, struct kf_err *err)
{
	const char *path[KF_TOML_PATH_MAX + 1] = {"crio", "runtime", "runtimes", name};
	const struct kf_toml_node *chain[KF_TOML_PATH_MAX], *top = n;

	for (; n; n = kf_toml_walk(n, top, n->kind == KF_TOML_TABLE)) {
		size_t depth = 0, at = 4;

		if (n->kind == KF_TOML_TABLE)
			continue;
		if (n->kind == KF_TOML_ARRAY && n->is_tables)
			return kf_fail(err, ENOTSUP,
				       "'%s':%u: handler '%s': [[%s]] cannot be copied; write it "
				       "as key = value",
				       from->file->path, n->key_begin.line, name, n->key);
		for (const struct kf_toml_node *k = n; k != from->node; k = k->parent) {
			if (depth == KF_TOML_PATH_MAX - 4)
				return kf_fail(err, E2BIG, "'%s':%u: tables nested too deeply",
					       from->file->path, n->key_begin.line);
			chain[depth++] = k;
		}
		while (depth--)
			if (!(path[at++] = kf_arena_strdup(&p->arena, chain[depth]->key)))
				return kf_fail_nomem(err, "plan");
		path[at] = NULL;
		if (want_key(p, path, kf_node_literal(&p->arena, from->file->text, n), err) < 0)
			return -1;
	}
	return 0;
}

/* Whether @key comes from the default runtime, if the handler inherits from that. */
static bool is_inherited(const char *key)
{
	static const char *const keys[] = {"runtime_path", "runtime_type", "runtime_config_path",
					   "runtime_root"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(keys); i++)
		if (strcasecmp(keys[i], key) == 0)
			return true;
	return false;
}

/* Copy the keys of @from that are @inherited, or those that are not, to handler @name, without the
 * keys that we set ourselves. */
static int copy_table(struct kf_node_plan *p, const char *name, const struct handler_table *from,
		      bool both, bool inherited, struct kf_err *err)
{
	for (const struct kf_toml_node *n = from->node->first_child; n; n = n->next) {
		if (strcasecmp(n->key, "runtime_path") == 0 || strcasecmp(n->key, INHERIT) == 0 ||
		    (!both && is_inherited(n->key) != inherited))
			continue;
		if (copy_value(p, name, from, n, err) < 0)
			return -1;
	}
	return 0;
}

/* Refuse a table of programs for platforms: CRI-O chooses one by the image's platform and then
 * bypasses the guard. */
static int refuse_platforms(const struct handler_table *from, const struct kf_node_handler *h,
			    struct kf_err *err)
{
	const struct kf_toml_node *n = key_of(from->node, "platform_runtime_paths");

	if (!n || (n->kind == KF_TOML_TABLE && !n->nchildren))
		return 0;
	return kf_fail(err, ENOTSUP,
		       "handler '%s': %s%s%s has platform_runtime_paths, by which an image chooses "
		       "a program instead of the guard; %s",
		       h->name, from->file->path ? "its table in '" : "CRI-O's built-in table",
		       from->file->path ? from->file->path : "", from->file->path ? "'" : "",
		       h->created ? "give the handler a table of its own without that key"
				  : "remove that key, and give those images another handler");
}

/* Plan the guard for handler @h.  @from: its table, or that of default runtime @name if it has
 * none. */
static int plan_guarded(const struct kf_node *node, struct kf_node_plan *p,
			const struct kf_runtimes *recorded, const struct handler_table *from,
			const struct handler_table *inherited, const char *name,
			struct kf_node_handler *h, struct kf_err *err)
{
	const char *binary = string_of(inherited->node, "runtime_path");

	if (refuse_platforms(from, h, err) < 0)
		return -1;
	/* Without a path CRI-O looks for a program with the runtime's name. */
	if (kf_node_real_runtime(node, recorded, *binary ? binary : name, &p->arena, &h->real,
				 err) < 0)
		return kf_fail_wrap(err, "handler '%s'", h->name);
	h->guard = kf_node_guard_path(&p->arena, h->name);
	if (!h->guard)
		return kf_fail_nomem(err, "plan");
	if (want_key(p, KF_TOML_PATH("crio", "runtime", "runtimes", h->name, "runtime_path"),
		     kf_node_quote(&p->arena, h->guard), err) < 0)
		return -1;
	if (from->node == inherited->node)
		return copy_table(p, h->name, from, true, false, err);
	return copy_table(p, h->name, inherited, false, true, err) < 0
		       ? -1
		       : copy_table(p, h->name, from, false, false, err);
}

int kf_crio_plan_handler(const struct kf_node *node, struct kf_node_plan *plan,
			 struct kf_crio_files *files, const struct kf_runtimes *recorded,
			 struct kf_node_handler *h, struct kf_err *err)
{
	const char *fallback, *name = h->name, *type;
	struct handler_table from, inherited;

	if (default_runtime(node, plan, files, &fallback, err) < 0 ||
	    find_table(node, plan, files, h->name, &from, err) < 0)
		return -1;
	h->created = !from.node;
	if (h->created && (h->why = kf_node_not_ours(h->name)) != NULL) {
		h->created = false;
		return 0;
	}
	inherited = from;
	if (h->created || is_true(from.node, INHERIT)) {
		name = fallback;
		if (find_table(node, plan, files, fallback, &inherited, err) < 0)
			return -1;
		if (!inherited.node)
			return kf_fail(err, ENOENT,
				       "handler '%s': CRI-O's default runtime '%s' has no table; "
				       "add [crio.runtime.runtimes.%s]",
				       h->name, fallback, fallback);
		if (h->created)
			from = inherited;
	}
	type = string_of(inherited.node, "runtime_type");
	if (*type && strcmp(type, OCI) != 0 && h->created)
		return kf_fail(err, ENOTSUP,
			       "handler '%s': CRI-O's default runtime '%s' is of type '%s'; set "
			       "default_runtime to one of type oci",
			       h->name, name, type);
	if (*type && strcmp(type, OCI) != 0) {
		h->why = kf_arena_printf(&plan->arena,
					 "is of type '%s', the plugin alone sandboxes it", type);
		return h->why ? 0 : kf_fail_nomem(err, "plan");
	}
	return plan_guarded(node, plan, recorded, &from, &inherited, name, h, err);
}

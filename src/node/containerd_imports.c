/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: the files that its root file imports, to say which of them decides. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 128

struct files {
	const char *paths[FILES_MAX];
	size_t n;
};

static int add_file(struct files *files, struct kf_arena *arena, const char *path,
		    struct kf_err *err)
{
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->paths[i], path) == 0)
			return 0;
	if (files->n == FILES_MAX)
		return kf_fail(err, E2BIG, "'%s': more than %d files are imported", files->paths[0],
			       FILES_MAX);
	files->paths[files->n] = kf_arena_strdup(arena, path);
	return files->paths[files->n++] ? 0 : kf_fail_nomem(err, path);
}

/* What file @from imports as @pattern: relative to it, with stars. */
static int add_imports(const struct kf_node *node, struct files *files, struct kf_arena *arena,
		       const char *from, const char *pattern, struct kf_err *err)
{
	char **list;
	int r = 0;

	if (pattern[0] != '/')
		pattern = kf_arena_printf(arena, "%.*s/%s", (int)(strrchr(from, '/') - from), from,
					  pattern);
	if (!pattern)
		return kf_fail_nomem(err, from);
	if (kf_host_glob(&node->host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = add_file(files, arena, *p, err);
	kf_host_list_free(list);
	return r;
}

int kf_containerd_each_file(const struct kf_node *node, struct kf_arena *arena,
			    kf_containerd_look *look, void *ctx, struct kf_err *err)
{
	struct files files = {0};
	int r = add_file(&files, arena, node->distro->config, err);

	/* In containerd's order: what one imports comes after all that is known already. */
	for (size_t i = 0; i < files.n && r == 0; i++) {
		const struct kf_toml_node *imports;
		KF_FREE char *text = NULL;
		struct kf_toml toml;
		size_t n;

		if (kf_host_read(&node->host, files.paths[i], KF_LIMIT_CONFIG, &text, &n, err) <
		    0) {
			if (err->code != ENOENT)
				return -1;
			continue;
		}
		if (kf_toml_parse(text, n, files.paths[i], &toml, err) < 0)
			return -1;
		look(ctx, files.paths[i], toml.root);
		imports = kf_toml_get(toml.root, "imports");
		for (const struct kf_toml_node *p = imports ? imports->first_child : NULL;
		     p && r == 0; p = p->next)
			if (p->kind == KF_TOML_STRING)
				r = add_imports(node, &files, arena, files.paths[i], p->string,
						err);
		kf_toml_done(&toml);
	}
	return r;
}

struct place {
	const char *const *path; /* keys */
	const char *item;	 /* of an array there, or NULL */
	struct kf_arena *arena;
	const char *ret; /* FILE:LINE */
	bool nomem;
};

static bool has_item(const struct kf_toml_node *list, const char *item)
{
	for (const struct kf_toml_node *n = list->first_child; n; n = n->next)
		if (n->kind == KF_TOML_STRING && strcmp(n->string, item) == 0)
			return true;
	return false;
}

/* The plugin of CRI under the other name. */
static const struct kf_toml_node *find(const struct kf_toml_node *root, const char *const *path)
{
	const struct kf_toml_node *found = kf_toml_find(root, path);
	const char *other[KF_TOML_PATH_MAX + 1] = {NULL};

	if (found || !path[0] || !path[1] || strcmp(path[0], "plugins") != 0)
		return found;
	for (size_t i = 0; i < KF_TOML_PATH_MAX && path[i]; i++)
		other[i] = path[i];
	for (int64_t version = 2; version <= 3; version++)
		if (strcmp(path[1], kf_containerd_cri(version)) == 0)
			other[1] = kf_containerd_cri(5 - version);
	return kf_toml_find(root, other);
}

static void look_for(void *ctx, const char *file, const struct kf_toml_node *root)
{
	struct place *p = ctx;
	const struct kf_toml_node *n = find(root, p->path);

	if (n && (!p->item || has_item(n, p->item))) {
		p->ret = kf_arena_printf(p->arena, "%s:%u", file, n->key_begin.line);
		p->nomem = p->nomem || !p->ret;
	}
}

int kf_containerd_where(const struct kf_node *node, struct kf_arena *arena, const char *const *path,
			const char *item, const char **ret, struct kf_err *err)
{
	struct place p = {.path = path, .item = item, .arena = arena};

	if (kf_containerd_each_file(node, arena, look_for, &p, err) < 0)
		return -1;
	if (p.nomem)
		return kf_fail_nomem(err, "imports");
	*ret = p.ret;
	return 0;
}

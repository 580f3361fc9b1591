/* SPDX-License-Identifier: Apache-2.0 */
/* Finding our tables in other configuration files than the one that we changed.  What is ours in a
 * text is decided in ours.c, and taken out in merge.c. */
#include "node/beside.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"
#include "node/crio_files.h"
#include "node/merge.h"

#include <stdlib.h>
#include <string.h>

#define FILES_MAX 64

struct beside_search {
	const struct kf_node *node;
	struct kf_arena *arena;
	struct kf_merge merge;
	struct kf_beside *found;
	size_t n;
};

static bool is_known(const struct beside_search *s, const char *path)
{
	bool known = strcmp(path, s->node->journal.config) == 0;

	for (size_t i = 0; i < s->n; i++)
		known = known || strcmp(path, s->found[i].path) == 0;
	return known;
}

static int add_found(struct beside_search *s, const char *path, struct kf_buf *text,
		     struct kf_err *err)
{
	struct kf_beside b = {kf_arena_strdup(s->arena, path),
			      kf_arena_strdup(s->arena, text->n ? text->p : ""), text->n};

	if (s->n == FILES_MAX)
		return kf_fail(err, E2BIG, "more than %d configuration files name the guard",
			       FILES_MAX);
	if (!b.path || !b.text)
		return kf_fail_nomem(err, path);
	s->found[s->n++] = b;
	return 0;
}

static int look_at(struct beside_search *s, const char *path, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	KF_FREE char *text = NULL;
	bool found;
	size_t n;

	if (is_known(s, path))
		return 0;
	if (kf_host_read(&s->node->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (!memmem(text, n, KF_NODE_GUARD, strlen(KF_NODE_GUARD)) &&
	    !memmem(text, n, KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")))
		return 0;
	s->merge.name = path;
	if (kf_merge_back(&s->merge, (struct kf_text){text, n}, &out, &found, err) < 0)
		return -1;
	return found ? add_found(s, path, &out, err) : 0;
}

/* Look at all files of @list, and free it. */
static int look_at_list(struct beside_search *s, char **list, struct kf_err *err)
{
	int r = 0;

	for (char **p = list; *p && r == 0; p++)
		r = look_at(s, *p, err);
	kf_host_list_free(list);
	return r;
}

static int look_at_all(struct beside_search *s, const char *pattern, struct kf_err *err)
{
	char **list;

	return kf_host_glob(&s->node->host, pattern, &list, err) < 0 ? -1
								     : look_at_list(s, list, err);
}

static int look_at_dropins(struct beside_search *s, const char *dir, struct kf_err *err)
{
	KF_FREE char *pattern = NULL;
	char **list;

	/* CRI-O reads subdirectories as well. */
	if (s->node->distro->kind == KF_RUNTIME_CRIO)
		return kf_crio_walk(&s->node->host, dir, &list, err) < 0
			       ? -1
			       : look_at_list(s, list, err);
	if (asprintf(&pattern, "%s/*.toml", dir) < 0) {
		pattern = NULL;
		return kf_fail_nomem(err, "configuration files");
	}
	return look_at_all(s, pattern, err);
}

/* What the root file imports. */
static int look_at_imports(struct beside_search *s, struct kf_err *err)
{
	struct kf_containerd_facts facts = {0};
	int r = kf_containerd_read_files(s->node, s->arena, &facts, err);

	for (size_t i = 0; i < facts.nfiles && r == 0; i++)
		if (strcmp(facts.files[i].path, s->node->distro->config) != 0)
			r = look_at(s, facts.files[i].path, err);
	kf_containerd_facts_done(&facts);
	return r;
}

int kf_beside_find(const struct kf_node *node, struct kf_arena *arena, struct kf_beside **ret,
		   size_t *ret_n, struct kf_err *err)
{
	const struct kf_distro *d = node->distro;
	struct beside_search s = {.node = node, .arena = arena};

	s.found = kf_arena_calloc(arena, FILES_MAX, sizeof(*s.found));
	if (!s.found)
		return kf_fail_nomem(err, "configuration files");
	if (kf_merge_open(&node->host, &node->journal, arena, &s.merge, err) < 0)
		return -1;
	s.merge.beside = true;
	s.merge.original = (struct kf_text){"", 0};
	/* A root file that is generated at each start cannot be edited. */
	if ((!d->generated && look_at(&s, d->config, err) < 0) ||
	    (d->edit && look_at(&s, d->edit, err) < 0) ||
	    (d->kind == KF_RUNTIME_CONTAINERD && look_at_imports(&s, err) < 0))
		return -1;
	if (d->dropins && look_at_dropins(&s, d->dropins, err) < 0)
		return -1;
	*ret = s.found;
	*ret_n = s.n;
	return 0;
}

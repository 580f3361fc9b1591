/* SPDX-License-Identifier: Apache-2.0 */
/* Folding: a directory takes the place of what is needed in it, where that hardly makes more
 * accessible.  Reading, writing and executing are folded apart, so that none of them spreads
 * because another one is wanted. */
#include "learn/learn.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "profile/profile.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct fold_node {
	const char *path;
	size_t depth, parent; /* of the sorted array; itself at the top */
	bool needed, chosen;
	size_t exact; /* entries that the exact grants make accessible here and below */
	size_t cuts;  /* how many grants there are at or below it */
};

struct folder {
	const struct kf_learn_world *world;
	struct fold_node *v;
	size_t n;
	unsigned bit; /* of KF_FS_* */
};

static size_t depth_of(const char *path)
{
	size_t depth = 0;

	for (; *path; path++)
		depth += *path == '/' && path[1];
	return depth;
}

static int by_path(const void *a, const void *b)
{
	const struct fold_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int by_depth(const void *a, const void *b)
{
	const struct fold_node *const *x = a, *const *y = b;

	return (*x)->depth < (*y)->depth ? 1 : (*x)->depth > (*y)->depth ? -1 : 0;
}

static struct fold_node *find_node(const struct folder *f, const char *path)
{
	const struct fold_node key = {.path = path};

	return bsearch(&key, f->v, f->n, sizeof(*f->v), by_path);
}

/* The needed paths and every directory above them, each once, by their paths. */
static int make_nodes(struct folder *f, const struct kf_learn_grant *needed, size_t n, unsigned bit,
		      struct kf_arena *arena, struct kf_err *err)
{
	size_t most = 1, unique = 0;

	for (size_t i = 0; i < n; i++)
		most += 1 + depth_of(needed[i].path);
	f->n = 0;
	f->bit = bit;
	f->v = kf_arena_calloc(arena, most, sizeof(*f->v));
	if (!f->v)
		return kf_fail_nomem(err, "folding");
	for (size_t i = 0; i < n; i++) {
		const char *path = needed[i].path;

		if (!(needed[i].access & bit))
			continue;
		f->v[f->n++] = (struct fold_node){.path = path, .needed = true};
		for (const char *slash = strrchr(path, '/'); slash && path[1];) {
			char *up = kf_arena_printf(arena, "%.*s",
						   slash == path ? 1 : (int)(slash - path), path);

			if (!up)
				return kf_fail_nomem(err, "folding");
			f->v[f->n++] = (struct fold_node){.path = up};
			path = up;
			slash = strrchr(path, '/');
		}
	}
	qsort(f->v, f->n, sizeof(*f->v), by_path);
	for (size_t i = 0; i < f->n; i++) {
		if (unique && strcmp(f->v[unique - 1].path, f->v[i].path) == 0)
			f->v[unique - 1].needed |= f->v[i].needed;
		else
			f->v[unique++] = f->v[i];
	}
	f->n = unique;
	for (size_t i = 0; i < f->n; i++) {
		char up[PATH_MAX];
		const char *slash = strrchr(f->v[i].path, '/');

		f->v[i].depth = depth_of(f->v[i].path);
		(void)snprintf(up, sizeof(up), "%.*s",
			       slash == f->v[i].path ? 1 : (int)(slash - f->v[i].path),
			       f->v[i].path);
		f->v[i].parent = f->v[i].path[1] ? (size_t)(find_node(f, up) - f->v) : i;
	}
	return 0;
}

static bool may_fold(const struct folder *f, const struct fold_node *node)
{
	if (node->depth < 2 || (f->bit == KF_FS_WRITE && kf_profile_precious(node->path)))
		return false;
	for (const char *const *p = f->world->never; p && *p; p++)
		if (strcmp(*p, node->path) == 0)
			return false;
	return !f->world->secret(f->world->ctx, node->path, true);
}

/* Whether @node in the place of what is needed in it makes little more accessible. */
static bool is_similar(const struct folder *f, const struct fold_node *node)
{
	size_t all;

	if (node->cuts < 2 || !may_fold(f, node))
		return false;
	if (node->cuts >= KF_LEARN_SIMILAR)
		return true;
	all = f->world->entries(f->world->ctx, node->path);
	return all && all * 100 <= node->exact * (100 + KF_LEARN_WIDER);
}

/* From the deepest directory to the top.  ->exact stays that of the exact grants, so what folding
 * adds does not add up from one directory to the next above. */
static int choose_nodes(struct folder *f, struct kf_err *err)
{
	KF_FREE struct fold_node **order = calloc(f->n + 1, sizeof(*order));

	if (!order)
		return kf_fail_nomem(err, "folding");
	for (size_t i = 0; i < f->n; i++)
		order[i] = &f->v[i];
	qsort(order, f->n, sizeof(struct fold_node *), by_depth);
	for (size_t i = 0; i < f->n; i++) {
		struct fold_node *node = order[i], *parent = &f->v[node->parent];

		if (node->needed) {
			size_t all = f->world->entries(f->world->ctx, node->path);

			node->exact = all ? all : 1;
			node->cuts = 1;
			node->chosen = true;
		} else if (is_similar(f, node)) {
			node->chosen = true;
			node->cuts = 1;
		}
		if (parent != node) {
			parent->exact += node->exact;
			parent->cuts += node->cuts;
		}
	}
	return 0;
}

/* Whether a directory above @node is chosen. */
static bool is_covered(const struct folder *f, const struct fold_node *node)
{
	while (&f->v[node->parent] != node) {
		node = &f->v[node->parent];
		if (node->chosen)
			return true;
	}
	return false;
}

static int grant_by_path(const void *a, const void *b)
{
	const struct kf_learn_grant *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Join what was chosen for each kind of access.  What is granted below another grant has that one's
 * access as well, and is left out if it has no more. */
static size_t join_grants(struct kf_learn_grant *v, size_t n)
{
	size_t joined = 0, kept = 0;

	qsort(v, n, sizeof(*v), grant_by_path);
	for (size_t i = 0; i < n; i++) {
		if (joined && strcmp(v[joined - 1].path, v[i].path) == 0)
			v[joined - 1].access |= v[i].access;
		else
			v[joined++] = v[i];
	}
	for (size_t i = 0; i < joined; i++) {
		struct kf_learn_grant grant = v[i];
		bool covered = false;

		for (size_t k = 0; k < kept && !covered; k++) {
			if (!kf_path_under(grant.path, v[k].path))
				continue;
			covered = !(grant.access & ~v[k].access);
			grant.access |= v[k].access;
		}
		if (!covered)
			v[kept++] = grant;
	}
	return kept;
}

int kf_learn_fold(const struct kf_learn_grant *needed, size_t n, const struct kf_learn_world *world,
		  struct kf_arena *arena, struct kf_learn_grant **ret, size_t *ret_n,
		  struct kf_err *err)
{
	static const unsigned bits[] = {KF_FS_READ, KF_FS_WRITE, KF_FS_EXEC};
	struct kf_learn_grant *out = kf_arena_calloc(arena, 3 * n + 1, sizeof(*out));
	struct folder f = {.world = world};
	size_t nout = 0;

	if (!out)
		return kf_fail_nomem(err, "folding");
	for (size_t b = 0; b < KF_ARRAY_SIZE(bits); b++) {
		if (make_nodes(&f, needed, n, bits[b], arena, err) < 0 || choose_nodes(&f, err) < 0)
			return -1;
		for (size_t i = 0; i < f.n; i++)
			if (f.v[i].chosen && !is_covered(&f, &f.v[i]))
				out[nout++] = (struct kf_learn_grant){f.v[i].path, bits[b]};
	}
	*ret = out;
	*ret_n = join_grants(out, nout);
	return 0;
}

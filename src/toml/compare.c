/* SPDX-License-Identifier: Apache-2.0 */
/* Reading values of a TOML tree by their path, and whether two documents mean the same.  The parser
 * is in toml.cc, changes of a text are made in edit.c. */
#include "toml/compare.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "toml/write.h"

#include <string.h>

const struct kf_toml_node *kf_toml_walk(const struct kf_toml_node *n,
					const struct kf_toml_node *top, bool enter)
{
	if (enter && n->first_child)
		return n->first_child;
	while (n != top) {
		if (n->next)
			return n->next;
		n = n->parent;
	}
	return NULL;
}

static bool same_node(const struct kf_toml_doc *a, const struct kf_toml_node *x,
		      const struct kf_toml_doc *b, const struct kf_toml_node *y)
{
	size_t n = x->end.offset - x->begin.offset;

	if (x->kind != y->kind || x->nchildren != y->nchildren)
		return false;
	switch (x->kind) {
	case KF_TOML_STRING:
		return x->nstring == y->nstring && memcmp(x->string, y->string, x->nstring) == 0;
	case KF_TOML_INTEGER:
		return x->integer == y->integer;
	case KF_TOML_FLOAT: /* as bits, so that NaN equals itself */
		return memcmp(&x->floating, &y->floating, sizeof(x->floating)) == 0;
	case KF_TOML_BOOL:
		return x->boolean == y->boolean;
	case KF_TOML_TIME:
		return n == y->end.offset - y->begin.offset &&
		       memcmp(a->text + x->begin.offset, b->text + y->begin.offset, n) == 0;
	case KF_TOML_TABLE:
	case KF_TOML_ARRAY:
		return true;
	}
	return false;
}

bool kf_toml_same(const struct kf_toml_doc *a, const struct kf_toml_node *an,
		  const struct kf_toml_doc *b, const struct kf_toml_node *bn)
{
	const struct kf_toml_node *x = an, *y = bn;

	while (x && y) {
		if (!same_node(a, x, b, y))
			return false;
		if (x != an && x->key && (!y->key || strcmp(x->key, y->key) != 0))
			return false;
		x = kf_toml_walk(x, an, true);
		y = kf_toml_walk(y, bn, true);
	}
	return !x && !y;
}

const struct kf_toml_node *kf_toml_find(const struct kf_toml_node *node, const char *const *path)
{
	while (node && *path)
		node = kf_toml_get(node, *path++);
	return node;
}

const char *kf_toml_string(const struct kf_toml_node *node, const char *const *path,
			   const char *fallback)
{
	node = kf_toml_find(node, path);
	return node && node->kind == KF_TOML_STRING ? node->string : fallback;
}

bool kf_toml_bool(const struct kf_toml_node *node, const char *const *path, bool fallback)
{
	node = kf_toml_find(node, path);
	return node && node->kind == KF_TOML_BOOL ? node->boolean : fallback;
}

bool kf_toml_path(const struct kf_toml_node *n, const char *path[static KF_TOML_DEPTH_MAX + 1])
{
	const struct kf_toml_node *p;
	size_t depth = 0;

	for (p = n; p->parent; p = p->parent)
		if (++depth > KF_TOML_DEPTH_MAX)
			return false;
	path[depth] = NULL;
	for (p = n; p->parent; p = p->parent)
		path[--depth] = p->key;
	return true;
}

/* Whether @path lies at or below one of the @n paths of @list. */
static bool is_covered(const char *const *path, const struct kf_toml_want *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *const *p = path, *const *q = list[i].path;

		while (*q && *p && strcmp(*p, *q) == 0)
			p++, q++;
		if (!*q)
			return true;
	}
	return false;
}

static int fail_path(const char *const *path, const char *what, struct kf_err *err)
{
	struct kf_buf buf = KF_BUF_INIT(KF_ERR_MSG_MAX);

	for (size_t i = 0; path[i]; i++) {
		kf_buf_adds(&buf, i ? "." : "");
		kf_toml_put_key(&buf, path[i]);
	}
	kf_err_set(err, EINVAL, "%s %s", buf.p ? buf.p : "the document", what);
	kf_buf_done(&buf);
	return -1;
}

/* Check that @b has every value of @a that neither a want nor @ignore covers, unchanged. */
static int each_is_in(const struct kf_toml_doc *a, const struct kf_toml_doc *b,
		      const struct kf_toml_want *wants, size_t nwants,
		      const struct kf_toml_want *ignore, size_t nignore, const char *missing,
		      struct kf_err *err)
{
	const struct kf_toml_node *n = a->root, *other;
	const char *path[KF_TOML_DEPTH_MAX + 1];
	bool skip;

	for (; n; n = kf_toml_walk(n, a->root, n->kind == KF_TOML_TABLE && !skip)) {
		if (!kf_toml_path(n, path))
			return kf_fail(err, E2BIG, "tables nested too deeply");
		skip = is_covered(path, wants, nwants) || is_covered(path, ignore, nignore);
		if (skip || n->kind == KF_TOML_TABLE)
			continue;
		other = kf_toml_find(b->root, path);
		if (!other)
			return fail_path(path, missing, err);
		if (!kf_toml_same(a, n, b, other))
			return fail_path(path, "changed its value", err);
	}
	return 0;
}

int kf_toml_compare(const struct kf_toml_doc *before, const struct kf_toml_doc *after,
		    const struct kf_toml_want *wants, size_t nwants,
		    const struct kf_toml_want *ignore, size_t nignore, struct kf_err *err)
{
	if (each_is_in(before, after, wants, nwants, ignore, nignore, "is lost", err) < 0 ||
	    each_is_in(after, before, wants, nwants, ignore, nignore, "is new", err) < 0)
		return -1;
	for (size_t i = 0; i < nwants; i++) {
		const struct kf_toml_node *n = kf_toml_find(after->root, wants[i].path);
		KF_FREE char *line = NULL;
		struct kf_toml value;
		bool same;

		if (!n)
			return fail_path(wants[i].path, "is missing", err);
		if (asprintf(&line, "v = %s", wants[i].value) < 0) {
			line = NULL;
			return kf_fail_nomem(err, "comparison");
		}
		if (kf_toml_parse(line, strlen(line), "value", &value, err) < 0)
			return -1;
		same = kf_toml_same(after, n, &(struct kf_toml_doc){value.root, line},
				    kf_toml_get(value.root, "v"));
		kf_toml_done(&value);
		if (!same)
			return fail_path(wants[i].path, "does not have the intended value", err);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration that Kata computes from its file and drop-ins.  Both of its runtimes have the
 * same rules: every file of config.d in the order of the bytes of its name; tables merge, anything
 * else replaces.  Which keys they read is in keys.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "kata/kata.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCS_MAX  64
#define DEPTH_MAX 80

struct dropin_doc {
	char *text;
	struct kf_toml toml;
};

static bool is_table(const struct kf_toml_node *n)
{
	return n->kind == KF_TOML_TABLE;
}

/* The keys from the document down to @n; false if it lies too deep. */
static size_t path_of(const struct kf_toml_node *n, const char *path[static DEPTH_MAX])
{
	size_t depth = 0;

	for (const struct kf_toml_node *p = n; p->parent; p = p->parent)
		if (++depth > DEPTH_MAX)
			return 0;
	for (size_t i = depth; i--; n = n->parent)
		path[i] = n->key;
	return depth;
}

/* Whether @doc sets something at @path, or at a table on the way to it. */
static bool is_overriding(const struct dropin_doc *doc, const char *const *path, size_t depth)
{
	const struct kf_toml_node *n = doc->toml.root;

	for (size_t i = 0; i < depth; i++) {
		n = kf_toml_get(n, path[i]);
		if (!n)
			return false;
		if (!is_table(n))
			return true;
	}
	return true;
}

static int put_values(const struct dropin_doc *docs, size_t ndocs, size_t at, struct kf_buf *out,
		      struct kf_err *err)
{
	const struct kf_toml_node *root = docs[at].toml.root, *n;
	const char *path[DEPTH_MAX];

	/* Only values: an array with its elements is one. */
	for (n = root; n; n = kf_toml_walk(n, root, is_table(n))) {
		bool dead = false;
		size_t depth;

		if (is_table(n))
			continue;
		depth = path_of(n, path);
		if (!depth)
			return kf_fail(err, E2BIG, "tables nested too deeply");
		for (size_t later = at + 1; later < ndocs && !dead; later++)
			dead = is_overriding(&docs[later], path, depth);
		if (dead)
			continue;
		for (size_t i = 0; i < depth; i++) {
			kf_buf_adds(out, i ? "." : "");
			kf_toml_put_key(out, path[i]);
		}
		kf_buf_adds(out, " = ");
		if (n->kind == KF_TOML_STRING)
			kf_toml_put_string(out, n->string);
		else
			kf_buf_add(out, docs[at].text + n->begin.offset,
				   n->end.offset - n->begin.offset);
		kf_buf_adds(out, "\n");
	}
	return 0;
}

static int load_doc(const struct kf_host *host, const char *path, struct dropin_doc *ret,
		    struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n;

	if (kf_host_read(host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0 ||
	    kf_toml_parse(text, n, path, &ret->toml, err) < 0)
		return -1;
	ret->text = KF_STEAL(text);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Add the files that match @name in @config's config.d to *list, which has *n. */
static int add_matching(const struct kf_host *host, const char *config, const char *name,
			char ***list, size_t *n, struct kf_err *err)
{
	char pattern[PATH_MAX], **some, **all;
	size_t more = 0;

	(void)snprintf(pattern, sizeof(pattern), "%.*sconfig.d/%s",
		       (int)(kf_path_base(config) - config), config, name);
	if (kf_host_glob(host, pattern, &some, err) < 0)
		return -1;
	while (some[more])
		more++;
	all = reallocarray(*list, *n + more + 1, sizeof(*all));
	if (!all) {
		kf_host_list_free(some);
		return kf_fail_nomem(err, config);
	}
	for (size_t i = 0; i < more; i++) {
		const char *base = kf_path_base(some[i]);

		if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
			free(some[i]);
		else
			all[(*n)++] = some[i];
	}
	all[*n] = NULL;
	*list = all;
	free(some);
	return 0;
}

int kf_kata_dropins(const struct kf_host *host, const char *config, char ***ret, struct kf_err *err)
{
	char **list = NULL;
	size_t n = 0;

	/* Kata reads every file, also those whose names begin with a dot. */
	if (add_matching(host, config, "*", &list, &n, err) < 0 ||
	    add_matching(host, config, ".*", &list, &n, err) < 0) {
		if (list)
			kf_host_list_free(list);
		return -1;
	}
	qsort(list, n, sizeof(*list), by_bytes);
	*ret = list;
	return 0;
}

int kf_kata_effective(const struct kf_host *host, const char *config, struct kf_buf *out,
		      struct kf_err *err)
{
	struct dropin_doc *docs = calloc(DOCS_MAX, sizeof(*docs));
	char real[PATH_MAX], **list;
	size_t ndocs = 0;
	int r;

	if (!docs)
		return kf_fail_nomem(err, config);
	/* The drop-ins lie beside the file, not beside a symlink to it. */
	if (kf_host_real(host, config, real, sizeof(real), err) < 0 ||
	    kf_kata_dropins(host, real, &list, err) < 0) {
		free(docs);
		return -1;
	}
	r = load_doc(host, config, &docs[0], err);
	ndocs = r == 0;
	for (char **p = list; *p && r == 0; p++) {
		if (ndocs == DOCS_MAX)
			r = kf_fail(err, E2BIG, "'%s': more than %d drop-ins", config,
				    DOCS_MAX - 1);
		else if ((r = load_doc(host, *p, &docs[ndocs], err)) == 0)
			ndocs++;
	}
	for (size_t i = 0; i < ndocs && r == 0; i++)
		r = put_values(docs, ndocs, i, out, err);
	if (r == 0 && out->failed)
		r = kf_fail_nomem(err, config);
	for (size_t i = 0; i < ndocs; i++) {
		kf_toml_done(&docs[i].toml);
		free(docs[i].text);
	}
	kf_host_list_free(list);
	free(docs);
	return r;
}

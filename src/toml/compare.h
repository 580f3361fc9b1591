/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at TOML documents: what is where, and whether two say the same. */
#ifndef KF_TOML_COMPARE_H
#define KF_TOML_COMPARE_H

#include "base/err.h"
#include "toml/toml.h"

#include <stdbool.h>
#include <stddef.h>

#define KF_TOML_PATH_MAX 8

/* "The value at this path shall be this." */
struct kf_toml_want {
	const char *path[KF_TOML_PATH_MAX + 1]; /* keys, decoded, NULL at the end */
	const char *value; /* TOML: a string in "", a boolean, a number, an array of those */
};

/* A document and its text; the text is needed to compare dates. */
struct kf_toml_doc {
	const struct kf_toml_node *root;
	const char *text;
};

/* Check that @after is @before with the @wants made true, and has the same meaning otherwise.  What
 * lies at or below one of the @ignore paths (only their path members are used) is not compared.
 * Empty tables count as absent.  On failure *err names the first path that differs. */
int kf_toml_compare(const struct kf_toml_doc *before, const struct kf_toml_doc *after,
		    const struct kf_toml_want *wants, size_t nwants,
		    const struct kf_toml_want *ignore, size_t nignore, struct kf_err *err);

/* The node after @n in the order of the text, below @top; @n's children follow only if @enter.
 * NULL at the end.  A loop, not a recursion, since the input decides how deep the tree is. */
const struct kf_toml_node *kf_toml_walk(const struct kf_toml_node *n,
					const struct kf_toml_node *top, bool enter);
/* Whether the values @an in @a and @bn in @b mean the same; their keys do not count. */
bool kf_toml_same(const struct kf_toml_doc *a, const struct kf_toml_node *an,
		  const struct kf_toml_doc *b, const struct kf_toml_node *bn);

/* More than the depth of any tree that the parser yields. */
#define KF_TOML_DEPTH_MAX 80
/* The keys from the document down to @n, NULL at the end; false if there are too many. */
bool kf_toml_path(const struct kf_toml_node *n, const char *path[static KF_TOML_DEPTH_MAX + 1]);
/* The node at the NULL-terminated @path below @node, or NULL. */
const struct kf_toml_node *kf_toml_find(const struct kf_toml_node *node, const char *const *path);
/* The string, boolean at @path; @fallback if there is none of that kind. */
const char *kf_toml_string(const struct kf_toml_node *node, const char *const *path,
			   const char *fallback);
bool kf_toml_bool(const struct kf_toml_node *node, const char *const *path, bool fallback);
#define KF_TOML_PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif

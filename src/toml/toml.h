/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TOML_TOML_H
#define KF_TOML_TOML_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* TOML 1.0 documents as a tree of plain C structures with source positions,
 * good for reading a configuration and for editing one in place.  The parser
 * is toml++; toml.cc is the only file that knows. */

enum kf_toml_kind {
	KF_TOML_TABLE,	/* by header, by dotted key, inline, or the document itself */
	KF_TOML_ARRAY,	/* [ ... ], or all elements of one [[name]] */
	KF_TOML_STRING, /* decoded: quotes and escapes are gone */
	KF_TOML_INTEGER,
	KF_TOML_FLOAT,
	KF_TOML_BOOL,
	KF_TOML_TIME, /* any date or time; its text is what lies between begin and end */
};

/* A place in the text.  Lines and columns count from 1, columns in code
 * points (for messages); offset counts bytes from 0, a byte-order mark
 * included (for editing). */
struct kf_toml_pos {
	unsigned line, column;
	size_t offset;
};

struct kf_toml_node {
	enum kf_toml_kind kind;
	const char *key; /* decoded; NULL for elements of arrays and the document */
	/* Where the key is written (of "a.b.c" only the one part), end exclusive. */
	struct kf_toml_pos key_begin, key_end;
	/* Where the value is written, end exclusive.  A table that has a header:
	 * the header line from '[' to ']', not the table's contents; one that only a
	 * dotted key or the header of a table below it made: that key or header. */
	struct kf_toml_pos begin, end;
	bool is_inline;	    /* KF_TOML_TABLE: { ... } */
	bool is_tables;	    /* KF_TOML_ARRAY: made by [[name]] */
	const char *string; /* KF_TOML_STRING; may hold NUL bytes, see nstring */
	size_t nstring;	    /* its length */
	int64_t integer;    /* KF_TOML_INTEGER */
	double floating;    /* KF_TOML_FLOAT */
	bool boolean;	    /* KF_TOML_BOOL */
	unsigned nchildren; /* TABLE, ARRAY */
	struct kf_toml_node *parent, *first_child, *next; /* in the order of the text */
};

struct kf_toml {
	struct kf_arena arena; /* what everything lives in */
	struct kf_toml_node *root;
};

/* Parse @n bytes at @text, which may be released afterwards; @name is for
 * messages, which read "NAME:LINE:COLUMN: what is wrong".  At most
 * KF_LIMIT_CONFIG bytes.  On failure *ret is untouched. */
int kf_toml_parse(const char *text, size_t n, const char *name, struct kf_toml *ret,
		  struct kf_err *err);
void kf_toml_done(struct kf_toml *toml);

/* The child of table @table whose key is @key, or NULL (also when @table is
 * NULL or no table).  Chains: kf_toml_get(kf_toml_get(root, "a"), "b"). */
const struct kf_toml_node *kf_toml_get(const struct kf_toml_node *table, const char *key);
/* "a string", "an integer", ... */
const char *kf_toml_kind_name(enum kf_toml_kind kind);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of single values in the text of a TOML file that leave every other byte alone.  The
 * result is parsed again and compared (compare.c) before it is given out. */
#include "toml/edit.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

/* The document as it is between two edits. */
struct draft {
	const char *text;
	size_t n;
	const char *name;
	const char *eol;
	const struct kf_toml_node *root;
};

/* One edit: @text replaces @cut bytes at @at. */
struct edit {
	size_t at, cut;
	struct kf_buf text;
};

static bool is_table(const struct kf_toml_node *n)
{
	return n->kind == KF_TOML_TABLE;
}

/* Whether a [header] made @n: its own, or that of a table below it. */
static bool by_header(const struct draft *d, const struct kf_toml_node *n)
{
	return n->parent && is_table(n) && !n->is_inline && d->text[n->begin.offset] == '[';
}

/* Whether @n has a header of its own.  A table first made by [n.below] and
 * then by [n] has the second's position and the first's key. */
static bool has_header(const struct draft *d, const struct kf_toml_node *n)
{
	if (!n->parent)
		return true;
	if (!by_header(d, n))
		return false;
	if (n->key_begin.offset < n->begin.offset || n->key_begin.offset >= n->end.offset)
		return true;
	for (size_t i = n->key_end.offset; i < n->end.offset; i++)
		if (d->text[i] == '.')
			return false;
		else if (d->text[i] == ']')
			break;
	return true;
}

static const struct kf_toml_node *inline_ancestor(const struct kf_toml_node *n)
{
	for (; n; n = n->parent)
		if (is_table(n) && n->is_inline)
			return n;
	return NULL;
}

/* First byte of the line after the one that holds @offset. */
static size_t next_line(const struct draft *d, size_t offset)
{
	const char *nl = offset < d->n ? memchr(d->text + offset, '\n', d->n - offset) : NULL;

	return nl ? (size_t)(nl - d->text) + 1 : d->n;
}

static size_t line_start(const struct draft *d, size_t offset)
{
	while (offset && d->text[offset - 1] != '\n')
		offset--;
	return offset;
}

/* The white space that the line of @offset begins with. */
static void put_indent(struct kf_buf *buf, const struct draft *d, size_t offset)
{
	size_t start = line_start(d, offset), end = start;

	while (end < d->n && (d->text[end] == ' ' || d->text[end] == '\t'))
		end++;
	kf_buf_add(buf, d->text + start, end - start);
}

/* Append the keys from below @top down to @n as they are written in the document. */
static void put_written_path(struct kf_buf *buf, const struct draft *d,
			     const struct kf_toml_node *top, const struct kf_toml_node *n)
{
	const struct kf_toml_node *chain[64];
	size_t depth = 0;

	for (; n != top && n->parent && depth < KF_ARRAY_SIZE(chain); n = n->parent)
		chain[depth++] = n;
	while (depth--) {
		const struct kf_toml_node *k = chain[depth];

		kf_buf_add(buf, d->text + k->key_begin.offset,
			   k->key_end.offset - k->key_begin.offset);
		kf_buf_adds(buf, ".");
	}
}

static void put_keys(struct kf_buf *buf, const char *const *path, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		kf_buf_adds(buf, i ? "." : "");
		kf_toml_put_key(buf, path[i]);
	}
}

/* Start of a new line at @offset; a last line without an end gets one. */
static void begin_line(struct edit *e, const struct draft *d, size_t offset)
{
	e->at = offset;
	if (offset && d->text[offset - 1] != '\n')
		kf_buf_adds(&e->text, d->eol);
}

/* Turn "{ a = 1 }" into "{ a = 1, REST = value }". */
static void insert_inline(struct edit *e, const struct draft *d, const struct kf_toml_node *table,
			  const struct kf_toml_node *in, const char *const *rest, size_t nrest,
			  const char *value)
{
	size_t close = in->end.offset - 1, at = close;

	while (at > in->begin.offset + 1 && strchr(" \t", d->text[at - 1]))
		at--;
	e->at = at;
	e->cut = close - at;
	kf_buf_adds(&e->text, in->nchildren ? ", " : " ");
	put_written_path(&e->text, d, in, table);
	put_keys(&e->text, rest, nrest);
	kf_buf_addf(&e->text, " = %s ", value);
}

/* Add a line in the notation of its neighbour: "a.b.REST = value", after the statement that made
 * @table. */
static void insert_dotted(struct edit *e, const struct draft *d, const struct kf_toml_node *table,
			  const char *const *rest, size_t nrest, const char *value)
{
	const struct kf_toml_node *leaf = table, *top = table;

	while (is_table(leaf) && !leaf->is_inline && leaf->first_child)
		leaf = leaf->first_child;
	while (top->parent && !by_header(d, top) && !top->is_inline &&
	       top->parent->kind == KF_TOML_TABLE)
		top = top->parent;
	begin_line(e, d, next_line(d, leaf->end.offset));
	put_indent(&e->text, d, table->key_begin.offset);
	put_written_path(&e->text, d, top, table);
	put_keys(&e->text, rest, nrest);
	kf_buf_addf(&e->text, " = %s%s", value, d->eol);
}

/* The last statement that stands directly below @table's header, or NULL. */
static const struct kf_toml_node *last_statement(const struct draft *d,
						 const struct kf_toml_node *table)
{
	const struct kf_toml_node *last = NULL, *n = table->first_child;

	while (n) {
		bool elsewhere = by_header(d, n) || (n->kind == KF_TOML_ARRAY && n->is_tables);

		if (!elsewhere && (!is_table(n) || n->is_inline) &&
		    (!last || n->end.offset > last->end.offset))
			last = n;
		n = kf_toml_walk(n, table, !elsewhere && is_table(n) && !n->is_inline);
	}
	return last;
}

/* Add "key = value" at the end of @table's own statements. */
static void insert_statement(struct edit *e, const struct draft *d,
			     const struct kf_toml_node *table, const char *key, const char *value)
{
	const struct kf_toml_node *last = last_statement(d, table);

	if (last) {
		begin_line(e, d, next_line(d, last->end.offset));
		put_indent(&e->text, d, last->key_begin.offset);
	} else if (table->parent) {
		begin_line(e, d, next_line(d, table->end.offset));
		put_indent(&e->text, d, table->begin.offset);
		kf_buf_adds(&e->text, "  ");
	} else {
		begin_line(e, d, d->n >= 3 && memcmp(d->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
		/* Only the byte-order mark stands before it, so no line end is needed. */
		kf_buf_reset(&e->text);
	}
	kf_toml_put_key(&e->text, key);
	kf_buf_addf(&e->text, " = %s%s", value, d->eol);
}

/* The table below @table that comes last in the text and has a header. */
static const struct kf_toml_node *last_header(const struct draft *d,
					      const struct kf_toml_node *table)
{
	const struct kf_toml_node *last = NULL;

	for (const struct kf_toml_node *n = table; n; n = kf_toml_walk(n, table, true))
		if (by_header(d, n) && (!last || n->begin.offset >= last->begin.offset))
			last = n;
	return last;
}

/* Add a new section "[table.REST]" with the statement, behind all other sections below @table. */
static void insert_section(struct edit *e, const struct draft *d, const struct kf_toml_node *table,
			   const char *const *rest, size_t nrest, const char *value)
{
	const struct kf_toml_node *sibling = NULL, *near;
	size_t end = table->parent ? table->end.offset : d->n, before;

	for (const struct kf_toml_node *n = table->first_child; n; n = kf_toml_walk(n, table, true))
		if (n->end.offset > end)
			end = n->end.offset;
	for (const struct kf_toml_node *n = table->first_child; n; n = n->next)
		if (by_header(d, n))
			sibling = n;
	near = last_header(d, table);
	begin_line(e, d, next_line(d, end));
	/* Put an empty line before the section, unless its neighbour has none. */
	before = near ? line_start(d, near->begin.offset) : 0;
	if (e->at && (before < 2 || strchr("\r\n", d->text[before - 2])))
		kf_buf_adds(&e->text, d->eol);
	if (sibling)
		put_indent(&e->text, d, sibling->begin.offset);
	else if (near && table->parent)
		put_indent(&e->text, d, near->begin.offset);
	kf_buf_adds(&e->text, "[");
	put_written_path(&e->text, d, d->root, table);
	if (nrest == 1) /* the trailing dot of the written path */
		e->text.p[--e->text.n] = '\0';
	put_keys(&e->text, rest, nrest - 1);
	kf_buf_addf(&e->text, "]%s", d->eol);
	if (sibling)
		put_indent(&e->text, d, sibling->begin.offset);
	else if (near && table->parent)
		put_indent(&e->text, d, near->begin.offset);
	kf_buf_adds(&e->text, "  ");
	kf_toml_put_key(&e->text, rest[nrest - 1]);
	kf_buf_addf(&e->text, " = %s%s", value, d->eol);
}

/* Append @value in the quotes of the old value, if it can be written in them. */
static void put_like(struct kf_buf *buf, char quote, const char *value)
{
	size_t n = strlen(value);

	if (quote == '\'' && n >= 2 && value[0] == '"' && !memchr(value + 1, '\'', n - 2) &&
	    !memchr(value + 1, '\\', n - 2)) {
		kf_buf_adds(buf, "'");
		kf_buf_add(buf, value + 1, n - 2);
		kf_buf_adds(buf, "'");
	} else {
		kf_buf_adds(buf, value);
	}
}

static int fail_at(const struct draft *d, const struct kf_toml_node *n, const char *why,
		   struct kf_err *err)
{
	return kf_fail(err, EINVAL, "%s:%u:%u: '%s' is %s, %s", d->name, n->key_begin.line,
		       n->key_begin.column, n->key, kf_toml_kind_name(n->kind), why);
}

/* Work out the edit that makes @want true.  An edit without bytes and without a cut means that it
 * is true already. */
static int plan_edit(const struct draft *d, const struct kf_toml_want *want, struct edit *e,
		     struct kf_err *err)
{
	const struct kf_toml_node *at = d->root, *in, *next;
	const char *const *rest = want->path;
	struct kf_toml value;
	KF_FREE char *line = NULL;
	size_t nrest = 0;
	bool same;

	while (*rest && (next = kf_toml_get(at, *rest)) != NULL) {
		at = next;
		rest++;
		if (*rest && !is_table(at))
			return fail_at(d, at, "a table is needed here; correct it by hand", err);
	}
	while (rest[nrest])
		nrest++;
	if (nrest && !inline_ancestor(at) && !by_header(d, at) && at->parent)
		insert_dotted(e, d, at, rest, nrest, want->value);
	else if (nrest && (in = inline_ancestor(at)) != NULL)
		insert_inline(e, d, at, in, rest, nrest, want->value);
	else if (nrest == 1 && has_header(d, at))
		insert_statement(e, d, at, rest[0], want->value);
	else if (nrest)
		insert_section(e, d, at, rest, nrest, want->value);
	if (nrest)
		return 0;

	if (is_table(at) || (at->kind == KF_TOML_ARRAY && at->is_tables))
		return fail_at(d, at, "a value is needed here; correct it by hand", err);
	if (asprintf(&line, "v = %s", want->value) < 0) {
		line = NULL;
		return kf_fail_nomem(err, d->name);
	}
	if (kf_toml_parse(line, strlen(line), "value", &value, err) < 0)
		return -1;
	same = kf_toml_same(&(struct kf_toml_doc){d->root, d->text}, at,
			    &(struct kf_toml_doc){value.root, line}, kf_toml_get(value.root, "v"));
	kf_toml_done(&value);
	if (same)
		return 0;
	e->at = at->begin.offset;
	e->cut = at->end.offset - at->begin.offset;
	put_like(&e->text, d->text[e->at], want->value);
	return 0;
}

/* Make one want true in the buffer @text. */
static int apply_want(struct kf_buf *text, const char *name, const struct kf_toml_want *want,
		      struct kf_err *err)
{
	struct edit e = {.text = KF_BUF_INIT(KF_LIMIT_CONFIG)};
	struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	struct draft d = {.text = text->p ? text->p : "", .n = text->n, .name = name, .eol = "\n"};
	const char *nl = memchr(d.text, '\n', d.n);
	struct kf_toml toml;
	int r;

	if (nl && nl > d.text && nl[-1] == '\r')
		d.eol = "\r\n";
	if (kf_toml_parse(d.text, d.n, name, &toml, err) < 0)
		return -1;
	d.root = toml.root;
	r = plan_edit(&d, want, &e, err);
	if (r == 0 && !e.text.failed && (e.text.n || e.cut)) {
		kf_buf_add(&out, d.text, e.at);
		kf_buf_add(&out, e.text.p, e.text.n);
		kf_buf_add(&out, d.text + e.at + e.cut, d.n - e.at - e.cut);
		if (!out.failed) {
			kf_buf_done(text);
			*text = out;
			out = (struct kf_buf){0};
		}
	}
	if (e.text.failed || out.failed)
		r = kf_fail(err, EFBIG, "%s: would become larger than %d bytes", name,
			    KF_LIMIT_CONFIG);
	kf_buf_done(&e.text);
	kf_buf_done(&out);
	kf_toml_done(&toml);
	return r;
}

/* Parse @before and @after, and check that they differ in the @wants only. */
static int check_result(const char *before, size_t nbefore, const struct kf_buf *after,
			const char *name, const struct kf_toml_want *wants, size_t nwants,
			struct kf_err *err)
{
	struct kf_toml a, b;
	int r;

	if (kf_toml_parse(before, nbefore, name, &a, err) < 0)
		return -1;
	if (kf_toml_parse(after->p ? after->p : "", after->n, name, &b, err) < 0) {
		kf_toml_done(&a);
		return kf_fail_wrap(err, "edit of '%s' does not parse, nothing was written", name);
	}
	r = kf_toml_compare(&(struct kf_toml_doc){a.root, before},
			    &(struct kf_toml_doc){b.root, after->p ? after->p : ""}, wants, nwants,
			    NULL, 0, err);
	if (r < 0)
		kf_err_wrap(err, "edit of '%s' is not what was intended, nothing was written",
			    name);
	kf_toml_done(&a);
	kf_toml_done(&b);
	return r;
}

int kf_toml_edit(const char *text, size_t n, const char *name, const struct kf_toml_want *wants,
		 size_t nwants, char **ret, size_t *ret_n, struct kf_err *err)
{
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	int r = 0;

	kf_buf_add(&buf, text, n);
	if (buf.failed)
		return kf_fail(err, EFBIG, "%s: larger than %d bytes", name, KF_LIMIT_CONFIG);
	for (size_t i = 0; i < nwants && r == 0; i++)
		r = apply_want(&buf, name, &wants[i], err);
	if (r == 0)
		r = check_result(text, n, &buf, name, wants, nwants, err);
	if (r == 0) {
		*ret_n = buf.n;
		*ret = kf_buf_take(&buf);
		if (!*ret)
			r = kf_fail_nomem(err, name);
	}
	kf_buf_done(&buf);
	return r;
}

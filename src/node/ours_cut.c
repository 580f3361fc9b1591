/* SPDX-License-Identifier: Apache-2.0 */
/* Taking what was decided to be ours out of a configuration's text, statement by statement: all
 * else stays as it is written. ours.c decides. */
#include "node/ours_int.h"

#include "base/cleanup.h"
#include "base/limits.h"

#include <string.h>

/* The most cuts; each removes one statement. */
#define CUTS_MAX 4096

/* Bytes to be replaced. */
struct cut {
	size_t from, to;
	const char *with;
};

static bool is_header(const struct kf_toml_doc *d, const struct kf_toml_node *n)
{
	return n->kind == KF_TOML_TABLE && !n->is_inline && d->text[n->begin.offset] == '[';
}

static size_t start_of_line(const struct kf_toml_doc *d, size_t at)
{
	while (at && d->text[at - 1] != '\n')
		at--;
	return at;
}

static size_t end_of_line(const struct kf_toml_doc *d, size_t at)
{
	at += strcspn(d->text + at, "\n");
	return at + (d->text[at] == '\n');
}

/* The cut of @n's header line, and of one empty line before it. */
static struct cut header_cut(const struct kf_toml_doc *d, const struct kf_toml_node *n)
{
	struct cut c = {start_of_line(d, n->begin.offset), end_of_line(d, n->end.offset), ""};
	size_t before = c.from ? start_of_line(d, c.from - 1) : 0;

	if (c.from && strspn(d->text + before, " \t\r\n") >= c.from - before)
		c.from = before;
	return c;
}

/* The cut of the statement that sets the value @n, or of its element in an inline table. */
static struct cut statement_cut(const struct kf_toml_doc *d, const struct kf_toml_node *n)
{
	size_t from = n->key_begin.offset, to = n->end.offset, after;
	const struct kf_toml_node *p = n->parent;

	while (p && !p->is_inline)
		p = p->parent;
	if (!p)
		return (struct cut){start_of_line(d, from), end_of_line(d, to), ""};
	while (!strchr(",{", d->text[from - 1]))
		from--;
	after = to + strspn(d->text + to, " \t");
	if (d->text[after] == ',')
		to = after + 1 + strspn(d->text + after + 1, " \t");
	else if (d->text[from - 1] == ',')
		from--;
	if (from < n->key_begin.offset && d->text[from] == ' ' && d->text[to] != '}')
		from++; /* the space behind the brace or comma */
	return (struct cut){from, to, ""};
}

/* The first cut at or below @top, which is removed as a whole: statements come before headers,
 * since a statement without its header would belong to another table. */
static bool first_cut(const struct kf_toml_doc *d, const struct kf_toml_node *top, struct cut *ret)
{
	const struct kf_toml_node *header = NULL;

	for (const struct kf_toml_node *n = top; n;
	     n = kf_toml_walk(n, top, n->kind == KF_TOML_TABLE ? !n->is_inline : n->is_tables)) {
		bool tables = n->kind == KF_TOML_ARRAY && n->is_tables;

		if (is_header(d, n)) {
			header = n;
		} else if (!tables && (n->kind != KF_TOML_TABLE || n->is_inline)) {
			*ret = statement_cut(d, n);
			return true;
		}
	}
	if (header)
		*ret = header_cut(d, header);
	return header != NULL;
}

/* Whether the table @n exists because of us. */
static bool is_table_of_ours(const struct kf_ours *o, const struct kf_toml_node *n)
{
	const char *path[KF_TOML_DEPTH_MAX + 1];

	return kf_toml_path(n, path) && kf_ours_find(o->ours.root, path) &&
	       !kf_ours_find(o->original.root, path);
}

/* Find a header of ours below which nothing is left. */
static bool empty_header(const struct kf_ours *o, const struct kf_toml_doc *d, struct cut *ret)
{
	for (const struct kf_toml_node *n = d->root; n;
	     n = kf_toml_walk(n, d->root, n->kind == KF_TOML_TABLE)) {
		if (!n->parent || n->first_child || !is_header(d, n) ||
		    !kf_ours_has_line(o, kf_ours_line(d->text, n->begin.offset)) ||
		    !is_table_of_ours(o, n))
			continue;
		*ret = header_cut(d, n);
		return true;
	}
	return false;
}

static bool next_cut(const struct kf_ours *o, const struct kf_toml_doc *d, struct cut *ret)
{
	for (size_t i = 0; i < o->nhandlers; i++) {
		const struct kf_toml_node *h = kf_toml_find(d->root, o->handlers[i]);

		if (h)
			return first_cut(d, h, ret);
	}
	for (size_t i = 0; i < o->nvalues; i++) {
		const struct kf_ours_value *v = &o->values[i];
		const struct kf_toml_node *n = kf_ours_find(d->root, v->path);
		const struct kf_toml_doc mine = {o->ours.root, o->m->ours.p};

		if (v->fate != KF_OURS_BACK || !n || !kf_toml_same(d, n, &mine, v->ours))
			continue;
		*ret = v->back ? (struct cut){n->begin.offset, n->end.offset, v->back}
			       : statement_cut(d, n);
		return true;
	}
	return empty_header(o, d, ret);
}

/* Remove our own comments as well. */
static int cut_remarks(const struct kf_ours *o, struct kf_buf *text, struct kf_err *err)
{
	struct kf_buf next = KF_BUF_INIT(KF_LIMIT_CONFIG);

	for (size_t i = 0, n; i < text->n; i += n) {
		n = strcspn(text->p + i, "\n");
		n += text->p[i + n] == '\n';
		if (text->p[i] != '#' || !kf_ours_wrote(o, (struct kf_text){text->p + i, n}))
			kf_buf_add(&next, text->p + i, n);
	}
	if (next.failed) {
		kf_buf_done(&next);
		return kf_fail_nomem(err, o->m->name);
	}
	kf_buf_done(text);
	*text = next;
	return 0;
}

int kf_ours_cut(const struct kf_ours *o, struct kf_buf *text, struct kf_err *err)
{
	for (unsigned i = 0; i < CUTS_MAX; i++) {
		struct kf_buf next = KF_BUF_INIT(KF_LIMIT_CONFIG);
		const char *p = text->n ? text->p : "";
		struct kf_toml toml;
		struct cut c;
		bool more;

		if (kf_toml_parse(p, text->n, o->m->name, &toml, err) < 0)
			return -1;
		more = next_cut(o, &(struct kf_toml_doc){toml.root, p}, &c);
		kf_toml_done(&toml);
		if (!more)
			return cut_remarks(o, text, err);
		kf_buf_add(&next, p, c.from);
		kf_buf_adds(&next, c.with);
		kf_buf_add(&next, p + c.to, text->n - c.to);
		if (next.failed) {
			kf_buf_done(&next);
			return kf_fail_nomem(err, o->m->name);
		}
		kf_buf_done(text);
		*text = next;
	}
	return kf_fail(err, E2BIG, "%s: more than %d statements of ours", o->m->name, CUTS_MAX);
}

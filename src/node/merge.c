/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file without our part.  Lines that are as we left them are removed first, and the
 * result is compared with what the file said.  If that does not fit, statements are removed one by
 * one.  Which tables and values are ours is decided in ours.c. */
#include "node/merge.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "node/node.h"
#include "node/ours.h"
#include "text/lines.h"

#include <stdlib.h>
#include <string.h>

/* The lines that two texts do not have in common. */
struct delta {
	struct kf_lines other;
	bool *a, *b; /* lines of ours, of the other */
};

static void delta_done(struct delta *d)
{
	kf_lines_done(&d->other);
	free(d->a);
	free(d->b);
}

static int compare_lines(const struct kf_lines *ours, struct kf_text text, struct delta *ret,
			 struct kf_err *err)
{
	if (kf_lines_split(text.p, text.n, &ret->other) < 0)
		return kf_fail_nomem(err, "merge");
	ret->a = calloc(ours->n + 1, sizeof(*ret->a));
	ret->b = calloc(ret->other.n + 1, sizeof(*ret->b));
	if (!ret->a || !ret->b)
		return kf_fail_nomem(err, "merge");
	kf_lines_mark(ours, &ret->other, ret->a, ret->b);
	return 0;
}

static void put_line(struct kf_buf *out, const struct kf_line *line)
{
	if (out->n && out->p[out->n - 1] != '\n')
		kf_buf_adds(out, "\n"); /* the last line of a text may lack its end */
	kf_buf_add(out, line->p, line->n);
}

/* Whether a line of our change that begins at @i still exists. */
static bool change_survives(const struct kf_lines *ours, const struct delta *mine,
			    const struct delta *theirs, size_t i)
{
	for (; i < ours->n && mine->a[i]; i++)
		if (!theirs->a[i])
			return true;
	return false;
}

/* Write their text without our lines, and with the lines that ours had replaced. */
static void without_lines(const struct kf_lines *ours, const struct delta *mine,
			  const struct delta *theirs, struct kf_buf *out)
{
	const struct kf_lines *original = &mine->other, *now = &theirs->other;
	bool back = false;

	for (size_t i = 0, j = 0, k = 0;; i++) {
		while (j < now->n && theirs->b[j])
			put_line(out, &now->v[j++]);
		if (i == 0 || !mine->a[i - 1])
			back = change_survives(ours, mine, theirs, i);
		for (; k < original->n && mine->b[k]; k++)
			if (back)
				put_line(out, &original->v[k]);
		if (i == ours->n)
			break;
		if (!mine->a[i])
			k++;
		if (theirs->a[i])
			continue;
		if (!mine->a[i])
			put_line(out, &now->v[j]);
		j++;
	}
}

static int remove_lines(const struct kf_merge *m, struct kf_text now, struct kf_buf *out,
			struct kf_err *err)
{
	KF_CLEANUP(kf_lines_done) struct kf_lines lines = {0};
	KF_CLEANUP(delta_done) struct delta mine = {0};
	KF_CLEANUP(delta_done) struct delta theirs = {0};

	if (kf_lines_split(m->ours.p, m->ours.n, &lines) < 0)
		return kf_fail_nomem(err, "merge");
	if (compare_lines(&lines, m->original, &mine, err) < 0 ||
	    compare_lines(&lines, now, &theirs, err) < 0)
		return -1;
	without_lines(&lines, &mine, &theirs, out);
	return out->failed ? kf_fail_nomem(err, "merge") : 0;
}

/* Check that @text is the document @now, for which @o has decided, without our part. */
static int judge_text(const struct kf_ours *o, const struct kf_toml_doc *now,
		      const struct kf_buf *text, struct kf_err *err)
{
	const char *p = text->n ? text->p : "";
	struct kf_toml after;
	int r;

	if (kf_toml_parse(p, text->n, o->m->name, &after, err) < 0)
		return -1;
	r = kf_ours_judge(o, now, &(struct kf_toml_doc){after.root, p}, err);
	kf_toml_done(&after);
	return r;
}

static bool is_header(const struct kf_line *line)
{
	size_t n = 0;

	while (n < line->n && strchr(" \t", line->p[n]))
		n++;
	return n < line->n && line->p[n] == '[';
}

static bool is_silent(const struct kf_line *line)
{
	size_t n = 0;

	while (n < line->n && strchr(" \t\r\n", line->p[n]))
		n++;
	return n == line->n || line->p[n] == '#';
}

/* Drop the empty line at the end of @text, if there is one. */
static void drop_empty_line(struct kf_buf *text)
{
	size_t n = text->n;

	if (n >= 2 && memcmp(text->p + n - 2, "\n\n", 2) == 0)
		n -= 1;
	else if (n >= 3 && memcmp(text->p + n - 3, "\n\r\n", 3) == 0)
		n -= 2;
	if (text->n)
		text->p[text->n = n] = '\0';
}

/* Write their text without each section that consists of our lines, wherever it is. */
static int remove_sections(const struct kf_ours *o, struct kf_text now, struct kf_buf *out,
			   struct kf_err *err)
{
	KF_CLEANUP(kf_lines_done) struct kf_lines lines = {0};
	size_t i = 0, end;

	if (kf_lines_split(now.p, now.n, &lines) < 0)
		return kf_fail_nomem(err, "merge");
	while (i < lines.n) {
		const struct kf_text header = {lines.v[i].p, lines.v[i].n};
		bool ours = is_header(&lines.v[i]);

		for (end = i; end < lines.n && (end == i || !is_header(&lines.v[end])); end++)
			ours = ours && (is_silent(&lines.v[end]) ||
					kf_ours_wrote_under(o, header,
							    (struct kf_text){lines.v[end].p,
									     lines.v[end].n}));
		if (ours)
			drop_empty_line(out);
		for (; i < end; i++)
			if (!ours || is_silent(&lines.v[i]))
				put_line(out, &lines.v[i]);
	}
	return out->failed ? kf_fail_nomem(err, "merge") : 0;
}

/* Somebody wrote our tables into the file a second time, so that nobody can parse it.  Only whole
 * sections of ours are removed: without parsing nobody can tell which table another line belongs
 * to. */
static int merge_unreadable(struct kf_ours *o, struct kf_text now, struct kf_buf *lines,
			    struct kf_err *err)
{
	const struct kf_err why = *err;
	struct kf_toml toml;
	int r;

	if (remove_sections(o, now, lines, err) < 0)
		return -1;
	if (kf_toml_parse(lines->n ? lines->p : "", lines->n, o->m->name, &toml, err) < 0)
		return kf_fail(err, EINVAL, "%s; correct the file, then run this again", why.msg);
	r = kf_ours_decide(o, &(struct kf_toml_doc){toml.root, lines->n ? lines->p : ""}, true,
			   err);
	kf_toml_done(&toml);
	return r < 0 ? -1 : kf_ours_cut(o, lines, err);
}

static int merge_readable(struct kf_ours *o, struct kf_text now, const struct kf_toml_doc *doc,
			  struct kf_buf *lines, struct kf_err *err)
{
	if (kf_ours_decide(o, doc, false, err) < 0)
		return -1;
	if (o->any && !o->m->beside && judge_text(o, doc, lines, err) == 0)
		return 0;
	kf_buf_reset(lines);
	kf_buf_add(lines, now.p, now.n);
	if (!o->any)
		return 0;
	if (kf_ours_cut(o, lines, err) < 0 || judge_text(o, doc, lines, err) < 0)
		return kf_fail_wrap(err,
				    "'%s' was changed since, and which parts of it are ours is not "
				    "clear; remove the tables that name '" KF_NODE_GUARD
				    "' by hand, then run this again",
				    o->m->name);
	return 0;
}

/* Drop what is left if the file had nothing but our part. */
static void drop_rest(const struct kf_merge *m, struct kf_buf *text)
{
	struct kf_toml toml;
	bool says_nothing;

	if (m->original.n || m->beside ||
	    kf_toml_parse(text->n ? text->p : "", text->n, m->name, &toml, KF_ERR_IGNORED) < 0)
		return;
	says_nothing = !toml.root->nchildren ||
		       (toml.root->nchildren == 1 && kf_toml_get(toml.root, "version"));
	kf_toml_done(&toml);
	if (says_nothing && !memchr(text->n ? text->p : "", '#', text->n))
		kf_buf_reset(text);
}

int kf_merge_back(const struct kf_merge *m, struct kf_text now, struct kf_buf *out, bool *ret_found,
		  struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf lines = KF_BUF_INIT(KF_LIMIT_CONFIG);
	struct kf_toml toml;
	struct kf_ours o;
	bool readable;
	int r;

	if (kf_ours_open(m, &o, err) < 0)
		return -1;
	readable = kf_toml_parse(now.p, now.n, m->name, &toml, err) == 0;
	if (!readable)
		r = merge_unreadable(&o, now, &lines, err);
	else if (m->beside || (r = remove_lines(m, now, &lines, err)) == 0)
		r = merge_readable(&o, now, &(struct kf_toml_doc){toml.root, now.p}, &lines, err);
	if (readable)
		kf_toml_done(&toml);
	if (r == 0) {
		drop_rest(m, &lines);
		kf_buf_add(out, lines.n ? lines.p : "", lines.n);
		*ret_found = out->n != now.n || memcmp(out->p ? out->p : "", now.p, now.n) != 0;
		r = out->failed ? kf_fail_nomem(err, "merge") : 0;
	}
	kf_ours_done(&o);
	return r;
}

static int load_kept(const struct kf_host *host, const char *digest, struct kf_arena *arena,
		     struct kf_text *ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char *copy;
	size_t n;

	*ret = (struct kf_text){"", 0};
	if (strcmp(digest, KF_JOURNAL_ABSENT) == 0)
		return 0;
	if (kf_journal_kept(host, digest, &text, &n, err) < 0)
		return -1;
	copy = kf_arena_alloc(arena, n + 1);
	if (!copy)
		return kf_fail_nomem(err, "merge");
	memcpy(copy, text, n);
	*ret = (struct kf_text){copy, n};
	return 0;
}

int kf_merge_open(const struct kf_host *host, const struct kf_journal *j, struct kf_arena *arena,
		  struct kf_merge *ret, struct kf_err *err)
{
	struct kf_merge m = {.name = j->config, .journal = j};

	if (load_kept(host, j->base, arena, &m.original, err) < 0 ||
	    load_kept(host, j->after, arena, &m.ours, err) < 0 ||
	    (j->before[0] && load_kept(host, j->before, arena, &m.before, err) < 0))
		return -1;
	*ret = m;
	return 0;
}

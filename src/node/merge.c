/* SPDX-License-Identifier: Apache-2.0 */
#include "node/merge.h"

#include "base/cleanup.h"
#include "node/lines.h"

#include <stdlib.h>
#include <string.h>

/* Lines [a0, a1) of our text became lines [b0, b1) of another. */
struct hunk {
	size_t a0, a1, b0, b1;
	const struct kf_line *b;
};

struct hunks {
	struct hunk *v;
	size_t n;
};

/* One text as changes to ours. */
struct side {
	struct kf_lines lines;
	struct hunks hunks;
};

static void side_done(struct side *side)
{
	kf_lines_done(&side->lines);
	free(side->hunks.v);
}

static int compare(const struct kf_lines *ours, struct kf_text text, struct side *ret,
		   struct kf_err *err)
{
	KF_FREE bool *da = calloc(ours->n + 1, sizeof(*da)), *db = NULL;
	size_t i = 0, j = 0;

	if (kf_lines_split(text.p, text.n, &ret->lines) < 0)
		return kf_fail_nomem(err, "merge");
	db = calloc(ret->lines.n + 1, sizeof(*db));
	ret->hunks.v = calloc(ours->n + ret->lines.n + 1, sizeof(*ret->hunks.v));
	if (!da || !db || !ret->hunks.v)
		return kf_fail_nomem(err, "merge");
	kf_lines_mark(ours, &ret->lines, da, db);
	while (i < ours->n || j < ret->lines.n) {
		struct hunk h = {.a0 = i, .b0 = j, .b = ret->lines.v};

		while (i < ours->n && da[i])
			i++;
		while (j < ret->lines.n && db[j])
			j++;
		/* A deletion may follow an insertion. */
		while (i < ours->n && da[i])
			i++;
		h.a1 = i;
		h.b1 = j;
		if (h.a1 > h.a0 || h.b1 > h.b0)
			ret->hunks.v[ret->hunks.n++] = h;
		if (i < ours->n && !da[i]) {
			i++;
			j++;
		}
	}
	return 0;
}

/* The first character of line @l that is no blank; 0 for an empty line or a comment. */
static char first_of(const struct kf_line *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strchr(" \t\r\n", l->p[i]))
			return l->p[i] == '#' ? '\0' : l->p[i];
	return '\0';
}

static bool has_header(const struct kf_line *lines, size_t from, size_t to)
{
	for (; from < to; from++)
		if (first_of(&lines[from]) == '[')
			return true;
	return false;
}

/* Whether what they inserted behind ours goes on with a table of ours. */
static bool goes_on(const struct kf_lines *ours, const struct hunk *mine, const struct hunk *theirs)
{
	if (!has_header(ours->v, mine->a0, mine->a1))
		return false;
	for (size_t i = theirs->b0; i < theirs->b1; i++) {
		char c = first_of(&theirs->b[i]);

		if (c)
			return c != '[';
	}
	return false;
}

/* What becomes of @theirs: 1 it stays, 0 it goes, -1 it cannot be told. */
static int judge(const struct kf_lines *ours, const struct hunks *mine, const struct hunk *theirs)
{
	for (size_t i = 0; i < mine->n; i++) {
		const struct hunk *m = &mine->v[i];

		if (m->a0 == m->a1)
			continue; /* lines that we had taken out: their place is nobody's */
		if (theirs->a0 == theirs->a1) {
			if (theirs->a0 > m->a0 && theirs->a0 < m->a1)
				return 0;
			if (theirs->a0 == m->a1 && goes_on(ours, m, theirs))
				return 0;
		} else if (theirs->a0 < m->a1 && m->a0 < theirs->a1) {
			/* All of ours for something else: theirs, or ours made over? */
			if (theirs->a0 <= m->a0 && theirs->a1 >= m->a1 && theirs->b0 < theirs->b1 &&
			    has_header(ours->v, m->a0, m->a1))
				return -1;
			return theirs->a0 >= m->a0 && theirs->a1 <= m->a1 ? 0 : -1;
		}
	}
	return 1;
}

static void put(struct kf_buf *out, const struct kf_line *lines, size_t from, size_t to)
{
	for (; from < to; from++) {
		if (out->n && out->p[out->n - 1] != '\n')
			kf_buf_adds(out, "\n"); /* the last line of one text may lack its end */
		kf_buf_add(out, lines[from].p, lines[from].n);
	}
}

/* Both lists are in order; where two begin at one line, theirs is an insertion before ours. */
static void apply(const struct kf_lines *ours, const struct hunks *mine, const struct hunks *theirs,
		  struct kf_buf *out)
{
	size_t at = 0, m = 0, t = 0;

	while (m < mine->n || t < theirs->n) {
		const struct hunk *h;

		if (t < theirs->n && (m == mine->n || theirs->v[t].a0 <= mine->v[m].a0))
			h = &theirs->v[t++];
		else
			h = &mine->v[m++];
		put(out, ours->v, at, h->a0);
		put(out, h->b, h->b0, h->b1);
		at = h->a1;
	}
	put(out, ours->v, at, ours->n);
}

static int merge(const struct kf_lines *ours, struct side *mine, struct side *theirs,
		 struct kf_buf *out, struct kf_err *err)
{
	struct hunks *list = &theirs->hunks;
	size_t kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		int verdict = judge(ours, &mine->hunks, &list->v[i]);

		if (verdict < 0)
			return kf_fail(
				err, EINVAL,
				"lines of ours and of somebody else's were changed together");
		if (verdict)
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
	apply(ours, &mine->hunks, list, out);
	return out->failed ? kf_fail_nomem(err, "merge") : 0;
}

int kf_merge_back(struct kf_text original, struct kf_text ours, struct kf_text now,
		  struct kf_buf *out, struct kf_err *err)
{
	KF_CLEANUP(kf_lines_done) struct kf_lines lines = {0};
	KF_CLEANUP(side_done) struct side mine = {0};
	KF_CLEANUP(side_done) struct side theirs = {0};

	if (kf_lines_split(ours.p, ours.n, &lines) < 0)
		return kf_fail_nomem(err, "merge");
	if (compare(&lines, original, &mine, err) < 0 || compare(&lines, now, &theirs, err) < 0)
		return -1;
	return merge(&lines, &mine, &theirs, out, err);
}

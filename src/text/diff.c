/* SPDX-License-Identifier: Apache-2.0 */
/* The difference of two texts as "diff -u" prints it.  Which lines differ is worked out in lines.c.
 */
#include "text/diff.h"

#include "base/cleanup.h"
#include "text/lines.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT 3

static void put_line(struct kf_buf *out, char sign, const struct kf_line *l)
{
	kf_buf_add(out, &sign, 1);
	kf_buf_add(out, l->p, l->n);
	if (l->p[l->n - 1] != '\n')
		kf_buf_adds(out, "\n\\ No newline at end of file\n");
}

/* One hunk: lines [i, i2) of a and [j, j2) of b. */
static void put_hunk(struct kf_buf *out, const struct kf_line *a, const bool *da, size_t i,
		     size_t i2, const struct kf_line *b, const bool *db, size_t j, size_t j2)
{
	/* For an empty range diff names the line before it. */
	kf_buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", i + (i2 > i), i2 - i, j + (j2 > j), j2 - j);
	while (i < i2 || j < j2)
		if (i < i2 && da[i])
			put_line(out, '-', &a[i++]);
		else if (j < j2 && db[j])
			put_line(out, '+', &b[j++]);
		else {
			put_line(out, ' ', &a[i++]);
			j++;
		}
}

static void put_all(struct kf_buf *out, const struct kf_line *a, const bool *da, size_t n,
		    const struct kf_line *b, const bool *db, size_t m)
{
	size_t i = 0, j = 0;

	while (i < n || j < m) {
		size_t lead, start_i, start_j, quiet = 0;

		for (lead = 0; i < n && j < m && !da[i] && !db[j]; lead++)
			i++, j++;
		if (i == n && j == m)
			break;
		lead = lead > CONTEXT ? CONTEXT : lead;
		start_i = i - lead;
		start_j = j - lead;
		/* A hunk goes on until more unchanged lines follow than two contexts hold. */
		while ((i < n || j < m) && quiet <= 2 * CONTEXT) {
			if (i < n && da[i]) {
				i++;
				quiet = 0;
			} else if (j < m && db[j]) {
				j++;
				quiet = 0;
			} else {
				i++, j++;
				quiet++;
			}
		}
		if (quiet > CONTEXT) {
			i -= quiet - CONTEXT;
			j -= quiet - CONTEXT;
		}
		put_hunk(out, a, da, start_i, i, b, db, start_j, j);
	}
}

void kf_diff_unified(const char *path, bool existed, const char *before, size_t nbefore,
		     const char *after, size_t nafter, struct kf_buf *out)
{
	KF_CLEANUP(kf_lines_done) struct kf_lines a = {0};
	KF_CLEANUP(kf_lines_done) struct kf_lines b = {0};
	KF_FREE bool *da = NULL;
	KF_FREE bool *db = NULL;

	if (existed && nbefore == nafter && (!nafter || memcmp(before, after, nafter) == 0))
		return;
	if (kf_lines_split(before, nbefore, &a) == 0 && kf_lines_split(after, nafter, &b) == 0) {
		da = calloc(a.n + 1, sizeof(*da));
		db = calloc(b.n + 1, sizeof(*db));
	}
	if (!da || !db) {
		out->failed = true;
		return;
	}
	kf_lines_mark(&a, &b, da, db);
	if (existed)
		kf_buf_addf(out, "--- %s\n+++ %s\n", path, path);
	else
		kf_buf_addf(out, "--- /dev/null\n+++ %s\n", path);
	put_all(out, a.v, da, a.n, b.v, db, b.n);
}

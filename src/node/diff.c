/* SPDX-License-Identifier: Apache-2.0 */
#include "node/diff.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT	  3
/* Cells of the table below; beyond that the middle counts as one change. */
#define TABLE_MAX (4 * 1024 * 1024)

struct line {
	const char *p;
	size_t n; /* with its newline, if it has one */
};

static struct line *split(const char *p, size_t n, size_t *ret_count)
{
	struct line *lines;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == '\n';
	lines = calloc(count + 2, sizeof(*lines));
	if (!lines)
		return NULL;
	for (count = 0; n; count++) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) + 1 : n;

		lines[count] = (struct line){p, len};
		p += len;
		n -= len;
	}
	*ret_count = count;
	return lines;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

/* Mark which of the @n and @m lines are not in a longest common subsequence. */
static void mark(const struct line *a, size_t n, const struct line *b, size_t m, bool *da, bool *db)
{
	KF_FREE uint32_t *t = n && m && n + 1 <= TABLE_MAX / (m + 1)
				      ? calloc((n + 1) * (m + 1), sizeof(*t))
				      : NULL;
	size_t i = 0, j = 0;

	if (t) {
		for (i = n; i-- > 0;)
			for (j = m; j-- > 0;) {
				uint32_t down = t[(i + 1) * (m + 1) + j];
				uint32_t right = t[i * (m + 1) + j + 1];

				t[i * (m + 1) + j] = same(&a[i], &b[j])
							     ? t[(i + 1) * (m + 1) + j + 1] + 1
						     : down > right ? down
								    : right;
			}
		i = j = 0;
		while (i < n && j < m)
			if (same(&a[i], &b[j]))
				i++, j++;
			else if (t[(i + 1) * (m + 1) + j] >= t[i * (m + 1) + j + 1])
				da[i++] = true;
			else
				db[j++] = true;
	}
	while (i < n)
		da[i++] = true;
	while (j < m)
		db[j++] = true;
}

static void put(struct kf_buf *out, char sign, const struct line *l)
{
	kf_buf_add(out, &sign, 1);
	kf_buf_add(out, l->p, l->n);
	if (l->p[l->n - 1] != '\n')
		kf_buf_adds(out, "\n\\ No newline at end of file\n");
}

/* One hunk: lines [i, i2) of a and [j, j2) of b. */
static void put_hunk(struct kf_buf *out, const struct line *a, const bool *da, size_t i, size_t i2,
		     const struct line *b, const bool *db, size_t j, size_t j2)
{
	/* Of an empty range the line before it is named. */
	kf_buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", i + (i2 > i), i2 - i, j + (j2 > j), j2 - j);
	while (i < i2 || j < j2)
		if (i < i2 && da[i])
			put(out, '-', &a[i++]);
		else if (j < j2 && db[j])
			put(out, '+', &b[j++]);
		else {
			put(out, ' ', &a[i++]);
			j++;
		}
}

static void put_all(struct kf_buf *out, const struct line *a, const bool *da, size_t n,
		    const struct line *b, const bool *db, size_t m)
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
		/* Until more unchanged lines follow than two contexts hold. */
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
	size_t n = 0, m = 0, head = 0, tail = 0;
	KF_FREE struct line *a = split(before, nbefore, &n);
	KF_FREE struct line *b = split(after, nafter, &m);
	KF_FREE bool *da = calloc(n + 1, sizeof(*da));
	KF_FREE bool *db = calloc(m + 1, sizeof(*db));

	if (!a || !b || !da || !db) {
		out->failed = true;
		return;
	}
	while (head < n && head < m && same(&a[head], &b[head]))
		head++;
	if (existed && head == n && head == m)
		return;
	while (tail < n - head && tail < m - head && same(&a[n - 1 - tail], &b[m - 1 - tail]))
		tail++;
	mark(a + head, n - head - tail, b + head, m - head - tail, da + head, db + head);
	if (existed)
		kf_buf_addf(out, "--- %s\n+++ %s\n", path, path);
	else
		kf_buf_addf(out, "--- /dev/null\n+++ %s\n", path);
	put_all(out, a, da, n, b, db, m);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A text as lines, and which lines of two texts differ. diff.c writes the difference down. */
#include "text/lines.h"

#include "base/cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The most cells that the table of mark_differing() may have. */
#define TABLE_MAX (4 * 1024 * 1024)

int kf_lines_split(const char *p, size_t n, struct kf_lines *ret)
{
	struct kf_line *lines;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == '\n';
	lines = calloc(count + 2, sizeof(*lines));
	if (!lines)
		return -1;
	for (count = 0; n; count++) {
		const char *nl = memchr(p, '\n', n);
		size_t len = nl ? (size_t)(nl - p) + 1 : n;

		lines[count] = (struct kf_line){p, len};
		p += len;
		n -= len;
	}
	*ret = (struct kf_lines){lines, count};
	return 0;
}

void kf_lines_done(struct kf_lines *lines)
{
	free(lines->v);
	*lines = (struct kf_lines){0};
}

static bool same_line(const struct kf_line *a, const struct kf_line *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static void mark_differing(const struct kf_line *a, size_t n, const struct kf_line *b, size_t m,
			   bool *da, bool *db)
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

				t[i * (m + 1) + j] = same_line(&a[i], &b[j])
							     ? t[(i + 1) * (m + 1) + j + 1] + 1
						     : down > right ? down
								    : right;
			}
		i = j = 0;
		while (i < n && j < m)
			if (same_line(&a[i], &b[j]))
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

void kf_lines_mark(const struct kf_lines *a, const struct kf_lines *b, bool *da, bool *db)
{
	size_t n = a->n, m = b->n, head = 0, tail = 0;

	while (head < n && head < m && same_line(&a->v[head], &b->v[head]))
		head++;
	while (tail < n - head && tail < m - head &&
	       same_line(&a->v[n - 1 - tail], &b->v[m - 1 - tail]))
		tail++;
	mark_differing(a->v + head, n - head - tail, b->v + head, m - head - tail, da + head,
		       db + head);
}

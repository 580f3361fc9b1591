/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TEXT_LINES_H
#define KF_TEXT_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* A text as lines, and what two texts have in common. */

struct kf_line {
	const char *p; /* borrowed */
	size_t n;      /* with its newline, if it has one */
};

struct kf_lines {
	struct kf_line *v;
	size_t n;
};

/* -1 if out of memory.  Release with kf_lines_done(). */
int kf_lines_split(const char *p, size_t n, struct kf_lines *ret);
void kf_lines_done(struct kf_lines *lines);
/* Set @da[i] and @db[j] for the lines that are not in a longest common subsequence of @a and @b;
 * both are all false before.  If the texts are very large and very different, all lines between the
 * common start and end count as changed. */
void kf_lines_mark(const struct kf_lines *a, const struct kf_lines *b, bool *da, bool *db);

#endif

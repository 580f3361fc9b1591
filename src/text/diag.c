/* SPDX-License-Identifier: Apache-2.0 */
/* Problems that are found in files that people write: collected, sorted and formatted, with the
 * word that was probably meant.  Errors of a single operation are in base/err.c. */
#include "text/diag.h"
#include "base/escape.h"

#include "base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX_ \
	48 /* longer words are not compared: a typing error in them is rarely one letter */

void kf_diags_init(struct kf_diags *diags, struct kf_arena *arena)
{
	*diags = (struct kf_diags){.arena = arena};
}

__attribute__((format(printf, 4, 0))) static void add_diag(struct kf_diags *diags, bool warning,
							   const struct kf_origin *at,
							   const char *fmt, va_list ap)
{
	char raw[1024], msg[1024];

	*(warning ? &diags->nwarnings : &diags->nerrors) += 1;
	if (diags->n == KF_LIMIT_PROFILE_ERRORS)
		return;
	if (!diags->v)
		diags->v =
			kf_arena_calloc(diags->arena, KF_LIMIT_PROFILE_ERRORS, sizeof(*diags->v));
	vsnprintf(raw, sizeof(raw), fmt, ap);
	(void)kf_escape(msg, sizeof(msg), raw, strlen(raw));
	struct kf_diag diag = {
		.warning = warning, .at = *at, .msg = kf_arena_strdup(diags->arena, msg)};
	if (!diags->v || !diag.msg) {
		diags->nomem = true;
		return;
	}
	diags->v[diags->n++] = diag;
}

void kf_diag_error(struct kf_diags *diags, const struct kf_origin *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_diag(diags, false, at, fmt, ap);
	va_end(ap);
}

void kf_diag_warning(struct kf_diags *diags, const struct kf_origin *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_diag(diags, true, at, fmt, ap);
	va_end(ap);
}

static int compare_diags(const void *a, const void *b)
{
	const struct kf_diag *x = a, *y = b;
	int c = strcmp(x->at.file, y->at.file);

	if (c)
		return c;
	if (x->at.line != y->at.line)
		return x->at.line < y->at.line ? -1 : 1;
	if (x->at.column != y->at.column)
		return x->at.column < y->at.column ? -1 : 1;
	return strcmp(x->msg, y->msg);
}

void kf_diags_sort(struct kf_diags *diags)
{
	if (diags->n)
		qsort(diags->v, diags->n, sizeof(*diags->v), compare_diags);
}

void kf_diags_format(const struct kf_diags *diags, struct kf_buf *out)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct kf_diag *d = &diags->v[i];

		kf_buf_add_escaped(out, d->at.file);
		if (d->at.line)
			kf_buf_addf(out, ":%u:%u", d->at.line, d->at.column);
		kf_buf_addf(out, ": %s: %s", d->warning ? "warning" : "error", d->msg);
		if (d->at.group)
			kf_buf_addf(out, " (group '%s')", d->at.group);
		kf_buf_adds(out, "\n");
	}
	if (diags->nerrors + diags->nwarnings > diags->n)
		kf_buf_addf(out, "... and %zu more\n",
			    diags->nerrors + diags->nwarnings - diags->n);
}

/* The number of edits (insert, delete, replace, swap of neighbours) that turn @a into @b. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX_ + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t d = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < d)
				d = last[j] + 1;
			if (row[j - 1] + 1 < d)
				d = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			row[j] = d;
		}
		size_t *oldest = before;

		before = last;
		last = row;
		row = oldest;
	}
	return last[nb];
}

const char *kf_diag_suggest(const char *word, const char *const *names)
{
	size_t n = strlen(word), best = n / 3 + 1;
	const char *found = NULL;

	if (n > WORD_MAX_)
		return NULL;
	for (; *names; names++) {
		size_t len = strlen(*names), d;

		if (len > WORD_MAX_)
			continue;
		d = edit_distance(word, n, *names, len);
		if (d < best || (d == best && !found)) {
			best = d;
			found = *names;
		}
	}
	return found;
}

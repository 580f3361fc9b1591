/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TEXT_DIAG_H
#define KF_TEXT_DIAG_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Problems found in profile files: all of them at once, each with its place. */

/* Where something was written.  Lines and columns count from 1, columns in characters; line 0 is
 * the file as a whole.  @group: the group that brought it, NULL if the profile itself does.
 * @order: a base profile has a lower one than the profiles that extend it. */
struct kf_origin {
	const char *file;
	unsigned line, column;
	const char *group;
	unsigned order;
};

struct kf_diag {
	bool warning;
	struct kf_origin at;
	const char *msg;
};

/* @arena holds the messages.  At most KF_LIMIT_PROFILE_ERRORS are kept; the
 * counters count all. */
struct kf_diags {
	struct kf_arena *arena;
	struct kf_diag *v;
	size_t n;
	size_t nerrors, nwarnings;
	bool nomem;
};

void kf_diags_init(struct kf_diags *diags, struct kf_arena *arena);
void kf_diag_error(struct kf_diags *diags, const struct kf_origin *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void kf_diag_warning(struct kf_diags *diags, const struct kf_origin *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Put them into reading order: by file, line, column. */
void kf_diags_sort(struct kf_diags *diags);
/* Room for all that are kept (KF_LIMIT_PROFILE_ERRORS), with the longest paths. */
#define KF_DIAGS_TEXT (1024 * 1024)
/* One line each: "FILE:LINE:COLUMN: error: MESSAGE". */
void kf_diags_format(const struct kf_diags *diags, struct kf_buf *out);

/* The one of the NULL-terminated @names that @word was probably meant to be, or NULL. */
const char *kf_diag_suggest(const char *word, const char *const *names);

#endif

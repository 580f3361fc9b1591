/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file without our part, whatever became of it since. */
#ifndef KF_NODE_MERGE_H
#define KF_NODE_MERGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "node/journal.h"

struct kf_text {
	const char *p;
	size_t n;
};

/* What is known about the file @name, to distinguish our part from theirs. */
struct kf_merge {
	const char *name;	 /* for messages */
	struct kf_text original; /* its text before our change */
	struct kf_text ours;	 /* its text after our change */
	struct kf_text before;	 /* the configuration beside it without us; p is NULL: not known */
	const struct kf_journal *journal;
	/* @original and @ours are those of another file, from which our part was copied here. */
	bool beside;
	/* Handlers that we made are ours whatever they say now. */
	bool claim;
	/* Handlers that somebody made from ours under another name stay. */
	bool keep_copies;
};

/* Append to @out the text @now without our part.  Their lines stay byte for byte.  Our part is
 * recognised by its lines if they are as we left them; and by its meaning if the file was written
 * again in another layout: tables of runtimes that lead to the guard or to our virtual machines,
 * and values that we set, as long as they are the same and nobody added a comment to them.  Values
 * that we replaced are restored.  A key that somebody added inside a table of ours is removed with
 * it.  *ret_found: there was something of ours. -1, with the place and a remedy, if it cannot be
 * decided. */
int kf_merge_back(const struct kf_merge *m, struct kf_text now, struct kf_buf *out, bool *ret_found,
		  struct kf_err *err);

/* Fill @ret from the texts that the @journal keeps, in @arena; the caller sets the flags. */
int kf_merge_open(const struct kf_host *host, const struct kf_journal *journal,
		  struct kf_arena *arena, struct kf_merge *ret, struct kf_err *err);

#endif

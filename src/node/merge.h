/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file without what is ours in it, whatever became of it since. */
#ifndef KF_NODE_MERGE_H
#define KF_NODE_MERGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "node/journal.h"

struct kf_text {
	const char *p;
	size_t n;
};

/* What is known about the file @name, to tell ours from theirs. */
struct kf_merge {
	const char *name;	 /* for messages */
	struct kf_text original; /* what it was before us */
	struct kf_text ours;	 /* what we made of it */
	struct kf_text before;	 /* what was said beside it without us; p is NULL: not known */
	const struct kf_journal *journal;
	/* @original and @ours are another file's, from which ours was brought here. */
	bool beside;
	/* Handlers that exist because of us are ours whatever they say now. */
	bool claim;
	/* Handlers that somebody made from ours under another name stay. */
	bool keep_copies;
};

/* Append to @out what @now is without ours.  Lines of theirs stay byte for byte.  Ours is
 * known by its lines where they are as we left them, and by what it says where the file was
 * written again in another layout: tables of runtimes that lead to the guard or to our
 * virtual machines, and values that we had set as long as they are the same and nobody
 * put a remark of his own to them.  Values that we had replaced come back.  A key that was
 * added inside a table of ours goes with it.  *ret_found: there was something of ours.
 * -1, with the place and a remedy, if it cannot be decided. */
int kf_merge_back(const struct kf_merge *m, struct kf_text now, struct kf_buf *out, bool *ret_found,
		  struct kf_err *err);

/* Fill @ret from what the @journal keeps, in @arena; the flags are the caller's. */
int kf_merge_open(const struct kf_host *host, const struct kf_journal *journal,
		  struct kf_arena *arena, struct kf_merge *ret, struct kf_err *err);

#endif

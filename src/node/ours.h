/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts of a runtime's configuration are ours, recognised by their meaning. */
#ifndef KF_NODE_OURS_H
#define KF_NODE_OURS_H

#include "node/merge.h"
#include "toml/edit.h"

/* A value that our change set, and what is decided for it. */
struct kf_ours_value {
	const char *path[KF_TOML_PATH_MAX + 1]; /* in our text; NULL at the end */
	const struct kf_toml_node *ours;	/* as we set it */
	const char *back; /* the value to restore, as TOML; NULL: it is removed */
	enum { KF_OURS_KEEP, KF_OURS_BACK, KF_OURS_EITHER } fate;
};

/* Both texts of a merge, parsed, and the decisions about a third one. */
struct kf_ours {
	const struct kf_merge *m;
	struct kf_arena arena;
	struct kf_toml original, ours, before;
	struct kf_ours_value *values;
	size_t nvalues;
	/* Handlers of the third that are removed as a whole; their paths, in the arena. */
	const char *const **handlers;
	size_t nhandlers;
	bool any; /* there is something of ours */
};

int kf_ours_open(const struct kf_merge *m, struct kf_ours *ret, struct kf_err *err);
void kf_ours_done(struct kf_ours *o);
/* Decide about the document @now; @known: parts that were removed before were ours. */
int kf_ours_decide(struct kf_ours *o, const struct kf_toml_doc *now, bool known,
		   struct kf_err *err);
/* Remove from @text, statement by statement, what was decided to be ours. */
int kf_ours_cut(const struct kf_ours *o, struct kf_buf *text, struct kf_err *err);
/* Whether our change wrote @line. */
bool kf_ours_wrote(const struct kf_ours *o, struct kf_text line);
/* Whether our change wrote the section that the line @header begins, with @line in it, in any
 * layout that keeps lines.  The same line may be elsewhere in a section of theirs. */
bool kf_ours_wrote_under(const struct kf_ours *o, struct kf_text header, struct kf_text line);
/* Check that @after is @now without our part, as decided, and nothing else. */
int kf_ours_judge(const struct kf_ours *o, const struct kf_toml_doc *now,
		  const struct kf_toml_doc *after, struct kf_err *err);

/* The next handler after @last (NULL: the first) in @root whose table leads to the guard or to a
 * virtual machine of ours.  @root is a file, or the configuration as the runtime understands it. */
const struct kf_toml_node *kf_ours_next(const struct kf_toml_node *root,
					const struct kf_toml_node *last);

#endif

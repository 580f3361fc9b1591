/* SPDX-License-Identifier: Apache-2.0 */
/* What is ours in a runtime's configuration, told by what it says. */
#ifndef KF_NODE_OURS_H
#define KF_NODE_OURS_H

#include "node/merge.h"
#include "toml/edit.h"

/* A value that our change had set, and what becomes of it. */
struct kf_ours_value {
	const char *path[KF_TOML_PATH_MAX + 1]; /* in our text; NULL at the end */
	const struct kf_toml_node *ours;	/* as we set it */
	const char *back; /* as TOML, what it goes back to; NULL: it is removed */
	enum { KF_OURS_KEEP, KF_OURS_BACK, KF_OURS_EITHER } fate;
};

/* Both texts of a merge, parsed, and what was decided about a third. */
struct kf_ours {
	const struct kf_merge *m;
	struct kf_arena arena;
	struct kf_toml original, ours, before;
	struct kf_ours_value *values;
	size_t nvalues;
	/* Handlers of the third that go as a whole; their paths, in the arena. */
	const char *const **handlers;
	size_t nhandlers;
	bool any; /* there is something of ours */
};

int kf_ours_open(const struct kf_merge *m, struct kf_ours *ret, struct kf_err *err);
void kf_ours_done(struct kf_ours *o);
/* Decide about the document @now; @known: what was taken out of it before was ours. */
int kf_ours_decide(struct kf_ours *o, const struct kf_toml_doc *now, bool known,
		   struct kf_err *err);
/* Take out of @text, statement by statement, what was decided to be ours. */
int kf_ours_cut(const struct kf_ours *o, struct kf_buf *text, struct kf_err *err);
/* Whether @line is one that our change brought. */
bool kf_ours_wrote(const struct kf_ours *o, struct kf_text line);
/* Whether @after is @now, about which was decided, less ours and nothing else. */
int kf_ours_judge(const struct kf_ours *o, const struct kf_toml_doc *now,
		  const struct kf_toml_doc *after, struct kf_err *err);

/* The next handler behind @last (NULL: the first) in @root, a file or what a runtime
 * makes of its files, whose table leads to the guard or to a virtual machine of ours. */
const struct kf_toml_node *kf_ours_next(const struct kf_toml_node *root,
					const struct kf_toml_node *last);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Planning containerd's configuration, in this order: read (files, the program's own account of
 * them), want (what each value is to be), write (the text of the file that changes).  Each step
 * takes what the one before made, and changes nothing of it. */
#ifndef KF_NODE_CONTAINERD_INT_H
#define KF_NODE_CONTAINERD_INT_H

#include "node/handler.h"
#include "node/merge.h"

#define KF_CONTAINERD_FILES 128

/* What is there.  Strings and texts live in the arena it was read into. */
struct kf_containerd_facts {
	const struct kf_node *node;
	struct kf_arena *arena;
	const char *program;
	unsigned major, minor;
	struct kf_runtimes recorded;
	/* The root file or what it is made from, without us; and what containerd makes of all. */
	const char *root_path;
	struct kf_text root_text;
	struct kf_toml root;
	struct kf_text dump_text;
	struct kf_toml dump;
	int64_t version;  /* of root */
	bool predecessor; /* nono-runc was in root as an earlier implementation has it */
	/* The root file and all that it imports, in the order in which containerd reads them: of
	 * two the later one decides. */
	struct kf_containerd_file {
		const char *path;
		struct kf_toml toml; /* root is NULL: it does not parse */
	} files[KF_CONTAINERD_FILES];
	size_t nfiles;
	struct kf_err unread; /* why one of them does not parse, if its code is not 0 */
	/* The file that changes: the root file, or our drop-in. */
	const char *target;
	bool dropin;
	struct kf_text before;
	bool existed;
	struct kf_text kept; /* what others wrote into our drop-in */
	/* Somebody else changed what is ours: without us it is this; NULL: nobody did. */
	struct kf_text base;
};

/* ---- read (containerd_read.c) ---- */

/* Fails for what cannot be worked with.  To be released with kf_containerd_facts_done(), also
 * after a failure. */
int kf_containerd_read(const struct kf_node *node, struct kf_arena *arena,
		       struct kf_containerd_facts *ret, struct kf_err *err);
void kf_containerd_facts_done(struct kf_containerd_facts *facts);
/* What @program makes of its configuration. */
int kf_containerd_dump(const struct kf_node *node, const char *program, struct kf_arena *arena,
		       const char **ret, size_t *ret_n, struct kf_err *err);
/* Only the files that there are, into ret->files. */
int kf_containerd_read_files(const struct kf_node *node, struct kf_arena *arena,
			     struct kf_containerd_facts *ret, struct kf_err *err);

/* ---- what is read says (containerd_facts.c) ---- */

/* The CRI plugin's name: it moved with version 3. */
const char *kf_containerd_cri(int64_t version);
/* The configuration version of @root; 0 if it is empty. */
int64_t kf_containerd_version(const struct kf_toml_node *root);
/* The table of runtimes in @root. */
const struct kf_toml_node *kf_containerd_runtimes(const struct kf_toml_node *root, int64_t version);
/* All runtimes that containerd has. */
const struct kf_toml_node *kf_containerd_all(const struct kf_containerd_facts *facts);
/* *ret: "FILE:LINE" of the last one that says something at @path (with @item in the array there,
 * if that is not NULL), or NULL. */
int kf_containerd_where(const struct kf_containerd_facts *facts, const char *const *path,
			const char *item, const char **ret, struct kf_err *err);

/* ---- want (containerd_wants.c, containerd_handlers.c) ---- */

/* What the changed file is to say. */
struct kf_containerd_wants {
	struct kf_toml_want *v;
	size_t n;
};

/* Decide what the file is to say, what containerd is to say then, and what of that is not to be
 * compared; and about each of the plan's handlers. */
int kf_containerd_want(const struct kf_containerd_facts *facts, struct kf_node_plan *plan,
		       struct kf_containerd_wants *ret, struct kf_err *err);
/* ... the part about handlers. */
int kf_containerd_want_handlers(const struct kf_containerd_facts *facts, struct kf_node_plan *plan,
				struct kf_containerd_wants *wants, struct kf_err *err);

/* ---- write (containerd_text.c) ---- */

/* Make the new text of the file that changes. */
int kf_containerd_text(const struct kf_containerd_facts *facts,
		       const struct kf_containerd_wants *wants, struct kf_node_plan *plan,
		       struct kf_err *err);

#endif

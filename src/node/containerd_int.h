/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_CONTAINERD_INT_H
#define KF_NODE_CONTAINERD_INT_H

#include "node/handler.h"

/* What the steps of planning for containerd share. */
struct kf_containerd_work {
	const struct kf_node *node;
	struct kf_node_plan *plan;
	struct kf_runtimes recorded;
	struct kf_toml root, dump; /* the file on disk; what containerd makes of it */
	const char *text;	   /* of root */
	size_t ntext;
	int64_t version;  /* of root; 0 = there are no settings in it */
	bool predecessor; /* nono-runc was in root as an earlier implementation has it */
	/* What the changed file is to say. */
	struct kf_toml_want *wants;
	size_t nwants;
};

/* The CRI plugin's name: it moved with version 3. */
const char *kf_containerd_cri(int64_t version);
/* The configuration version of @root; 0 if it is empty. */
int64_t kf_containerd_version(const struct kf_toml_node *root);
/* The table of runtimes in @root. */
const struct kf_toml_node *kf_containerd_runtimes(const struct kf_toml_node *root, int64_t version);

/* One file of the configuration: its path and what it says. */
typedef void kf_containerd_look(void *ctx, const char *path, const struct kf_toml_node *root);
/* Show @look the root file and all that it imports, in the order in which containerd reads
 * them: of two the later one decides. */
int kf_containerd_each_file(const struct kf_node *node, struct kf_arena *arena,
			    kf_containerd_look *look, void *ctx, struct kf_err *err);
/* *ret: "FILE:LINE" of the last one that says something at @path (with @item in the array there,
 * if that is not NULL), or NULL. */
int kf_containerd_where(const struct kf_node *node, struct kf_arena *arena, const char *const *path,
			const char *item, const char **ret, struct kf_err *err);

/* Want the guard for the plan's handlers, those of virtual machines, and what
 * must stay beside them. */
int kf_containerd_plan_handlers(struct kf_containerd_work *w, struct kf_err *err);

/* Read and parse the root file @path as it is without us. */
int kf_containerd_read_root(struct kf_containerd_work *w, const char *path, size_t *ret_n,
			    struct kf_err *err);
/* Whether what @path holds can be worked with. */
int kf_containerd_check_version(struct kf_containerd_work *w, const char *path, struct kf_err *err);
int kf_containerd_check_old_name(struct kf_containerd_work *w, const char *path,
				 struct kf_err *err);
/* Whether the root file itself changes, not a drop-in beside it. */
bool kf_containerd_edits_root(const struct kf_containerd_work *w);
/* Choose the file that changes, and make its new text from the wants. */
int kf_containerd_make_text(struct kf_containerd_work *w, const char *root, size_t nroot,
			    struct kf_err *err);

#endif

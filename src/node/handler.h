/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapters of all runtimes share about handlers and their guards. */
#ifndef KF_NODE_HANDLER_H
#define KF_NODE_HANDLER_H

#include "config/runtime_text.h"
#include "node/node.h"

#define KF_NODE_BINDIR	     "/opt/kubefence/bin"
/* Pod annotations that the guard must see in config.json. */
#define KF_NODE_ANNOTATIONS  "nono.sh/*"
/* containerd's plugin that pulls images, since version 3: it has a table of its own about runtimes,
 * runtime_platforms. */
#define KF_CONTAINERD_IMAGES "io.containerd.cri.v1.images"

/* The runtimes that were recorded when the guard was installed; an empty list if it never was. */
int kf_node_recorded(const struct kf_host *host, struct kf_runtimes *ret, struct kf_err *err);

/* The file that is the guard of @handler: it learns the handler from its name. */
const char *kf_node_guard_path(struct kf_arena *arena, const char *handler);
/* The handler whose guard @path is, NULL if it is none. */
const char *kf_node_guard_handler(const char *path);

/* The absolute path on the host of the runtime that a configuration names @binary ("" = runc).  If
 * that is a guard, it is the runtime behind it. */
int kf_node_real_runtime(const struct kf_node *node, const struct kf_runtimes *recorded,
			 const char *binary, struct kf_arena *arena, const char **ret,
			 struct kf_err *err);

/* Append to a plan's wants; @value and the keys, which are borrowed, end in NULL. */
int kf_node_want(struct kf_node_plan *plan, struct kf_toml_want **list, size_t *n,
		 const char *value, const char *const *path, struct kf_err *err);

/* @s as TOML, in the plan's arena. */
const char *kf_node_quote(struct kf_arena *arena, const char *s);
/* The value @n of @text as TOML on one line, in the arena. */
const char *kf_node_literal(struct kf_arena *arena, const char *text, const struct kf_toml_node *n);
/* The array of strings @list (may be NULL) with @item in it, as TOML. */
const char *kf_node_array_with(struct kf_arena *arena, const struct kf_toml_node *list,
			       const char *item);
/* Whether the journal says that we made this handler. */
bool kf_node_created(const struct kf_journal *journal, const char *handler);
/* Whether @handler is, or will be, one of ours for virtual machines. */
bool kf_node_is_vm(const struct kf_node *node, const char *handler);
/* Why we make no guard for @handler, which the runtime does not know yet: Kata has to make that
 * handler.  NULL: we make it. */
const char *kf_node_not_ours(const char *handler);

#endif

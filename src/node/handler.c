/* SPDX-License-Identifier: Apache-2.0 */
/* What all runtimes have in common about handlers: the guard's file of a handler, the real runtime
 * behind it, wants and values as TOML.  The tables of a runtime's configuration are in
 * containerd*.c and crio*.c. */
#include "node/handler.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define WANTS_MAX 512

int kf_node_recorded(const struct kf_host *host, struct kf_runtimes *ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n;

	if (kf_host_read(host, KF_RUNTIME_TEXT_PATH, KF_LIMIT_CONFIG, &text, &n, err) < 0) {
		if (err->code != ENOENT)
			return -1;
		*ret = (struct kf_runtimes){0};
		return 0;
	}
	if (kf_runtimes_parse(text, n, ret, err) < 0)
		return kf_fail_wrap(err, "'%s'", KF_RUNTIME_TEXT_PATH);
	return 0;
}

const char *kf_node_guard_path(struct kf_arena *arena, const char *handler)
{
	if (strcmp(handler, KF_NODE_HANDLER) == 0)
		return KF_NODE_GUARD;
	return kf_arena_printf(arena, "%s.%s", KF_NODE_GUARD, handler);
}

const char *kf_node_guard_handler(const char *path)
{
	const size_t n = strlen(KF_NODE_GUARD);

	if (strcmp(path, KF_NODE_GUARD) == 0)
		return KF_NODE_HANDLER;
	return strncmp(path, KF_NODE_GUARD ".", n + 1) == 0 ? path + n + 1 : NULL;
}

static bool try_dir(const struct kf_node *node, const char *dir, const char *name,
		    struct kf_arena *arena, const char **ret)
{
	const char *path = kf_arena_printf(arena, "%s/%s", dir, name);

	if (!path || !kf_host_exists(&node->host, path))
		return false;
	*ret = path;
	return true;
}

int kf_node_real_runtime(const struct kf_node *node, const struct kf_runtimes *recorded,
			 const char *binary, struct kf_arena *arena, const char **ret,
			 struct kf_err *err)
{
	static const char *const usual[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					    "/usr/bin",	       "/sbin",		 "/bin"};
	const char *handler = kf_node_guard_handler(binary), *path;

	if (handler) {
		path = kf_runtimes_find(recorded, handler);
		if (!path)
			return kf_fail(
				err, ENOENT,
				"the guard '%s' is configured, but '%s' does not tell what is "
				"behind it; remove its BinaryName and install again",
				binary, KF_RUNTIME_TEXT_PATH);
		*ret = kf_arena_strdup(arena, path);
		return *ret ? 0 : kf_fail_nomem(err, "plan");
	}
	if (!*binary)
		binary = "runc";
	if (!strchr(binary, '/')) {
		/* Look in the distribution's own directories first. */
		for (const char *const *d = node->distro->bindirs; *d; d++)
			if (try_dir(node, *d, binary, arena, ret))
				return 0;
		for (size_t i = 0; i < KF_ARRAY_SIZE(usual); i++)
			if (try_dir(node, usual[i], binary, arena, ret))
				return 0;
		return kf_fail(err, ENOENT,
			       "runtime '%s' is not in the usual places of the host; install it or "
			       "set the handler's BinaryName to its path",
			       binary);
	}
	if (binary[0] != '/' || !kf_host_exists(&node->host, binary))
		return kf_fail(err, ENOENT, "runtime '%s' does not exist on the host", binary);
	*ret = kf_arena_strdup(arena, binary);
	return *ret ? 0 : kf_fail_nomem(err, "plan");
}

int kf_node_want(struct kf_node_plan *plan, struct kf_toml_want **list, size_t *n,
		 const char *value, const char *const *path, struct kf_err *err)
{
	struct kf_toml_want *w;

	if (!*list)
		*list = kf_arena_calloc(&plan->arena, WANTS_MAX, sizeof(**list));
	if (!*list)
		return kf_fail_nomem(err, "plan");
	if (*n == WANTS_MAX)
		return kf_fail(err, E2BIG, "plan: more than %d values", WANTS_MAX);
	w = &(*list)[*n];
	w->value = value;
	for (size_t i = 0; path[i]; i++) {
		if (i == KF_TOML_PATH_MAX)
			return kf_fail(err, E2BIG, "plan: path of more than %d keys",
				       KF_TOML_PATH_MAX);
		w->path[i] = path[i];
	}
	++*n;
	return 0;
}

const char *kf_node_quote(struct kf_arena *arena, const char *s)
{
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *out;

	kf_toml_put_string(&buf, s);
	out = buf.failed ? NULL : kf_arena_strdup(arena, buf.p);
	kf_buf_done(&buf);
	return out;
}

const char *kf_node_literal(struct kf_arena *arena, const char *text, const struct kf_toml_node *n)
{
	if (n->kind == KF_TOML_STRING)
		return kf_node_quote(arena, n->string);
	return kf_arena_printf(arena, "%.*s", (int)(n->end.offset - n->begin.offset),
			       text + n->begin.offset);
}

const char *kf_node_array_with(struct kf_arena *arena, const struct kf_toml_node *list,
			       const char *item)
{
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	bool there = false;
	const char *out;

	kf_buf_adds(&buf, "[");
	for (const struct kf_toml_node *n = list ? list->first_child : NULL; n; n = n->next) {
		if (n->kind != KF_TOML_STRING)
			continue;
		kf_buf_adds(&buf, buf.n > 1 ? ", " : "");
		kf_toml_put_string(&buf, n->string);
		there = there || strcmp(n->string, item) == 0;
	}
	if (!there) {
		kf_buf_adds(&buf, buf.n > 1 ? ", " : "");
		kf_toml_put_string(&buf, item);
	}
	kf_buf_adds(&buf, "]");
	out = buf.failed ? NULL : kf_arena_strdup(arena, buf.p);
	kf_buf_done(&buf);
	return out;
}

static bool has_vm(const struct kf_journal_vm *vms, size_t n, const char *handler)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(vms[i].name, handler) == 0)
			return true;
	return false;
}

bool kf_node_created(const struct kf_journal *journal, const char *handler)
{
	for (size_t i = 0; i < journal->nhandlers; i++)
		if (strcmp(journal->handlers[i].name, handler) == 0)
			return journal->handlers[i].created;
	return has_vm(journal->vms, journal->nvms, handler);
}

bool kf_node_is_vm(const struct kf_node *node, const char *handler)
{
	return has_vm(node->journal.vms, node->journal.nvms, handler) ||
	       has_vm(node->options->vms, node->options->nvms, handler);
}

const char *kf_node_not_ours(const char *handler)
{
	/* If we made it from runc's handler, pods that should run in a machine would run without
	 * one. */
	return strncmp(handler, "kata", 4) == 0
		       ? "is Kata's and not registered yet; kata-deploy or 'kubefence kata "
			 "install' does that"
		       : NULL;
}

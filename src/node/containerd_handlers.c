/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: what its table of runtimes is to say of our handlers.  Nothing is read from the node
 * here but where the runtime behind a handler lies. */
#include "base/cleanup.h"
#include "base/path.h"
#include "node/containerd_int.h"

#include <string.h>

#define RUNC_TYPE "io.containerd.runc.v2"

/* What the steps below fill. */
struct handler_wants {
	const struct kf_containerd_facts *f;
	struct kf_node_plan *plan;
	struct kf_containerd_wants *wants;
};

static const char *type_of(const struct kf_toml_node *runtime)
{
	return kf_toml_string(runtime, KF_TOML_PATH("runtime_type"), "");
}

static bool is_runc(const struct kf_toml_node *runtime)
{
	return strcmp(type_of(runtime), RUNC_TYPE) == 0;
}

/* One without a type that has runc's option: who wrote it relied on a default that containerd
 * does not have, but what it is to start is clear. */
static bool is_untyped_runc(const struct kf_toml_node *runtime)
{
	return !*type_of(runtime) &&
	       *kf_toml_string(runtime, KF_TOML_PATH("options", "BinaryName"), "");
}

/* The value @n says nothing that its absence does not say. */
static bool is_zero(const struct kf_toml_node *n)
{
	switch (n->kind) {
	case KF_TOML_STRING:
		return n->nstring == 0;
	case KF_TOML_INTEGER:
		return n->integer == 0;
	case KF_TOML_BOOL:
		return !n->boolean;
	default:
		return n->nchildren == 0;
	}
}

/* Want @value at runtimes.HANDLER.KEY or .HANDLER.options.KEY, both for the
 * file and for what containerd is to say afterwards. */
static int want_runtime(const struct handler_wants *w, const char *handler, bool option,
			const char *key, const char *value, struct kf_err *err)
{
	struct kf_node_plan *p = w->plan;
	const char *file = kf_containerd_cri(w->f->version),
		   *said = kf_containerd_cri(kf_containerd_version(w->f->dump.root));
	const char *path[] = {"plugins",	   file,    "containerd",
			      "runtimes",	   handler, option ? "options" : key,
			      option ? key : NULL, NULL};

	key = kf_arena_strdup(&p->arena, key); /* the documents go */
	if (!value || !key)
		return kf_fail_nomem(err, "plan");
	path[option ? 6 : 5] = key;
	if (kf_node_want(p, &w->wants->v, &w->wants->n, value, path, err) < 0)
		return -1;
	path[1] = said;
	return kf_node_want(p, &p->wants, &p->nwants, value, path, err);
}

/* What a handler of ours does not take over from the one that it is made from. */
static const char *const of_runc[] = {"runtime_type", "pod_annotations", "container_annotations",
				      "BinaryName", NULL};
static const char *const of_vm[] = {"runtime_type",
				    "runtime_path",
				    "pod_annotations",
				    "container_annotations",
				    "privileged_without_host_devices",
				    "ConfigPath",
				    NULL};

static bool is_listed(const char *const *list, const char *s)
{
	while (*list && strcmp(*list, s) != 0)
		list++;
	return *list != NULL;
}

/* Copy the scalars of @from, a runtime as containerd dumps it, to @handler, less
 * those that are @ours; everything if that is NULL. */
static int copy_runtime(const struct handler_wants *w, const char *handler,
			const struct kf_toml_node *from, const char *const *ours,
			struct kf_err *err)
{
	for (const struct kf_toml_node *n = from->first_child; n; n = n->next) {
		bool skip = n->kind == KF_TOML_TABLE ||
			    (ours && (is_zero(n) || is_listed(ours, n->key)));

		/* The default, whose key changed its name between versions. */
		if (ours && n->kind == KF_TOML_STRING && strcmp(n->string, "podsandbox") == 0)
			skip = true;
		if (!skip &&
		    want_runtime(w, handler, false, n->key,
				 kf_node_literal(w->f->arena, w->f->dump_text.p, n), err) < 0)
			return -1;
	}
	from = kf_toml_get(from, "options");
	for (const struct kf_toml_node *n = from ? from->first_child : NULL; n; n = n->next) {
		if ((ours && (is_zero(n) || is_listed(ours, n->key))) || n->kind == KF_TOML_TABLE)
			continue;
		if (want_runtime(w, handler, true, n->key,
				 kf_node_literal(w->f->arena, w->f->dump_text.p, n), err) < 0)
			return -1;
	}
	return 0;
}

/* Refuse runtime @name, @what, which has no type. */
static int fail_untyped(const struct handler_wants *w, const char *name, const char *what,
			struct kf_err *err)
{
	const char *cri = kf_containerd_cri(kf_containerd_version(w->f->dump.root)), *at = NULL;

	if (kf_containerd_where(w->f, KF_TOML_PATH("plugins", cri, "containerd", "runtimes", name),
				NULL, &at, err) < 0)
		return -1;
	return kf_fail(err, ENOTSUP,
		       "%s: %s '%s' has no runtime_type, so containerd can start nothing with it; "
		       "set runtime_type there (\"" RUNC_TYPE "\" for runc and its kind)",
		       at ? at : w->f->node->distro->config, what, name);
}

/* The runtime whose options a new handler copies: the default one if it is of
 * runc's type, else one called runc, else any.  A default that nobody can tell the type of is
 * an error: its pods may need what runc does not give them. */
static int template_of(const struct handler_wants *w, const struct kf_toml_node **ret,
		       struct kf_err *err)
{
	const struct kf_toml_node *all = kf_containerd_all(w->f), *n;
	const char *name = kf_toml_string(
		w->f->dump.root,
		KF_TOML_PATH("plugins", kf_containerd_cri(kf_containerd_version(w->f->dump.root)),
			     "containerd", "default_runtime_name"),
		"runc");

	n = kf_toml_get(all, name);
	if (n && !*type_of(n) && !is_untyped_runc(n))
		return fail_untyped(w, name, "the default runtime", err);
	if (!n || (!is_runc(n) && !is_untyped_runc(n)))
		n = kf_toml_get(all, "runc");
	if (!n || (!is_runc(n) && !is_untyped_runc(n)))
		for (n = all ? all->first_child : NULL;
		     n && (!is_runc(n) || kf_node_created(&w->f->node->journal, n->key));
		     n = n->next)
			;
	*ret = n;
	return 0;
}

static int ignore_handler(const struct handler_wants *w, const char *name, struct kf_err *err)
{
	return kf_node_want(w->plan, &w->plan->ignore, &w->plan->nignore, NULL,
			    KF_TOML_PATH("plugins",
					 kf_containerd_cri(kf_containerd_version(w->f->dump.root)),
					 "containerd", "runtimes", name),
			    err);
}

/* Whether handler @name is there because of us, or of an earlier implementation: as that made
 * it, without options, its containers would be outside of systemd's cgroups. */
static bool is_made_anew(const struct handler_wants *w, const char *name)
{
	return kf_node_created(&w->f->node->journal, name) ||
	       (w->f->predecessor && strcmp(name, KF_NODE_HANDLER) == 0);
}

static int plan_handler(const struct handler_wants *w, struct kf_node_handler *h,
			struct kf_err *err)
{
	struct kf_arena *arena = w->f->arena;
	const struct kf_toml_node *all = kf_containerd_all(w->f);
	const struct kf_toml_node *there = kf_toml_get(all, h->name), *from;

	h->created = !there || is_made_anew(w, h->name);
	if (!there && (h->why = kf_node_not_ours(h->name)) != NULL) {
		h->created = false;
		return 0;
	}
	if (there && !*type_of(there) && !h->created)
		return fail_untyped(w, h->name, "handler", err);
	if (there && !is_runc(there) && *type_of(there)) {
		h->created = false;
		h->why = kf_arena_printf(arena, "is of type '%s', the plugin alone sandboxes it",
					 kf_toml_string(there, KF_TOML_PATH("runtime_type"), "?"));
		return h->why ? 0 : kf_fail_nomem(err, "plan");
	}
	from = there;
	if (h->created && template_of(w, &from, err) < 0)
		return -1;
	if (!from)
		return kf_fail(err, ENOENT,
			       "handler '%s': there is no runtime of type " RUNC_TYPE
			       " in containerd's configuration to build it on; add one",
			       h->name);
	if (kf_node_real_runtime(w->f->node, &w->f->recorded,
				 kf_toml_string(from, KF_TOML_PATH("options", "BinaryName"), ""),
				 arena, &h->real, err) < 0)
		return kf_fail_wrap(err, "handler '%s'", h->name);
	h->guard = kf_node_guard_path(arena, h->name);
	if (!h->guard)
		return kf_fail_nomem(err, "plan");
	if (h->created &&
	    (ignore_handler(w, h->name, err) < 0 ||
	     want_runtime(w, h->name, false, "runtime_type", "\"" RUNC_TYPE "\"", err) < 0))
		return -1;
	if (want_runtime(w, h->name, false, "pod_annotations",
			 kf_node_array_with(arena, kf_toml_get(from, "pod_annotations"),
					    KF_NODE_ANNOTATIONS),
			 err) < 0 ||
	    want_runtime(w, h->name, false, "container_annotations",
			 kf_node_array_with(arena, kf_toml_get(from, "container_annotations"),
					    KF_NODE_ANNOTATIONS),
			 err) < 0)
		return -1;
	if (h->created && copy_runtime(w, h->name, from, of_runc, err) < 0)
		return -1;
	return want_runtime(w, h->name, true, "BinaryName", kf_node_quote(arena, h->guard), err);
}

/* Kata's own handler for the configuration that @vm's was made from: its
 * snapshotter and the like are this node's.  NULL if there is none. */
static const struct kf_toml_node *kata_of(const struct handler_wants *w,
					  const struct kf_journal_vm *vm)
{
	const struct kf_toml_node *all = kf_containerd_all(w->f);

	for (const struct kf_toml_node *n = all ? all->first_child : NULL; n; n = n->next) {
		const char *config = kf_toml_string(n, KF_TOML_PATH("options", "ConfigPath"), "");

		if (!kf_node_is_vm(w->f->node, n->key) &&
		    strcmp(kf_toml_string(n, KF_TOML_PATH("runtime_path"), ""), vm->shim) == 0 &&
		    strcmp(kf_path_base(config), kf_path_base(vm->config)) == 0)
			return n;
	}
	return NULL;
}

/* Want for @vm what the images plugin says of Kata's handler @from: the snapshotter of the
 * runtime's own table is not enough for it to unpack images for that. */
static int plan_platform(const struct handler_wants *w, const struct kf_journal_vm *vm,
			 const struct kf_toml_node *from, struct kf_err *err)
{
	const struct kf_toml_node *platform =
		kf_toml_find(w->f->dump.root, KF_TOML_PATH("plugins", KF_CONTAINERD_IMAGES,
							   "runtime_platforms", from->key));
	struct kf_node_plan *p = w->plan;

	if (w->f->version < 3)
		return 0;
	for (const struct kf_toml_node *n = platform ? platform->first_child : NULL; n;
	     n = n->next) {
		const char *key = kf_arena_strdup(&p->arena, n->key);
		const char *value = kf_node_literal(w->f->arena, w->f->dump_text.p, n);
		const char *const path[] = {
			"plugins", KF_CONTAINERD_IMAGES, "runtime_platforms", vm->name, key, NULL};

		if (n->kind == KF_TOML_TABLE || is_zero(n))
			continue;
		if (!key || !value)
			return kf_fail_nomem(err, "plan");
		if (kf_node_want(p, &w->wants->v, &w->wants->n, value, path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, value, path, err) < 0)
			return -1;
	}
	return 0;
}

static int ignore_platform(const struct handler_wants *w, const char *name, struct kf_err *err)
{
	return kf_node_want(
		w->plan, &w->plan->ignore, &w->plan->nignore, NULL,
		KF_TOML_PATH("plugins", KF_CONTAINERD_IMAGES, "runtime_platforms", name), err);
}

static int plan_vm(const struct handler_wants *w, const struct kf_journal_vm *vm,
		   struct kf_err *err)
{
	struct kf_arena *arena = w->f->arena;
	const struct kf_toml_node *from = kata_of(w, vm);
	const struct {
		bool option;
		const char *key, *value;
	} values[] = {
		{false, "runtime_type",
		 kf_arena_printf(arena, "\"io.containerd.%s.v2\"", vm->name)},
		{false, "runtime_path", kf_node_quote(arena, vm->shim)},
		/* What a pod could talk the machine out of. */
		{false, "pod_annotations", "[]"},
		{false, "container_annotations", "[]"},
		{false, "privileged_without_host_devices", "true"},
		{true, "ConfigPath", kf_node_quote(arena, vm->config)},
	};

	if (ignore_handler(w, vm->name, err) < 0 || ignore_platform(w, vm->name, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++)
		if (want_runtime(w, vm->name, values[i].option, values[i].key, values[i].value,
				 err) < 0)
			return -1;
	if (!from)
		return 0;
	return copy_runtime(w, vm->name, from, of_vm, err) < 0 ? -1
							       : plan_platform(w, vm, from, err);
}

/* containerd 1.x replaces the built-in table of runtimes by the file's: a file
 * that relied on the built-in one must spell it out once it has a table. */
static int keep_builtin_runtimes(const struct handler_wants *w, struct kf_err *err)
{
	const struct kf_toml_node *file = kf_containerd_runtimes(w->f->root.root, w->f->version);
	const struct kf_toml_node *all = kf_containerd_all(w->f);

	if (w->f->major >= 2)
		return 0;
	for (const struct kf_toml_node *n = all ? all->first_child : NULL; n; n = n->next) {
		const char *name = kf_arena_strdup(w->f->arena, n->key);

		if (!name)
			return kf_fail_nomem(err, "plan");
		if (!kf_toml_get(file, name) && !is_made_anew(w, name) &&
		    copy_runtime(w, name, n, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int kf_containerd_want_handlers(const struct kf_containerd_facts *facts, struct kf_node_plan *plan,
				struct kf_containerd_wants *wants, struct kf_err *err)
{
	const struct handler_wants want = {facts, plan, wants}, *w = &want;
	const struct kf_journal *j = &facts->node->journal;

	if (keep_builtin_runtimes(w, err) < 0)
		return -1;
	/* Handlers that lose the guard in this run. */
	for (size_t i = 0; i < j->nhandlers; i++)
		if (ignore_handler(w, j->handlers[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < j->nvms; i++)
		if (ignore_handler(w, j->vms[i].name, err) < 0 ||
		    ignore_platform(w, j->vms[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < plan->nhandlers; i++)
		if (plan_handler(w, &plan->handlers[i], err) < 0)
			return -1;
	for (size_t i = 0; i < plan->nvms; i++)
		if (plan_vm(w, &plan->vms[i], err) < 0)
			return -1;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: what to write where, for configuration versions 2, 3 and 4. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "node/handler.h"
#include "node/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NRI	     "io.containerd.nri.v1.nri"
#define RUNC_TYPE    "io.containerd.runc.v2"
/* Read after (and so winning over) what other tools leave in the directory. */
#define DROPIN	     "90-kubefence.toml"
#define DUMP_TIMEOUT 20000

static const char dropin_head[] =
	"# Written by 'kubefence node install', removed by 'kubefence node uninstall'.\n";

/* What the steps of planning share. */
struct work {
	const struct kf_node *node;
	struct kf_node_plan *plan;
	struct kf_runtimes recorded;
	struct kf_toml root, dump; /* the file on disk; what containerd makes of it */
	const char *text;	   /* of root */
	int64_t version;	   /* of root; 0 = there are no settings in it */
	/* What the changed file is to say. */
	struct kf_toml_want *wants;
	size_t nwants;
};

/* The CRI plugin's name moved with version 3. */
static const char *cri_plugin(int64_t version)
{
	return version >= 3 ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
}

static int64_t version_of(const struct kf_toml_node *root)
{
	const struct kf_toml_node *v = kf_toml_get(root, "version");

	return v && v->kind == KF_TOML_INTEGER ? v->integer : root->nchildren ? 1 : 0;
}

/* "containerd github.com/containerd/containerd/v2 v2.4.2 REV" */
static int find_version(struct work *w, struct kf_err *err)
{
	const char *argv[] = {w->plan->program, "--version", NULL};
	struct kf_run run;
	const char *v;
	bool ok;

	if (kf_run_host(&w->node->host, argv, DUMP_TIMEOUT, 4096, &run, err) < 0)
		return -1;
	v = strstr(run.out, " v");
	if (!v || sscanf(v, " v%u.%u", &w->plan->major, &w->plan->minor) != 2) {
		v = strstr(run.out, " 1."); /* distributions drop the "v" */
		v = v ? v : strstr(run.out, " 2.");
		ok = v && sscanf(v, " %u.%u", &w->plan->major, &w->plan->minor) == 2;
	} else {
		ok = true;
	}
	kf_run_done(&run);
	if (!ok)
		return kf_fail(err, EINVAL, "'%s --version' does not tell a version",
			       w->plan->program);
	if (w->plan->major < 1 || (w->plan->major == 1 && w->plan->minor < 7))
		return kf_fail(
			err, ENOTSUP,
			"containerd %u.%u is too old: NRI came with 1.7, sandboxing by plugin "
			"with 2.2; upgrade containerd",
			w->plan->major, w->plan->minor);
	return 0;
}

/* What containerd makes of its configuration, in the plan's arena. */
static int dump(const struct kf_node *node, const char *program, struct kf_arena *arena,
		const char **ret, size_t *ret_n, struct kf_err *err)
{
	const char *argv[] = {program, "--config", node->distro->config, "config", "dump", NULL};
	/* Without a file the built-in configuration counts (1.7 cannot dump it). */
	const char *plain[] = {program, "config", "default", NULL};
	bool exists = kf_host_exists(&node->host, node->distro->config);
	struct kf_run run;
	char *copy;
	int r = 0;

	if (kf_run_host(&node->host, exists ? argv : plain, DUMP_TIMEOUT, KF_LIMIT_CONFIG, &run,
			err) < 0)
		return -1;
	copy = kf_arena_alloc(arena, run.n + 1);
	if (run.status != 0)
		r = kf_fail(err, EINVAL, "containerd does not accept '%s': %s",
			    node->distro->config, run.why);
	else if (!copy)
		r = kf_fail_nomem(err, "configuration dump");
	if (r == 0) {
		memcpy(copy, run.out, run.n);
		*ret = copy;
		*ret_n = run.n;
	}
	kf_run_done(&run);
	return r;
}

/* The table of runtimes in @root. */
static const struct kf_toml_node *runtimes(const struct kf_toml_node *root, int64_t version)
{
	return kf_toml_find(root,
			    KF_TOML_PATH("plugins", cri_plugin(version), "containerd", "runtimes"));
}

static bool is_runc(const struct kf_toml_node *runtime)
{
	return strcmp(kf_toml_string(runtime, KF_TOML_PATH("runtime_type"), ""), RUNC_TYPE) == 0;
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
static int want_runtime(struct work *w, const char *handler, bool option, const char *key,
			const char *value, struct kf_err *err)
{
	struct kf_node_plan *p = w->plan;
	const char *file = cri_plugin(w->version), *said = cri_plugin(version_of(w->dump.root));
	const char *path[] = {"plugins",	   file,    "containerd",
			      "runtimes",	   handler, option ? "options" : key,
			      option ? key : NULL, NULL};

	key = kf_arena_strdup(&p->arena, key); /* the documents go */
	if (!value || !key)
		return kf_fail_nomem(err, "plan");
	path[option ? 6 : 5] = key;
	if (kf_node_want(p, &w->wants, &w->nwants, value, path, err) < 0)
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

static bool listed(const char *const *list, const char *s)
{
	while (*list && strcmp(*list, s) != 0)
		list++;
	return *list != NULL;
}

/* Copy the scalars of @from, a runtime as containerd dumps it, to @handler, less
 * those that are @ours; everything if that is NULL. */
static int copy_runtime(struct work *w, const char *handler, const struct kf_toml_node *from,
			const char *const *ours, struct kf_err *err)
{
	for (const struct kf_toml_node *n = from->first_child; n; n = n->next) {
		bool skip =
			n->kind == KF_TOML_TABLE || (ours && (is_zero(n) || listed(ours, n->key)));

		/* The default, whose key changed its name between versions. */
		if (ours && n->kind == KF_TOML_STRING && strcmp(n->string, "podsandbox") == 0)
			skip = true;
		if (!skip &&
		    want_runtime(w, handler, false, n->key,
				 kf_node_literal(&w->plan->arena, w->plan->effective, n), err) < 0)
			return -1;
	}
	from = kf_toml_get(from, "options");
	for (const struct kf_toml_node *n = from ? from->first_child : NULL; n; n = n->next) {
		if ((ours && (is_zero(n) || listed(ours, n->key))) || n->kind == KF_TOML_TABLE)
			continue;
		if (want_runtime(w, handler, true, n->key,
				 kf_node_literal(&w->plan->arena, w->plan->effective, n), err) < 0)
			return -1;
	}
	return 0;
}

/* The runtime whose options a new handler copies: the default one if it is of
 * runc's type, else one called runc, else any. */
static const struct kf_toml_node *template_of(const struct work *w)
{
	const struct kf_toml_node *all = runtimes(w->dump.root, version_of(w->dump.root)), *n;
	const char *name =
		kf_toml_string(w->dump.root,
			       KF_TOML_PATH("plugins", cri_plugin(version_of(w->dump.root)),
					    "containerd", "default_runtime_name"),
			       "runc");

	n = kf_toml_get(all, name);
	if (n && is_runc(n))
		return n;
	n = kf_toml_get(all, "runc");
	if (n && is_runc(n))
		return n;
	for (n = all ? all->first_child : NULL; n; n = n->next)
		if (is_runc(n) && !kf_node_created(&w->node->journal, n->key))
			return n;
	return NULL;
}

static int ignore_handler(struct work *w, const char *name, struct kf_err *err)
{
	return kf_node_want(w->plan, &w->plan->ignore, &w->plan->nignore, NULL,
			    KF_TOML_PATH("plugins", cri_plugin(version_of(w->dump.root)),
					 "containerd", "runtimes", name),
			    err);
}

static int plan_handler(struct work *w, struct kf_node_handler *h, struct kf_err *err)
{
	struct kf_arena *arena = &w->plan->arena;
	const struct kf_toml_node *all = runtimes(w->dump.root, version_of(w->dump.root));
	const struct kf_toml_node *there = kf_toml_get(all, h->name), *from;

	h->created = !there || kf_node_created(&w->node->journal, h->name);
	if (!there && (h->why = kf_node_not_ours(h->name)) != NULL) {
		h->created = false;
		return 0;
	}
	if (there && !is_runc(there)) {
		h->created = false;
		h->why = kf_arena_printf(arena, "is of type '%s', the plugin alone sandboxes it",
					 kf_toml_string(there, KF_TOML_PATH("runtime_type"), "?"));
		return h->why ? 0 : kf_fail_nomem(err, "plan");
	}
	from = h->created ? template_of(w) : there;
	if (!from)
		return kf_fail(err, ENOENT,
			       "handler '%s': there is no runtime of type " RUNC_TYPE
			       " in containerd's configuration to build it on; add one",
			       h->name);
	if (kf_node_real_runtime(w->node, &w->recorded,
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
static const struct kf_toml_node *kata_of(const struct work *w, const struct kf_journal_vm *vm)
{
	const struct kf_toml_node *all = runtimes(w->dump.root, version_of(w->dump.root));

	for (const struct kf_toml_node *n = all ? all->first_child : NULL; n; n = n->next) {
		const char *config = kf_toml_string(n, KF_TOML_PATH("options", "ConfigPath"), "");

		if (!kf_node_is_vm(w->node, n->key) &&
		    strcmp(kf_toml_string(n, KF_TOML_PATH("runtime_path"), ""), vm->shim) == 0 &&
		    strcmp(kf_path_base(config), kf_path_base(vm->config)) == 0)
			return n;
	}
	return NULL;
}

static int plan_vm(struct work *w, const struct kf_journal_vm *vm, struct kf_err *err)
{
	struct kf_arena *arena = &w->plan->arena;
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

	if (ignore_handler(w, vm->name, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++)
		if (want_runtime(w, vm->name, values[i].option, values[i].key, values[i].value,
				 err) < 0)
			return -1;
	return from ? copy_runtime(w, vm->name, from, of_vm, err) : 0;
}

/* containerd 1.x replaces the built-in table of runtimes by the file's: a file
 * that relied on the built-in one must spell it out once it has a table. */
static int keep_builtin_runtimes(struct work *w, struct kf_err *err)
{
	const struct kf_toml_node *file = runtimes(w->root.root, w->version);
	const struct kf_toml_node *all = runtimes(w->dump.root, version_of(w->dump.root));

	if (w->plan->major >= 2)
		return 0;
	for (const struct kf_toml_node *n = all ? all->first_child : NULL; n; n = n->next) {
		const char *name = kf_arena_strdup(&w->plan->arena, n->key);

		if (!name)
			return kf_fail_nomem(err, "plan");
		if (!kf_toml_get(file, name) && !kf_node_created(&w->node->journal, name) &&
		    copy_runtime(w, name, n, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* @path, or what is configured, as TOML; "" if nothing is. */
static const char *nri_path(struct work *w, const char *key, const char *path)
{
	if (!path)
		path = kf_toml_string(w->dump.root, KF_TOML_PATH("plugins", NRI, key), NULL);
	return path ? kf_node_quote(&w->plan->arena, path) : "";
}

static int plan_nri(struct work *w, struct kf_err *err)
{
	const struct kf_node_options *o = w->node->options;
	struct kf_node_plan *p = w->plan;
	const struct {
		const char *key, *value;
	} values[] = {
		{"disable", "false"},
		{"disable_connections", "false"},
		{"socket_path", nri_path(w, "socket_path", o->nri_socket)},
		{"plugin_path", nri_path(w, "plugin_path", o->nri_plugins)},
		{"plugin_config_path", nri_path(w, "plugin_config_path", o->nri_config)},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++) {
		const char *const path[] = {"plugins", NRI, values[i].key, NULL};

		if (!values[i].value)
			return kf_fail_nomem(err, "plan");
		if (!*values[i].value)
			continue;
		if (kf_node_want(p, &w->wants, &w->nwants, values[i].value, path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, values[i].value, path, err) < 0)
			return -1;
	}
	/* The validator came with NRI 0.10, containerd 2.2. */
	if (p->major > 2 || (p->major == 2 && p->minor >= 2)) {
		const char *const path[] = {"plugins", NRI, "default_validator", "enable", NULL};

		if (kf_node_want(p, &w->wants, &w->nwants, "true", path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, "true", path, err) < 0)
			return -1;
	}
	return 0;
}

/* The directory whose files the root file imports and the version merges, or
 * NULL.  If a file that is imported by its name is missing, containerd silently
 * imports nothing at all. */
static const char *dropin_dir(const struct work *w)
{
	const struct kf_toml_node *imports = kf_toml_get(w->root.root, "imports");
	const char *found = NULL;

	/* 1.x does not merge, it replaces each plugin's whole table. */
	if (w->plan->major < 2 || w->version < 3)
		return NULL;
	for (const struct kf_toml_node *n = imports ? imports->first_child : NULL; n; n = n->next) {
		const char *star = n->kind == KF_TOML_STRING ? strchr(n->string, '*') : NULL;

		if (!star && n->kind == KF_TOML_STRING &&
		    !kf_host_exists(&w->node->host, n->string))
			return NULL;
		if (star && !found && n->string[0] == '/' && star[-1] == '/' &&
		    strcmp(star, "*.toml") == 0)
			found = kf_arena_printf(&w->plan->arena, "%.*s",
						(int)(star - 1 - n->string), n->string);
	}
	return found;
}

/* Contents of @path in the plan's arena; *ret_exists false and "" if there is none. */
static int slurp(struct work *w, const char *path, const char **ret, size_t *ret_n,
		 bool *ret_exists, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char *copy;
	size_t n = 0;

	*ret_exists = true;
	if (kf_host_read(&w->node->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0) {
		if (err->code != ENOENT)
			return -1;
		*ret_exists = false;
		n = 0;
	}
	copy = kf_arena_alloc(&w->plan->arena, n + 1);
	if (!copy)
		return kf_fail_nomem(err, path);
	if (n)
		memcpy(copy, text, n);
	*ret = copy;
	*ret_n = n;
	return 0;
}

/* Read the root file as it is without us: the kept original, as long as what
 * is there is what we made of it. */
static int read_root(struct work *w, const char *path, size_t *ret_n, struct kf_err *err)
{
	const struct kf_journal *j = &w->node->journal;
	KF_FREE char *kept = NULL;
	kf_digest now;
	bool exists;

	if (kf_journal_digest(&w->node->host, path, now, err) < 0)
		return -1;
	if (strcmp(j->config, path) != 0 || strcmp(now, j->after) != 0)
		return slurp(w, path, &w->text, ret_n, &exists, err);
	*ret_n = 0;
	w->text = "";
	if (strcmp(j->base, KF_JOURNAL_ABSENT) == 0)
		return 0;
	if (kf_journal_kept(&w->node->host, j->base, &kept, ret_n, err) < 0)
		return -1;
	w->text = kf_arena_strdup(&w->plan->arena, kept);
	return w->text ? 0 : kf_fail_nomem(err, path);
}

static int check_version(struct work *w, const char *path, struct kf_err *err)
{
	w->version = version_of(w->root.root);
	if (w->version == 1)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version 1, which newer containerd does not "
			       "read; convert it: containerd config migrate > new, then replace it",
			       path);
	if (w->version > 4)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version %lld, which this kubefence does not "
			       "know; upgrade kubefence",
			       path, (long long)w->version);
	return 0;
}

/* Choose the file that changes, and make its new text. */
static int make_text(struct work *w, const char *root, size_t nroot, struct kf_err *err)
{
	const struct kf_distro *d = w->node->distro;
	const struct kf_journal *j = &w->node->journal;
	const char *dir = d->dropins ? d->dropins : d->edit ? NULL : dropin_dir(w);
	bool dropin = dir && strcmp(j->config, root) != 0;
	struct kf_toml_want version = {.path = {"version"}};
	struct kf_node_plan *p = w->plan;
	KF_FREE char *seed = NULL, *out = NULL;
	const char *from = w->text;
	size_t n;

	if (!dropin && d->generated)
		return kf_fail(
			err, ENOTSUP,
			"'%s' is rewritten by %s at each start and imports no directory of "
			"drop-ins that containerd %u.%u would merge; upgrade %s to a release "
			"with containerd 2",
			d->config, d->name, p->major, p->minor, d->name);
	p->config = dropin ? kf_arena_printf(&p->arena, "%s/" DROPIN, dir) : root;
	version.value = kf_arena_printf(&p->arena, "%lld", (long long)w->version);
	if (!p->config || !version.value)
		return kf_fail_nomem(err, "plan");
	if (slurp(w, p->config, &p->before, &p->nbefore, &p->existed, err) < 0)
		return -1;
	if (dropin) {
		from = dropin_head;
		nroot = sizeof(dropin_head) - 1;
	}
	if (dropin || !kf_toml_get(w->root.root, "version")) {
		if (asprintf(&seed, "%.*s%sversion = %s\n", (int)nroot, from,
			     nroot && from[nroot - 1] != '\n' ? "\n" : "", version.value) < 0) {
			seed = NULL;
			return kf_fail_nomem(err, "plan");
		}
		from = seed;
		nroot = strlen(seed);
	}
	if (kf_toml_edit(from, nroot, p->config, w->wants, w->nwants, &out, &n, err) < 0)
		return -1;
	p->after = kf_arena_strdup(&p->arena, out);
	p->nafter = n;
	return p->after ? 0 : kf_fail_nomem(err, "plan");
}

/* Runtimes that a file of version 3 or 4 has under version 2's name: containerd
 * from 2.3 on takes them over, but only as long as there are none under the new
 * name.  Ours would make them vanish. */
static int check_old_name(struct work *w, const char *path, struct kf_err *err)
{
	const struct kf_toml_node *old = w->version >= 3 ? runtimes(w->root.root, 2) : NULL;
	const struct kf_toml_node *new = runtimes(w->root.root, w->version);
	const struct kf_toml_node *all = runtimes(w->dump.root, version_of(w->dump.root));

	for (const struct kf_toml_node *n = old ? old->first_child : NULL; n; n = n->next)
		if (kf_toml_get(all, n->key) && !kf_toml_get(new, n->key))
			return kf_fail(err, ENOTSUP,
				       "%s:%u: runtime '%s' is under version 2's name; rename the "
				       "section to 'io.containerd.cri.v1.runtime', or containerd "
				       "forgets it as soon as another one is there",
				       path, n->key_begin.line, n->key);
	return 0;
}

static int plan_all(struct work *w, struct kf_err *err)
{
	const struct kf_distro *d = w->node->distro;
	const char *root = d->edit ? d->edit : d->config;
	struct kf_node_plan *p = w->plan;
	const struct kf_journal *j = &w->node->journal;
	size_t nroot;

	if (read_root(w, root, &nroot, err) < 0 ||
	    kf_toml_parse(w->text, nroot, root, &w->root, err) < 0 ||
	    check_version(w, root, err) < 0 || find_version(w, err) < 0 ||
	    dump(w->node, p->program, &p->arena, &p->effective, &p->neffective, err) < 0 ||
	    kf_toml_parse(p->effective, p->neffective, "configuration dump", &w->dump, err) < 0)
		return -1;
	if (w->version == 0) /* nothing in it, or no such file */
		w->version = version_of(w->dump.root);
	if (check_old_name(w, root, err) < 0 ||
	    kf_node_want(p, &p->ignore, &p->nignore, NULL, KF_TOML_PATH("imports"), err) < 0 ||
	    keep_builtin_runtimes(w, err) < 0)
		return -1;
	/* Handlers that lose the guard in this run. */
	for (size_t i = 0; i < j->nhandlers; i++)
		if (ignore_handler(w, j->handlers[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < j->nvms; i++)
		if (ignore_handler(w, j->vms[i].name, err) < 0)
			return -1;
	for (size_t i = 0; i < p->nhandlers; i++)
		if (plan_handler(w, &p->handlers[i], err) < 0)
			return -1;
	for (size_t i = 0; i < p->nvms; i++)
		if (plan_vm(w, &p->vms[i], err) < 0)
			return -1;
	if (plan_nri(w, err) < 0)
		return -1;
	return make_text(w, root, nroot, err);
}

static int containerd_plan(const struct kf_node *node, struct kf_node_plan *plan,
			   struct kf_err *err)
{
	struct work w = {.node = node, .plan = plan};
	int r;

	plan->program = kf_host_first(&node->host, node->distro->programs);
	if (!plan->program)
		return kf_fail(err, ENOENT, "containerd of %s is not at '%s'", node->distro->name,
			       node->distro->programs[0]);
	if (kf_node_recorded(&node->host, &w.recorded, err) < 0)
		return -1;
	r = plan_all(&w, err);
	kf_runtimes_done(&w.recorded);
	if (w.root.root)
		kf_toml_done(&w.root);
	if (w.dump.root)
		kf_toml_done(&w.dump);
	return r;
}

static int containerd_check(const struct kf_node *node, const struct kf_node_plan *plan,
			    bool installed, struct kf_err *err)
{
	struct kf_arena arena;
	struct kf_toml before, after;
	const char *text;
	size_t n;
	int r;

	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = dump(node, plan->program, &arena, &text, &n, err);
	if (r == 0)
		r = kf_toml_parse(plan->effective, plan->neffective, "dump", &before, err);
	if (r == 0 && (r = kf_toml_parse(text, n, "dump", &after, err)) < 0)
		kf_toml_done(&before);
	if (r == 0) {
		r = kf_toml_compare(&(struct kf_toml_doc){before.root, plan->effective},
				    &(struct kf_toml_doc){after.root, text},
				    installed ? plan->wants : NULL, installed ? plan->nwants : 0,
				    plan->ignore, plan->nignore, err);
		if (r < 0)
			kf_err_wrap(err, "containerd does not make of '%s' what was intended",
				    plan->config);
		kf_toml_done(&before);
		kf_toml_done(&after);
	}
	kf_arena_done(&arena);
	return r;
}

static int containerd_removed(const struct kf_node *node, struct kf_err *err)
{
	const char *program = kf_host_first(&node->host, node->distro->programs), *text;
	const struct kf_toml_node *all;
	struct kf_arena arena;
	struct kf_toml toml;
	size_t n;
	int r;

	if (!program) /* the runtime itself is gone */
		return 0;
	kf_arena_init(&arena, 2 * KF_LIMIT_CONFIG);
	r = dump(node, program, &arena, &text, &n, err);
	if (r == 0 && (r = kf_toml_parse(text, n, "configuration dump", &toml, err)) == 0) {
		all = runtimes(toml.root, version_of(toml.root));
		for (const struct kf_toml_node *h = all ? all->first_child : NULL; h && r == 0;
		     h = h->next)
			if (kf_node_guard_handler(
				    kf_toml_string(h, KF_TOML_PATH("options", "BinaryName"), "")) ||
			    strncmp(kf_toml_string(h, KF_TOML_PATH("options", "ConfigPath"), ""),
				    KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) == 0)
				r = kf_fail(err, EBUSY,
					    "handler '%s' is still ours after the original "
					    "configuration was restored",
					    h->key);
		kf_toml_done(&toml);
	}
	kf_arena_done(&arena);
	return r;
}

const struct kf_adapter kf_containerd = {
	.plan = containerd_plan,
	.check = containerd_check,
	.removed = containerd_removed,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: what its configuration is to say of NRI and of plugins that are off, and what cannot
 * be worked with.  The handlers are in containerd_handlers.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"
#include "toml/write.h"

#include <string.h>

#define NRI "io.containerd.nri.v1.nri"

/* What the steps below fill. */
struct other_wants {
	const struct kf_containerd_facts *f;
	struct kf_node_plan *plan;
	struct kf_containerd_wants *wants;
};

/* @path, or what is configured, as TOML; "" if nothing is. */
static const char *nri_path(const struct other_wants *w, const char *key, const char *path)
{
	if (!path)
		path = kf_toml_string(w->f->dump.root, KF_TOML_PATH("plugins", NRI, key), NULL);
	return path ? kf_node_quote(w->f->arena, path) : "";
}

static int plan_nri(const struct other_wants *w, struct kf_err *err)
{
	const struct kf_node_options *o = w->f->node->options;
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
		if (kf_node_want(p, &w->wants->v, &w->wants->n, values[i].value, path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, values[i].value, path, err) < 0)
			return -1;
	}
	/* The validator came with NRI 0.10, containerd 2.2. */
	if (w->f->major > 2 || (w->f->major == 2 && w->f->minor >= 2)) {
		const char *const path[] = {"plugins", NRI, "default_validator", "enable", NULL};

		if (kf_node_want(p, &w->wants->v, &w->wants->n, "true", path, err) < 0 ||
		    kf_node_want(p, &p->wants, &p->nwants, "true", path, err) < 0)
			return -1;
	}
	return 0;
}

/* Plugins that must not be among disabled_plugins, which counts whatever else is set. */
static const struct {
	const char *uri;
	bool nri;
} needed[] = {
	{"io.containerd.grpc.v1.cri", false},
	{"io.containerd.cri.v1.runtime", false},
	{"io.containerd.cri.v1.images", false},
	{NRI, true},
};

static bool is_disabled(const struct kf_toml_node *list, const char *uri)
{
	for (const struct kf_toml_node *n = list ? list->first_child : NULL; n; n = n->next)
		if (n->kind == KF_TOML_STRING && strcmp(n->string, uri) == 0)
			return true;
	return false;
}

/* The array of strings @list without @item, as TOML. */
static const char *array_without(struct kf_arena *arena, const struct kf_toml_node *list,
				 const char *item)
{
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *out;

	kf_buf_adds(&buf, "[");
	for (const struct kf_toml_node *n = list ? list->first_child : NULL; n; n = n->next) {
		if (n->kind != KF_TOML_STRING || strcmp(n->string, item) == 0)
			continue;
		kf_buf_adds(&buf, buf.n > 1 ? ", " : "");
		kf_toml_put_string(&buf, n->string);
	}
	kf_buf_adds(&buf, "]");
	out = buf.failed ? NULL : kf_arena_strdup(arena, buf.p);
	kf_buf_done(&buf);
	return out;
}

/* Take NRI out of disabled_plugins, if our own file is the one that has it there. */
static int want_nri_enabled(const struct other_wants *w, struct kf_err *err)
{
	const char *const path[] = {"disabled_plugins", NULL};
	struct kf_arena *arena = w->f->arena;
	struct kf_node_plan *p = w->plan;
	const char *file = array_without(arena, kf_toml_find(w->f->root.root, path), NRI);
	const char *all = array_without(arena, kf_toml_find(w->f->dump.root, path), NRI);

	if (!file || !all)
		return kf_fail_nomem(err, "plan");
	/* containerd does not tell the settings of a plugin that is off: all of them are new. */
	return kf_node_want(p, &w->wants->v, &w->wants->n, file, path, err) < 0 ||
			       kf_node_want(p, &p->wants, &p->nwants, all, path, err) < 0
		       ? -1
		       : kf_node_want(p, &p->ignore, &p->nignore, NULL,
				      KF_TOML_PATH("plugins", NRI), err);
}

static int check_disabled(const struct other_wants *w, struct kf_err *err)
{
	const char *const path[] = {"disabled_plugins", NULL};
	const struct kf_toml_node *all = kf_toml_find(w->f->dump.root, path),
				  *here = kf_toml_find(w->f->root.root, path);

	bool mine = is_disabled(here, NRI) && !w->f->dropin && !w->f->node->distro->generated;

	for (size_t i = 0; i < KF_ARRAY_SIZE(needed); i++) {
		const char *uri = needed[i].uri, *at;

		if (!is_disabled(all, uri) || (needed[i].nri && mine))
			continue;
		if (kf_containerd_where(w->f, path, uri, &at, err) < 0)
			return -1;
		at = at ? at : w->f->root_path;
		if (needed[i].nri)
			return kf_fail(err, ENOTSUP,
				       "%s: disabled_plugins switches NRI off ('%s'); take it out "
				       "there, then run this again",
				       at, uri);
		return kf_fail(err, ENOTSUP,
			       "%s: disabled_plugins switches CRI off ('%s'), so that no kubelet "
			       "can use this containerd; take it out there, or choose the runtime "
			       "that the kubelet uses with --distribution",
			       at, uri);
	}
	return mine ? want_nri_enabled(w, err) : 0;
}

/* containerd 1.x does not merge: what @root says of handlers counts only if it is the last file
 * that says something of CRI. */
static int check_last_word(const struct other_wants *w, struct kf_err *err)
{
	const char *cri = kf_containerd_cri(w->f->version), *at = NULL;
	const char *root = w->f->root_path;
	size_t n = strlen(root);

	if (w->f->major >= 2)
		return 0;
	if (kf_containerd_where(w->f, KF_TOML_PATH("plugins", cri), NULL, &at, err) < 0)
		return -1;
	if (!at || (strncmp(at, root, n) == 0 && at[n] == ':'))
		return 0;
	return kf_fail(err, ENOTSUP,
		       "%s has the last word on plugin '%s': containerd 1.x takes a plugin's whole "
		       "table from the last file that has one; move what it says there into '%s'",
		       at, cri, root);
}

/* Runtimes that a file of version 3 or 4 has under version 2's name: containerd
 * from 2.3 on takes them over, but only as long as there are none under the new
 * name.  Ours would make them vanish. */
static int check_old_name(const struct other_wants *w, struct kf_err *err)
{
	const struct kf_toml_node *old =
		w->f->version >= 3 ? kf_containerd_runtimes(w->f->root.root, 2) : NULL;
	const struct kf_toml_node *new = kf_containerd_runtimes(w->f->root.root, w->f->version);
	const struct kf_toml_node *all = kf_containerd_all(w->f);

	for (const struct kf_toml_node *n = old ? old->first_child : NULL; n; n = n->next)
		if (kf_toml_get(all, n->key) && !kf_toml_get(new, n->key))
			return kf_fail(err, ENOTSUP,
				       "%s:%u: runtime '%s' is under version 2's name; rename the "
				       "section to 'io.containerd.cri.v1.runtime', or containerd "
				       "forgets it as soon as another one is there",
				       w->f->root_path, n->key_begin.line, n->key);
	return 0;
}

int kf_containerd_want(const struct kf_containerd_facts *facts, struct kf_node_plan *plan,
		       struct kf_containerd_wants *ret, struct kf_err *err)
{
	const struct other_wants want = {facts, plan, ret};

	if (check_last_word(&want, err) < 0 || check_disabled(&want, err) < 0 ||
	    check_old_name(&want, err) < 0 ||
	    kf_node_want(plan, &plan->ignore, &plan->nignore, NULL, KF_TOML_PATH("imports"), err) <
		    0 ||
	    kf_containerd_want_handlers(facts, plan, ret, err) < 0)
		return -1;
	return plan_nri(&want, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: which file of its configuration changes, and to what. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"
#include "node/merge.h"
#include "node/predecessor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read after (and so winning over) what other tools leave in the directory. */
#define DROPIN "90-kubefence.toml"

static const char dropin_head[] =
	"# Written by 'kubefence node install', removed by 'kubefence node uninstall'.\n";

/* The directory whose files the root file imports and the version merges, or
 * NULL.  If a file that is imported by its name is missing, containerd silently
 * imports nothing at all. */
static const char *dropin_dir(const struct kf_containerd_work *w)
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

/* The directory that our drop-in goes to, or NULL: the root file changes, or what it is made of. */
static const char *own_dir(const struct kf_containerd_work *w)
{
	const struct kf_distro *d = w->node->distro;
	const char *dir = d->dropins ? d->dropins : d->edit ? NULL : dropin_dir(w);

	/* It was the root file before; it stays that. */
	return strcmp(w->node->journal.config, d->edit ? d->edit : d->config) == 0 ? NULL : dir;
}

bool kf_containerd_edits_root(const struct kf_containerd_work *w)
{
	return !own_dir(w) && !w->node->distro->generated;
}

/* Contents of @path in the plan's arena; *ret_exists false and "" if there is none. */
static int slurp(struct kf_containerd_work *w, const char *path, const char **ret, size_t *ret_n,
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

/* @now less ours, in the plan's arena. */
static int merge_back(struct kf_containerd_work *w, const struct kf_merge *m, struct kf_text now,
		      struct kf_text *ret, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	char *copy;
	bool found;

	if (kf_merge_back(m, now, &out, &found, err) < 0)
		return -1;
	copy = kf_arena_alloc(&w->plan->arena, out.n + 1);
	if (!copy)
		return kf_fail_nomem(err, m->name);
	if (out.n)
		memcpy(copy, out.p, out.n);
	*ret = (struct kf_text){copy, out.n};
	if (!found)
		ret->p = NULL;
	return 0;
}

/* Somebody else changed the file that is @now, of ours or of theirs: what it is without us, for the
 * day of uninstalling and for this plan. */
static int without_ours(struct kf_containerd_work *w, struct kf_text now, struct kf_err *err)
{
	const struct kf_journal *j = &w->node->journal;
	struct kf_text base, text;
	struct kf_toml toml;
	struct kf_merge m;

	if (kf_merge_open(&w->node->host, j, &w->plan->arena, &m, err) < 0)
		return -1;
	if (kf_toml_parse(now.p, now.n, m.name, &toml, err) < 0)
		return kf_fail_wrap(err,
				    "somebody else changed this file since, and containerd "
				    "cannot read it; correct it, or take what is ours out with "
				    "'kubefence node uninstall', then install again");
	kf_toml_done(&toml);
	m.claim = true;
	if (merge_back(w, &m, now, &base, err) < 0)
		return -1;
	if (!base.p) /* there is nothing of ours in it: it is the original from now on */
		return 0;
	m.keep_copies = true;
	if (merge_back(w, &m, now, &text, err) < 0)
		return -1;
	w->plan->base = base.p;
	w->plan->nbase = base.n;
	w->text = text.p ? text.p : now.p;
	w->ntext = text.p ? text.n : now.n;
	return 0;
}

static int read_root(struct kf_containerd_work *w, const char *path, size_t *ret_n,
		     struct kf_err *err)
{
	const struct kf_journal *j = &w->node->journal;
	struct kf_merge m;
	kf_digest now;
	bool exists;
	int r = 0;

	if (kf_journal_digest(&w->node->host, path, now, err) < 0)
		return -1;
	if (strcmp(j->config, path) == 0 && strcmp(now, j->after) == 0) {
		r = kf_merge_open(&w->node->host, j, &w->plan->arena, &m, err);
		w->text = r < 0 ? NULL : m.original.p;
		*ret_n = r < 0 ? 0 : m.original.n;
		return r;
	}
	if (slurp(w, path, &w->text, &w->ntext, &exists, err) < 0)
		return -1;
	if (strcmp(j->config, path) == 0 && strcmp(now, j->base) != 0)
		r = without_ours(w, (struct kf_text){w->text, w->ntext}, err);
	*ret_n = w->ntext;
	return r;
}

int kf_containerd_read_root(struct kf_containerd_work *w, const char *path, size_t *ret_n,
			    struct kf_err *err)
{
	struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	int r = read_root(w, path, ret_n, err);

	if (r == 0)
		w->predecessor =
			kf_predecessor_strip(w->text, *ret_n, KF_PREDECESSOR_HANDLER, &out) != 0;
	if (r == 0 && w->predecessor) {
		w->text = out.failed ? NULL : kf_arena_strdup(&w->plan->arena, out.p ? out.p : "");
		*ret_n = out.n;
		r = w->text ? 0 : kf_fail_nomem(err, path);
	}
	kf_buf_done(&out);
	return r;
}

int kf_containerd_check_version(struct kf_containerd_work *w, const char *path, struct kf_err *err)
{
	w->version = kf_containerd_version(w->root.root);
	if (w->version == 1)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version 1; convert it: 'containerd config "
			       "migrate' of containerd 2 prints it anew (compare what it makes of "
			       "your settings); for 1.7 give it version = 2 and the plugins their "
			       "full names (\"io.containerd.grpc.v1.cri\")",
			       path);
	if (w->version > 4)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version %lld, which this kubefence does not "
			       "know; upgrade kubefence",
			       path, (long long)w->version);
	return 0;
}

/* What somebody else wrote into our drop-in, the plan's file. */
static int keep_theirs(struct kf_containerd_work *w, struct kf_text *ret, struct kf_err *err)
{
	const struct kf_journal *j = &w->node->journal;
	struct kf_node_plan *p = w->plan;
	struct kf_text root = {w->text, w->ntext};
	kf_digest now;

	kf_sha256_hex(p->before, p->nbefore, now);
	if (!p->existed || strcmp(j->config, p->config) != 0 || strcmp(now, j->after) == 0 ||
	    strcmp(now, j->base) == 0)
		return 0;
	if (without_ours(w, (struct kf_text){p->before, p->nbefore}, err) < 0)
		return -1;
	if (!p->base) { /* all of it is theirs */
		p->base = p->before;
		p->nbase = p->nbefore;
		w->text = p->before;
		w->ntext = p->nbefore;
	}
	if (w->ntext)
		*ret = (struct kf_text){w->text, w->ntext};
	else
		p->base = NULL; /* all of it was ours */
	w->text = root.p;
	w->ntext = root.n;
	return 0;
}

/* A file that is written anew, and has no place for a drop-in. */
static int fail_generated(const struct kf_containerd_work *w, struct kf_err *err)
{
	const struct kf_distro *d = w->node->distro;

	if (w->plan->major < 2)
		return kf_fail(
			err, ENOTSUP,
			"'%s' is rewritten by %s at each start, and containerd %u.%u merges no "
			"drop-ins; upgrade %s to a release with containerd 2",
			d->config, d->name, w->plan->major, w->plan->minor, d->name);
	return kf_fail(
		err, ENOTSUP,
		"'%s' is rewritten by %s at each start and imports no directory of drop-ins; "
		"add imports = [\"%.*s/config-v3.toml.d/*.toml\"] to the template that was "
		"put beside it (config-v3.toml.tmpl) and restart %s",
		d->config, d->name, (int)(strrchr(d->config, '/') - d->config), d->config, d->name);
}

/* Choose the file that changes, and make its new text. */
int kf_containerd_make_text(struct kf_containerd_work *w, const char *root, size_t nroot,
			    struct kf_err *err)
{
	const struct kf_distro *d = w->node->distro;
	const char *dir = own_dir(w);
	bool dropin = dir != NULL;
	struct kf_toml_want version = {.path = {"version"}};
	struct kf_node_plan *p = w->plan;
	struct kf_text kept = {0};
	KF_FREE char *seed = NULL, *out = NULL;
	const char *from = w->text;
	size_t n;

	if (!dropin && d->generated)
		return fail_generated(w, err);
	p->config = dropin ? kf_arena_printf(&p->arena, "%s/" DROPIN, dir) : root;
	version.value = kf_arena_printf(&p->arena, "%lld", (long long)w->version);
	p->ours = dropin;
	if (!p->config || !version.value)
		return kf_fail_nomem(err, "plan");
	if (slurp(w, p->config, &p->before, &p->nbefore, &p->existed, err) < 0)
		return -1;
	if (dropin) {
		if (!memmem(w->text, nroot, KF_NODE_GUARD, strlen(KF_NODE_GUARD))) {
			p->root = w->text;
			p->nroot = nroot;
		}
		from = dropin_head;
		nroot = sizeof(dropin_head) - 1;
		if (keep_theirs(w, &kept, err) < 0)
			return -1;
	}
	if (kept.n) {
		from = kept.p;
		nroot = kept.n;
	} else if (dropin || !kf_toml_get(w->root.root, "version")) {
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
int kf_containerd_check_old_name(struct kf_containerd_work *w, const char *path, struct kf_err *err)
{
	const struct kf_toml_node *old =
		w->version >= 3 ? kf_containerd_runtimes(w->root.root, 2) : NULL;
	const struct kf_toml_node *new = kf_containerd_runtimes(w->root.root, w->version);
	const struct kf_toml_node *all =
		kf_containerd_runtimes(w->dump.root, kf_containerd_version(w->dump.root));

	for (const struct kf_toml_node *n = old ? old->first_child : NULL; n; n = n->next)
		if (kf_toml_get(all, n->key) && !kf_toml_get(new, n->key))
			return kf_fail(err, ENOTSUP,
				       "%s:%u: runtime '%s' is under version 2's name; rename the "
				       "section to 'io.containerd.cri.v1.runtime', or containerd "
				       "forgets it as soon as another one is there",
				       path, n->key_begin.line, n->key);
	return 0;
}

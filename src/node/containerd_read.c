/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: reading.  The root file without what is ours in it, the files that it imports, what
 * containerd itself makes of all that, and which of the files is the one to change. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "host/run.h"
#include "node/containerd_int.h"
#include "node/predecessor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_TIMEOUT 20000
/* Read after (and so winning over) what other tools leave in the directory. */
#define DROPIN	     "90-kubefence.toml"

/* "containerd github.com/containerd/containerd/v2 v2.4.2 REV" */
static int find_version(struct kf_containerd_facts *f, struct kf_err *err)
{
	const char *argv[] = {f->program, "--version", NULL};
	struct kf_run run;
	const char *v;
	bool ok;

	if (kf_run_host(&f->node->host, argv, DUMP_TIMEOUT, 4096, &run, err) < 0)
		return -1;
	v = strstr(run.out, " v");
	if (!v || sscanf(v, " v%u.%u", &f->major, &f->minor) != 2) {
		v = strstr(run.out, " 1."); /* distributions drop the "v" */
		v = v ? v : strstr(run.out, " 2.");
		ok = v && sscanf(v, " %u.%u", &f->major, &f->minor) == 2;
	} else {
		ok = true;
	}
	kf_run_done(&run);
	if (!ok)
		return kf_fail(err, EINVAL, "'%s --version' does not tell a version", f->program);
	if (f->major < 1 || (f->major == 1 && f->minor < 7))
		return kf_fail(
			err, ENOTSUP,
			"containerd %u.%u is too old: NRI came with 1.7, sandboxing by plugin "
			"with 2.2; upgrade containerd",
			f->major, f->minor);
	return 0;
}

int kf_containerd_dump(const struct kf_node *node, const char *program, struct kf_arena *arena,
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

/* Read the file @path after those that are known, if it is not one of them and there. */
static int read_file(struct kf_containerd_facts *f, const char *path, struct kf_err *err)
{
	struct kf_containerd_file *file = &f->files[f->nfiles];
	KF_FREE char *text = NULL;
	size_t n;

	for (size_t i = 0; i < f->nfiles; i++)
		if (strcmp(f->files[i].path, path) == 0)
			return 0;
	if (f->nfiles == KF_CONTAINERD_FILES)
		return kf_fail(err, E2BIG, "'%s': more than %d files are imported",
			       f->files[0].path, KF_CONTAINERD_FILES);
	if (kf_host_read(&f->node->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	*file = (struct kf_containerd_file){.path = kf_arena_strdup(f->arena, path)};
	if (!file->path)
		return kf_fail_nomem(err, path);
	/* One that does not parse imports nothing, and may be whose word counts. */
	if (kf_toml_parse(text, n, file->path, &file->toml, &f->unread) < 0)
		file->toml.root = NULL;
	f->nfiles++;
	return 0;
}

/* What file @from imports as @pattern: relative to it, with stars. */
static int read_imports(struct kf_containerd_facts *f, const char *from, const char *pattern,
			struct kf_err *err)
{
	char **list;
	int r = 0;

	if (pattern[0] != '/')
		pattern = kf_arena_printf(f->arena, "%.*s/%s", (int)(strrchr(from, '/') - from),
					  from, pattern);
	if (!pattern)
		return kf_fail_nomem(err, from);
	if (kf_host_glob(&f->node->host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = read_file(f, *p, err);
	kf_host_list_free(list);
	return r;
}

int kf_containerd_read_files(const struct kf_node *node, struct kf_arena *arena,
			     struct kf_containerd_facts *ret, struct kf_err *err)
{
	struct kf_containerd_facts *f = ret;
	int r;

	f->node = node;
	f->arena = arena;
	r = read_file(f, node->distro->config, err);
	/* In containerd's order: what one imports comes after all that is known already. */
	for (size_t i = 0; i < f->nfiles && r == 0; i++) {
		const struct kf_toml_node *root = f->files[i].toml.root,
					  *imports = root ? kf_toml_get(root, "imports") : NULL;

		for (const struct kf_toml_node *p = imports ? imports->first_child : NULL;
		     p && r == 0; p = p->next)
			if (p->kind == KF_TOML_STRING)
				r = read_imports(f, f->files[i].path, p->string, err);
	}
	return r;
}

/* The directory whose files the root file imports and the version merges, or
 * NULL.  If a file that is imported by its name is missing, containerd silently
 * imports nothing at all. */
static const char *dropin_dir(const struct kf_containerd_facts *f)
{
	const struct kf_toml_node *imports = kf_toml_get(f->root.root, "imports");
	const char *found = NULL;

	/* 1.x does not merge, it replaces each plugin's whole table. */
	if (f->major < 2 || f->version < 3)
		return NULL;
	for (const struct kf_toml_node *n = imports ? imports->first_child : NULL; n; n = n->next) {
		const char *star = n->kind == KF_TOML_STRING ? strchr(n->string, '*') : NULL;

		if (!star && n->kind == KF_TOML_STRING &&
		    !kf_host_exists(&f->node->host, n->string))
			return NULL;
		if (star && !found && n->string[0] == '/' && star[-1] == '/' &&
		    strcmp(star, "*.toml") == 0)
			found = kf_arena_printf(f->arena, "%.*s", (int)(star - 1 - n->string),
						n->string);
	}
	return found;
}

/* The directory that our drop-in goes to, or NULL: the root file changes, or what it is made of. */
static const char *own_dir(const struct kf_containerd_facts *f)
{
	const struct kf_distro *d = f->node->distro;
	const char *dir = d->dropins ? d->dropins : d->edit ? NULL : dropin_dir(f);

	/* It was the root file before; it stays that. */
	return strcmp(f->node->journal.config, d->edit ? d->edit : d->config) == 0 ? NULL : dir;
}

/* Contents of @path in the plan's arena; *ret_exists false and "" if there is none. */
static int read_text(const struct kf_containerd_facts *f, const char *path, struct kf_text *ret,
		     bool *ret_exists, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char *copy;
	size_t n = 0;

	*ret_exists = true;
	if (kf_host_read(&f->node->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0) {
		if (err->code != ENOENT)
			return -1;
		*ret_exists = false;
		n = 0;
	}
	copy = kf_arena_alloc(f->arena, n + 1);
	if (!copy)
		return kf_fail_nomem(err, path);
	if (n)
		memcpy(copy, text, n);
	*ret = (struct kf_text){copy, n};
	return 0;
}

/* @now less ours, in the plan's arena. */
static int take_out(const struct kf_containerd_facts *f, const struct kf_merge *m,
		    struct kf_text now, struct kf_text *ret, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	char *copy;
	bool found;

	if (kf_merge_back(m, now, &out, &found, err) < 0)
		return -1;
	copy = kf_arena_alloc(f->arena, out.n + 1);
	if (!copy)
		return kf_fail_nomem(err, m->name);
	if (out.n)
		memcpy(copy, out.p, out.n);
	*ret = (struct kf_text){copy, out.n};
	if (!found)
		ret->p = NULL;
	return 0;
}

/* Somebody else changed the file that says @now, of ours or of theirs: *ret_base is what it is
 * without us, for the day of uninstalling, and *ret_text for this plan.  Both have a NULL text if
 * there is nothing of ours in it: then it is the original from now on. */
static int without_ours(const struct kf_containerd_facts *f, struct kf_text now,
			struct kf_text *ret_base, struct kf_text *ret_text, struct kf_err *err)
{
	const struct kf_journal *j = &f->node->journal;
	struct kf_toml toml;
	struct kf_merge m;

	*ret_base = *ret_text = (struct kf_text){0};
	if (kf_merge_open(&f->node->host, j, f->arena, &m, err) < 0)
		return -1;
	if (kf_toml_parse(now.p, now.n, m.name, &toml, err) < 0)
		return kf_fail_wrap(err,
				    "somebody else changed this file since, and containerd "
				    "cannot read it; correct it, or take what is ours out with "
				    "'kubefence node uninstall', then install again");
	kf_toml_done(&toml);
	m.claim = true;
	if (take_out(f, &m, now, ret_base, err) < 0)
		return -1;
	if (!ret_base->p)
		return 0;
	m.keep_copies = true;
	if (take_out(f, &m, now, ret_text, err) < 0)
		return -1;
	if (!ret_text->p)
		*ret_text = now;
	return 0;
}

/* The root file as it is without us. */
static int read_root(struct kf_containerd_facts *f, struct kf_err *err)
{
	const struct kf_journal *j = &f->node->journal;
	bool ours = strcmp(j->config, f->root_path) == 0, exists;
	struct kf_text text;
	struct kf_merge m;
	kf_digest now;

	if (kf_journal_digest(&f->node->host, f->root_path, now, err) < 0)
		return -1;
	if (ours && strcmp(now, j->after) == 0) {
		if (kf_merge_open(&f->node->host, j, f->arena, &m, err) < 0)
			return -1;
		f->root_text = m.original;
		return 0;
	}
	if (read_text(f, f->root_path, &f->root_text, &exists, err) < 0)
		return -1;
	if (!ours || strcmp(now, j->base) == 0)
		return 0;
	if (without_ours(f, f->root_text, &f->base, &text, err) < 0)
		return -1;
	if (f->base.p)
		f->root_text = text;
	return 0;
}

/* ... and without an earlier implementation's handler. */
static int strip_predecessor(struct kf_containerd_facts *f, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);

	f->predecessor = kf_predecessor_strip(f->root_text.p, f->root_text.n,
					      KF_PREDECESSOR_HANDLER, &out) != 0;
	if (!f->predecessor)
		return 0;
	f->root_text = (struct kf_text){
		out.failed ? NULL : kf_arena_strdup(f->arena, out.p ? out.p : ""), out.n};
	return f->root_text.p ? 0 : kf_fail_nomem(err, f->root_path);
}

static int check_version(struct kf_containerd_facts *f, struct kf_err *err)
{
	f->version = kf_containerd_version(f->root.root);
	if (f->version == 1)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version 1; convert it: 'containerd config "
			       "migrate' of containerd 2 prints it anew (compare what it makes of "
			       "your settings); for 1.7 give it version = 2 and the plugins their "
			       "full names (\"io.containerd.grpc.v1.cri\")",
			       f->root_path);
	if (f->version > 4)
		return kf_fail(err, ENOTSUP,
			       "'%s' has configuration version %lld, which this kubefence does not "
			       "know; upgrade kubefence",
			       f->root_path, (long long)f->version);
	return 0;
}

/* What somebody else wrote into our drop-in. */
static int keep_theirs(struct kf_containerd_facts *f, struct kf_err *err)
{
	const struct kf_journal *j = &f->node->journal;
	kf_digest now;

	kf_sha256_hex(f->before.p, f->before.n, now);
	if (!f->existed || strcmp(j->config, f->target) != 0 || strcmp(now, j->after) == 0 ||
	    strcmp(now, j->base) == 0)
		return 0;
	if (without_ours(f, f->before, &f->base, &f->kept, err) < 0)
		return -1;
	if (!f->base.p) /* all of it is theirs */
		f->base = f->kept = f->before;
	if (!f->kept.n) /* all of it was ours */
		f->base.p = NULL;
	return 0;
}

/* Choose the file that changes. */
static int choose_target(struct kf_containerd_facts *f, struct kf_err *err)
{
	const char *dir = own_dir(f);

	f->dropin = dir != NULL;
	f->target = dir ? kf_arena_printf(f->arena, "%s/" DROPIN, dir) : f->root_path;
	if (!f->target)
		return kf_fail_nomem(err, "plan");
	if (read_text(f, f->target, &f->before, &f->existed, err) < 0)
		return -1;
	return dir ? keep_theirs(f, err) : 0;
}

int kf_containerd_read(const struct kf_node *node, struct kf_arena *arena,
		       struct kf_containerd_facts *ret, struct kf_err *err)
{
	const struct kf_distro *d = node->distro;
	struct kf_containerd_facts *f = ret;

	*f = (struct kf_containerd_facts){
		.node = node,
		.arena = arena,
		.root_path = d->edit ? d->edit : d->config,
		.program = kf_host_first(&node->host, d->programs),
	};
	if (!f->program)
		return kf_fail(err, ENOENT, "containerd of %s is not at '%s'", d->name,
			       d->programs[0]);
	if (kf_node_recorded(&node->host, &f->recorded, err) < 0 || read_root(f, err) < 0 ||
	    strip_predecessor(f, err) < 0 ||
	    kf_toml_parse(f->root_text.p, f->root_text.n, f->root_path, &f->root, err) < 0 ||
	    check_version(f, err) < 0 || find_version(f, err) < 0 ||
	    kf_containerd_dump(node, f->program, arena, &f->dump_text.p, &f->dump_text.n, err) <
		    0 ||
	    kf_toml_parse(f->dump_text.p, f->dump_text.n, "configuration dump", &f->dump, err) <
		    0 ||
	    kf_containerd_read_files(node, arena, f, err) < 0)
		return -1;
	if (f->version == 0) /* nothing in it, or no such file */
		f->version = kf_containerd_version(f->dump.root);
	return choose_target(f, err);
}

void kf_containerd_facts_done(struct kf_containerd_facts *facts)
{
	kf_runtimes_done(&facts->recorded);
	if (facts->root.root)
		kf_toml_done(&facts->root);
	if (facts->dump.root)
		kf_toml_done(&facts->dump);
	for (size_t i = 0; i < facts->nfiles; i++)
		if (facts->files[i].toml.root)
			kf_toml_done(&facts->files[i].toml);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The files that belong on a node: listing them for a plan, comparing and writing them.  Which pods
 * use them is found out in inuse.c, profiles beside the launcher are in profiles.c. */
#include "node/payload.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "config/settings_text.h"
#include "flat/launcher.h"
#include "node/handler.h"
#include "node/predecessor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PROGRAM_MAX (64 * 1024 * 1024)

static int read_program(const char *dir, const char *name, char **ret, size_t *ret_n,
			struct kf_err *err)
{
	KF_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return kf_fail_nomem(err, name);
	}
	if (kf_file_slurp(AT_FDCWD, path, PROGRAM_MAX, ret, ret_n, err) < 0)
		return kf_fail_wrap(err, "what is to be installed (see --payload)");
	if (*ret_n < 4 || memcmp(*ret, "\177ELF", 4) != 0) {
		free(KF_STEAL(*ret));
		return kf_fail(err, ENOEXEC, "'%s' is no program", path);
	}
	return 0;
}

int kf_payload_load(const char *dir, struct kf_payload *ret, struct kf_err *err)
{
	*ret = (struct kf_payload){0};
	if (read_program(dir, "nono", &ret->launcher, &ret->nlauncher, err) < 0 ||
	    read_program(dir, "nono-runc", &ret->guard, &ret->nguard, err) < 0 ||
	    read_program(dir, "nono-bwrap", &ret->inner, &ret->ninner, err) < 0) {
		kf_payload_done(ret);
		return -1;
	}
	return 0;
}

void kf_payload_done(struct kf_payload *payload)
{
	free(payload->launcher);
	free(payload->guard);
	free(payload->inner);
	free(payload->inner_path);
	*payload = (struct kf_payload){0};
}

static int add_file(struct kf_payload *p, const char *path, const char *data, size_t n, mode_t mode,
		    bool once, struct kf_err *err)
{
	if (!path || !data)
		return kf_fail_nomem(err, "plan");
	if (p->n == KF_PAYLOAD_MAX)
		return kf_fail(err, E2BIG, "more than %d files to install", KF_PAYLOAD_MAX);
	p->files[p->n++] = (struct kf_payload_file){path, data, n, mode, once};
	return 0;
}

/* The file that names the runtimes behind the guard: those of this plan's handlers, and of earlier
 * ones as long as their containers may exist. */
static int runtime_text(const struct kf_node *node, struct kf_node_plan *plan,
			struct kf_payload *payload, struct kf_err *err)
{
	struct kf_runtime list[2 * KF_JOURNAL_HANDLERS];
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	struct kf_runtimes recorded;
	size_t n = 0;
	int r;

	if (kf_node_recorded(&node->host, &recorded, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->nhandlers; i++)
		if (plan->handlers[i].guard)
			list[n++] =
				(struct kf_runtime){plan->handlers[i].name, plan->handlers[i].real};
	for (size_t i = 0; i < recorded.n && n < KF_ARRAY_SIZE(list); i++) {
		bool there = false;

		for (size_t k = 0; k < plan->nhandlers; k++)
			there = there ||
				(plan->handlers[k].guard &&
				 strcmp(plan->handlers[k].name, recorded.v[i].handler) == 0);
		if (!there)
			list[n++] = recorded.v[i];
	}
	r = kf_runtimes_format(list, n, &buf, err);
	if (r == 0)
		r = add_file(payload, KF_RUNTIME_TEXT_PATH, kf_arena_strdup(&plan->arena, buf.p),
			     buf.n, 0644, false, err);
	kf_buf_done(&buf);
	kf_runtimes_done(&recorded);
	return r;
}

/* First settings for the guard, until the plugin publishes its own. */
static int settings_text(const struct kf_node *node, struct kf_node_plan *plan,
			 struct kf_payload *payload, struct kf_err *err)
{
	const struct kf_settings from_options = {
		.handlers = node->options->handlers,
		.nhandlers = node->options->nhandlers,
		.default_profile = node->options->default_profile,
		.launcher = node->options->launcher,
		.seccomp = KF_SECCOMP_LEVEL_RESTRICTED,
		.exec = KF_EXEC_SANDBOX,
	};
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	int r = kf_settings_text_format(
		node->options->settings ? node->options->settings : &from_options, &buf, err);

	if (r == 0)
		r = add_file(payload, KF_NODE_SETTINGS, kf_arena_strdup(&plan->arena, buf.p), buf.n,
			     0644, true, err);
	kf_buf_done(&buf);
	return r;
}

const char *kf_payload_inner_path(struct kf_payload *payload, const char *launcher)
{
	free(payload->inner_path);
	if (asprintf(&payload->inner_path, "%.*s" KF_LAUNCHER_INNER "/bwrap",
		     (int)(strrchr(launcher, '/') + 1 - launcher), launcher) < 0)
		payload->inner_path = NULL;
	return payload->inner_path;
}

int kf_payload_plan(const struct kf_node *node, struct kf_node_plan *plan,
		    struct kf_payload *payload, struct kf_err *err)
{
	bool guarded = false;

	/* A run without programs has listed its files itself. */
	if (!payload->launcher)
		return 0;
	payload->n = 0;
	if (add_file(payload, node->options->launcher, payload->launcher, payload->nlauncher, 0755,
		     false, err) < 0 ||
	    add_file(payload, kf_payload_inner_path(payload, node->options->launcher),
		     payload->inner, payload->ninner, 0755, false, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->nhandlers; i++) {
		if (!plan->handlers[i].guard)
			continue;
		guarded = true;
		if (add_file(payload, plan->handlers[i].guard, payload->guard, payload->nguard,
			     0755, false, err) < 0)
			return -1;
	}
	if (!guarded)
		return 0;
	if (runtime_text(node, plan, payload, err) < 0)
		return -1;
	return settings_text(node, plan, payload, err);
}

/* The directory of @path: a new string, NULL if out of memory. */
static char *directory_of(const char *path)
{
	char *dir = strdup(path);

	if (dir)
		*(strrchr(dir, '/') + (strrchr(dir, '/') == dir)) = '\0';
	return dir;
}

int kf_payload_public(const struct kf_node *node, const char *path, bool *ret, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *dir = directory_of(path);
	struct stat st;

	if (!dir)
		return kf_fail_nomem(err, path);
	if (kf_host_dir(&node->host, dir, false, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", dir);
	*ret = kf_dir_is_public(&st);
	return 0;
}

int kf_payload_exists(const struct kf_node *node, const struct kf_payload_file *file, bool *ret,
		      struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *data = NULL;
	struct stat st;
	size_t n;

	*ret = false;
	if (kf_host_fd(&node->host, file->path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, &fd, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", file->path);
	if (file->once)
		return kf_payload_public(node, file->path, ret, err);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size != file->n || st.st_uid != 0 ||
	    (st.st_mode & 07777) != file->mode)
		return 0;
	if (kf_fd_slurp(fd, file->path, file->n, &data, &n, err) < 0)
		return -1;
	return n == file->n && memcmp(data, file->data, n) == 0
		       ? kf_payload_public(node, file->path, ret, err)
		       : 0;
}

static bool is_ours(const struct kf_node *node, const struct kf_payload *payload, const char *path)
{
	for (size_t i = 0; i < payload->n; i++)
		if (strcmp(payload->files[i].path, path) == 0)
			return true;
	for (size_t i = 0; i < node->journal.nfiles; i++)
		if (strcmp(node->journal.files[i].path, path) == 0)
			return true;
	return strcmp(kf_path_base(path), KF_NODE_PROFILES) == 0 ||
	       strcmp(kf_path_base(path), KF_LAUNCHER_INNER) == 0;
}

/* Report files in @dir that are not ours, such as scripts of a predecessor around the launcher:
 * containers can read them from now on, and only their owner knows whether they are still needed.
 */
static void name_foreign(const struct kf_node *node, const struct kf_payload *payload,
			 const char *dir)
{
	KF_FREE char *pattern = NULL;
	struct kf_err err;
	char **list;

	if (asprintf(&pattern, "%s/*", dir) < 0) {
		pattern = NULL;
		(void)kf_fail_nomem(&err, dir);
	} else if (kf_host_glob(&node->host, pattern, &list, &err) == 0) {
		for (char **p = list; *p; p++)
			if (!is_ours(node, payload, *p))
				node->say(node->ctx, "foreign", *p,
					  "is not ours and stays; remove it if nothing needs it");
		kf_host_list_free(list);
		return;
	}
	node->say(node->ctx, "note", dir, err.msg);
}

/* Prepare the directory of @file: it must exist, everybody must be able to read it, and for a
 * program it must not be on a noexec mount, which would make every sandboxed pod fail. */
static int prepare_directory(const struct kf_node *node, const struct kf_payload *payload,
			     const struct kf_payload_file *file, bool *ret_changed,
			     struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *dir = directory_of(file->path);
	struct statvfs vfs;
	bool changed;

	if (!dir)
		return kf_fail_nomem(err, file->path);
	if (kf_host_dir(&node->host, dir, true, &fd, err) < 0)
		return -1;
	if (fstatvfs(fd, &vfs) < 0)
		return kf_fail_sys(err, "statvfs '%s'", dir);
	if ((file->mode & 0111) && (vfs.f_flag & ST_NOEXEC))
		return kf_fail(err, EACCES,
			       "'%s' is on a file system that is mounted noexec; remount it with "
			       "exec, or choose another place (nono_bin_path)",
			       dir);
	if (kf_dir_make_public(fd, dir, &changed, err) < 0)
		return -1;
	if (changed) {
		node->say(node->ctx, "put right", dir, "is 0755 and root's now");
		name_foreign(node, payload, dir);
		*ret_changed = true;
	}
	return 0;
}

int kf_payload_write(const struct kf_node *node, const struct kf_payload *payload,
		     bool *ret_changed, struct kf_err *err)
{
	for (size_t i = 0; i < payload->n; i++) {
		const struct kf_payload_file *f = &payload->files[i];
		bool there;

		if (kf_predecessor_keep(node, f->path, err) < 0 ||
		    prepare_directory(node, payload, f, ret_changed, err) < 0 ||
		    kf_payload_exists(node, f, &there, err) < 0)
			return -1;
		if (there)
			continue;
		if (kf_host_write(&node->host, f->path, f->data, f->n, f->mode, err) < 0)
			return -1;
		node->say(node->ctx, "installed", f->path, "");
		*ret_changed = true;
	}
	return 0;
}

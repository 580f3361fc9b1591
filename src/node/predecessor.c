/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that the Go implementation has set up: recognising its files, cleaning them, and restoring
 * them at uninstall.  What is removed or replaced is kept in a directory with the mode and owner
 * that the launcher's directory had. */
#include "node/predecessor.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "text/lines.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LAUNCHER_MAX (64 * 1024 * 1024)
#define SCRIPT_MAX   4096
#define SCRIPT_HEAD  "#!/bin/sh\nexec /nono/nono wrap --profile \"${NONO_PROFILE:-default}\" -- "
#define SCRIPT_TAIL  " \"$@\"\n"
/* This text is in every launcher of ours, and in no other. */
#define OUR_LAUNCHER "nono-policy "
#define PLUGIN	     "10-nono-nri\n"
#define NEW_DIR	     KF_PREDECESSOR_DIR ".new"

/* ---- its tables in containerd's configuration ---- */

/* The tables as its node set-up appends them: a header, and keys in this order. */
static const struct {
	unsigned what;
	const char *header;
	const char *keys[5]; /* the beginnings of lines */
} tables[] = {
	{KF_PREDECESSOR_HANDLER,
	 "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc]",
	 {"runtime_type = \"io.containerd.runc.v2\""}},
	{KF_PREDECESSOR_NRI,
	 "[plugins.\"io.containerd.nri.v1.nri\"]",
	 {"disable = false", "socket_path = \"", "plugin_path = \"", "plugin_config_path = \""}},
};

/* Line @i of @l without the white space around it. */
static struct kf_line trimmed_line(const struct kf_lines *l, size_t i)
{
	struct kf_line line = l->v[i];

	while (line.n && strchr(" \t", line.p[0]))
		line.p++, line.n--;
	while (line.n && strchr(" \t\r\n", line.p[line.n - 1]))
		line.n--;
	return line;
}

static bool is_blank(const struct kf_lines *l, size_t i)
{
	return i < l->n && trimmed_line(l, i).n == 0;
}

static bool begins_with(const struct kf_lines *l, size_t i, const char *with)
{
	struct kf_line line = i < l->n ? trimmed_line(l, i) : (struct kf_line){"", 0};

	return line.n >= strlen(with) && memcmp(line.p, with, strlen(with)) == 0;
}

/* The number of lines of table @t at line @i; 0 if it is not there, or has more in it. */
static size_t table_at(const struct kf_lines *l, size_t i, size_t t)
{
	size_t n = 1;

	if (!begins_with(l, i, tables[t].header) ||
	    trimmed_line(l, i).n != strlen(tables[t].header))
		return 0;
	for (size_t k = 0; k < KF_ARRAY_SIZE(tables[t].keys) && tables[t].keys[k]; k++, n++)
		if (!begins_with(l, i + n, tables[t].keys[k]))
			return 0;
	return i + n == l->n || is_blank(l, i + n) || begins_with(l, i + n, "[") ? n : 0;
}

/* Whether @name is in @text more than once: then somebody has written more about it. */
static bool is_repeated(const char *text, size_t n, const char *name)
{
	const char *first = memmem(text, n, name, strlen(name));
	size_t rest = first ? n - (size_t)(first + 1 - text) : 0;

	return first && memmem(first + 1, rest, name, strlen(name));
}

unsigned kf_predecessor_strip(const char *text, size_t n, unsigned which, struct kf_buf *out)
{
	struct kf_lines l;
	unsigned found = 0;

	if (is_repeated(text, n, KF_NODE_HANDLER))
		which &= ~(unsigned)KF_PREDECESSOR_HANDLER;
	if (kf_lines_split(text, n, &l) < 0) {
		out->failed = true;
		return 0;
	}
	for (size_t i = 0; i < l.n;) {
		size_t take = 0,
		       gap = is_blank(&l,
				      i); /* its set-up writes an empty line before each table */

		for (size_t t = 0; t < KF_ARRAY_SIZE(tables) && !take; t++) {
			take = tables[t].what & which ? table_at(&l, i + gap, t) : 0;
			found |= take ? tables[t].what : 0;
		}
		if (!take)
			kf_buf_add(out, l.v[i].p, l.v[i].n);
		i += take ? gap + take : 1;
	}
	kf_lines_done(&l);
	return found;
}

/* The file to which its node set-up appends. */
static const char *config_path(const struct kf_node *node)
{
	const struct kf_distro *d = node->distro;

	return d->kind != KF_RUNTIME_CONTAINERD ? NULL : d->edit ? d->edit : d->config;
}

static bool does_parse(const char *text, size_t n, const char *path)
{
	struct kf_toml toml;
	struct kf_err err;

	if (kf_toml_parse(text, n, path, &toml, &err) < 0)
		return false;
	kf_toml_done(&toml);
	return true;
}

/* Write into @ret, which the caller releases, the text of the configuration without the NRI table,
 * if only that keeps it from being parsed; otherwise ret->p is NULL. */
static int without_second_nri(const struct kf_node *node, struct kf_buf *ret, struct kf_err *err)
{
	const char *path = config_path(node);
	KF_FREE char *text = NULL;
	size_t n;

	if (!path)
		return 0;
	if (kf_host_read(&node->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (does_parse(text, n, path))
		return 0;
	if (!kf_predecessor_strip(text, n, KF_PREDECESSOR_NRI, ret) || ret->failed ||
	    !does_parse(ret->p ? ret->p : "", ret->n, path)) {
		kf_buf_done(ret);
		*ret = (struct kf_buf)KF_BUF_INIT(KF_LIMIT_CONFIG);
	}
	return 0;
}

static int repair_config(const struct kf_node *node, bool *ret_changed, struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *path = config_path(node);
	int r = without_second_nri(node, &text, err);

	if (r == 0 && text.p) {
		r = kf_host_rewrite(&node->host, path, text.p, text.n, err);
		if (r == 0)
			node->say(node->ctx, "repaired", path,
				  "the second table of NRI is out, which an earlier "
				  "implementation appended; containerd 2 would not have started");
		*ret_changed = true;
	}
	kf_buf_done(&text);
	return r;
}

/* ---- the launcher's directory ---- */

static void join_path(const char *dir, const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", dir, name);
}

static void launcher_dir(const struct kf_node *node, char *out, size_t size)
{
	/* Commands that only look at the node name no launcher. */
	const char *path = node->options->launcher ? node->options->launcher : KF_NODE_LAUNCHER;

	(void)snprintf(out, size, "%.*s", (int)(kf_path_base(path) - path - 1), path);
}

/* Make the directory for kept files, with mode and owner of the launcher's directory; nothing
 * happens if that does not exist. */
static int keep_directory(const struct kf_node *node, struct kf_err *err)
{
	KF_CLOSE int from = -1, to = -1;
	char dir[PATH_MAX];
	struct stat st;

	launcher_dir(node, dir, sizeof(dir));
	if (kf_host_exists(&node->host, KF_PREDECESSOR_DIR))
		return 0;
	if (kf_host_dir(&node->host, dir, false, &from, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (fstat(from, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", dir);
	/* It is made under a temporary name, so that under its own it is always complete. */
	if (kf_host_dir(&node->host, NEW_DIR, true, &to, err) < 0)
		return -1;
	if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return kf_fail_sys(err, "'%s': owner and mode", NEW_DIR);
	return kf_host_rename(&node->host, NEW_DIR, KF_PREDECESSOR_DIR, err);
}

/* Remove temporary files of killed writers in directory @dir. */
static int sweep_directory(const struct kf_node *node, const char *dir, struct kf_err *err)
{
	char pattern[PATH_MAX];
	char **list;
	int r = 0;

	join_path(dir, ".*.tmp", pattern, sizeof(pattern));
	if (kf_host_glob(&node->host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = kf_host_remove(&node->host, *p, err);
	kf_host_list_free(list);
	return r;
}

/* Keep a copy of file @path, whose contents are @text. */
static int keep_file(const struct kf_node *node, const char *path, const char *text, size_t n,
		     mode_t mode, struct kf_err *err)
{
	char kept[PATH_MAX];

	join_path(KF_PREDECESSOR_DIR, kf_path_base(path), kept, sizeof(kept));
	if (keep_directory(node, err) < 0)
		return -1;
	if (kf_host_exists(&node->host, kept))
		return 0;
	return kf_host_write(&node->host, kept, text, n, mode, err);
}

/* Read contents and mode of regular file @path; *ret is NULL if it is not one. */
static int read_file(const struct kf_node *node, const char *path, size_t max, char **ret,
		     size_t *ret_n, mode_t *ret_mode, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	struct stat st;

	*ret = NULL;
	if (kf_host_fd(&node->host, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &fd, err) < 0)
		return err->code == ENOENT || err->code == ELOOP ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", path);
	*ret_mode = st.st_mode & 07777;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max)
		return 0;
	return kf_fd_slurp(fd, path, max, ret, ret_n, err);
}

/* Whether @text is "#!/bin/sh" and one line that calls the launcher for a program named by its
 * path. */
static bool is_script(const char *text, size_t n)
{
	const size_t head = strlen(SCRIPT_HEAD), tail = strlen(SCRIPT_TAIL);

	return n > head + tail && memcmp(text, SCRIPT_HEAD "/", head + 1) == 0 &&
	       memcmp(text + n - tail, SCRIPT_TAIL, tail) == 0 &&
	       !memchr(text + head, '\n', n - head - 1);
}

typedef int on_script(const struct kf_node *node, const char *path, const char *text, size_t n,
		      mode_t mode, struct kf_err *err);

/* Call @each, if it is given, for each of the predecessor's scripts; *ret_n is their number. */
static int each_script(const struct kf_node *node, on_script *each, unsigned *ret_n,
		       struct kf_err *err)
{
	char dir[PATH_MAX], pattern[PATH_MAX + 2];
	char **list;
	int r = 0;

	*ret_n = 0;
	launcher_dir(node, dir, sizeof(dir));
	join_path(dir, "*", pattern, sizeof(pattern));
	if (kf_host_glob(&node->host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		KF_FREE char *text = NULL;
		mode_t mode = 0;
		size_t n = 0;

		r = read_file(node, *p, SCRIPT_MAX, &text, &n, &mode, err);
		if (r < 0 || !text || !is_script(text, n))
			continue;
		++*ret_n;
		if (each)
			r = each(node, *p, text, n, mode, err);
	}
	kf_host_list_free(list);
	return r;
}

static int take_script(const struct kf_node *node, const char *path, const char *text, size_t n,
		       mode_t mode, struct kf_err *err)
{
	if (keep_file(node, path, text, n, mode, err) < 0 ||
	    kf_host_remove(&node->host, path, err) < 0)
		return -1;
	node->say(node->ctx, "cleaned", path, "a script of an earlier implementation");
	return 0;
}

int kf_predecessor_clean(const struct kf_node *node, bool *ret_changed, struct kf_err *err)
{
	struct kf_in_use pods = {0};
	char why[256], dir[PATH_MAX];
	unsigned n;

	if (repair_config(node, ret_changed, err) < 0 || each_script(node, NULL, &n, err) < 0)
		return -1;
	if (!n)
		return 0;
	/* Its pods have these scripts first in their PATH: they sandbox programs that are started
	 * by name. */
	if (kf_payload_outside(node, &pods, err) < 0)
		return -1;
	if (pods.n) {
		launcher_dir(node, dir, sizeof(dir));
		(void)snprintf(why, sizeof(why),
			       "scripts of an earlier implementation stay for pods from before: %s",
			       pods.names);
		node->say(node->ctx, "note", dir, why);
		return 0;
	}
	*ret_changed = true;
	return each_script(node, take_script, &n, err);
}

int kf_predecessor_keep(const struct kf_node *node, const char *path, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char dir[PATH_MAX];
	KF_CLOSE int fd = -1;
	struct stat st;
	mode_t mode = 0;
	size_t n = 0;

	if (strcmp(path, node->options->launcher) != 0)
		return 0;
	launcher_dir(node, dir, sizeof(dir));
	if (kf_host_dir(&node->host, dir, false, &fd, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", dir);
	if (!kf_dir_is_public(&st) && keep_directory(node, err) < 0)
		return -1;
	if (read_file(node, path, LAUNCHER_MAX, &text, &n, &mode, err) < 0)
		return -1;
	return !text || memmem(text, n, OUR_LAUNCHER, strlen(OUR_LAUNCHER))
		       ? 0
		       : keep_file(node, path, text, n, mode, err);
}

/* Restore the kept file @path. */
static int put_back(const struct kf_node *node, const char *dir, const char *path,
		    struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char target[PATH_MAX];
	mode_t mode = 0;
	size_t n = 0;

	join_path(dir, kf_path_base(path), target, sizeof(target));
	if (read_file(node, path, LAUNCHER_MAX, &text, &n, &mode, err) < 0)
		return -1;
	if (text && kf_host_write(&node->host, target, text, n, mode, err) < 0)
		return -1;
	if (text)
		node->say(node->ctx, "restored", target, "");
	return kf_host_remove(&node->host, path, err);
}

int kf_predecessor_restore(const struct kf_node *node, struct kf_err *err)
{
	KF_CLOSE int from = -1, to = -1;
	char dir[PATH_MAX];
	struct stat st;
	char **list;
	int r = 0;

	kf_host_rmdir(&node->host, NEW_DIR);
	if (!kf_host_exists(&node->host, KF_PREDECESSOR_DIR))
		return 0;
	launcher_dir(node, dir, sizeof(dir));
	if (kf_host_glob(&node->host, KF_PREDECESSOR_DIR "/*", &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = put_back(node, dir, *p, err);
	kf_host_list_free(list);
	if (r < 0 || sweep_directory(node, dir, err) < 0 ||
	    sweep_directory(node, KF_PREDECESSOR_DIR, err) < 0 ||
	    kf_host_dir(&node->host, KF_PREDECESSOR_DIR, false, &from, err) < 0 ||
	    kf_host_dir(&node->host, dir, true, &to, err) < 0)
		return -1;
	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0)
		return kf_fail_sys(err, "'%s': owner and mode", dir);
	kf_host_rmdir(&node->host, KF_PREDECESSOR_DIR);
	return 0;
}

/* ---- for people ---- */

/* Find a process of its plugin. */
static bool find_plugin(const struct kf_node *node, char ret[static 256])
{
	bool found = false;
	struct kf_err err;
	struct dirent *de;
	DIR *dir;
	int fd;

	if (kf_host_dir(&node->host, "/proc", false, &fd, &err) < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return false;
	}
	while (!found && (de = readdir(dir))) {
		char path[300], comm[32] = "";
		KF_CLOSE int at = -1;

		(void)snprintf(path, sizeof(path), "%s/comm", de->d_name);
		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		at = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
		found = at >= 0 && read(at, comm, sizeof(comm) - 1) > 0 &&
			strcmp(comm, PLUGIN) == 0;
		if (found)
			(void)snprintf(ret, 256,
				       "the plugin of an earlier implementation runs, process "
				       "%.20s: two would change each container; delete its "
				       "DaemonSet, see docs/migrate.md",
				       de->d_name);
	}
	(void)closedir(dir);
	return found;
}

bool kf_predecessor_find(const struct kf_node *node, char ret[static 256], bool *ret_runs)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *path = config_path(node);
	KF_FREE char *now = NULL;
	char dir[PATH_MAX];
	unsigned count = 0;
	struct kf_err err;
	bool broken;
	size_t n;

	*ret_runs = find_plugin(node, ret);
	if (*ret_runs)
		return true;
	broken = without_second_nri(node, &text, &err) == 0 && text.p;
	kf_buf_done(&text);
	if (broken) {
		(void)snprintf(ret, 256,
			       "'%s' has a second table of NRI, which an earlier implementation "
			       "appended: containerd 2 does not start with it; 'kubefence node "
			       "install' takes it out",
			       path);
		return true;
	}
	/* If our drop-in is installed, it replaces the table. */
	if (path && !node->journal.exists &&
	    kf_host_read(&node->host, path, KF_LIMIT_CONFIG, &now, &n, &err) == 0) {
		text = (struct kf_buf)KF_BUF_INIT(KF_LIMIT_CONFIG);
		count = kf_predecessor_strip(now, n, KF_PREDECESSOR_HANDLER, &text);
		kf_buf_done(&text);
	}
	if (count) {
		(void)snprintf(ret, 256,
			       "'%s' has the handler nono-runc as an earlier implementation "
			       "appended it; 'kubefence node install' makes it anew",
			       path);
		return true;
	}
	launcher_dir(node, dir, sizeof(dir));
	if (each_script(node, NULL, &count, &err) < 0 || !count)
		return false;
	(void)snprintf(
		ret, 256,
		"%u scripts of an earlier implementation lie in '%s'; 'kubefence node install' "
		"takes them away once no pod from before runs",
		count, dir);
	return true;
}

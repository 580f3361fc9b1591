/* SPDX-License-Identifier: Apache-2.0 */
/* The files of CRI-O's configuration in the order in which it reads them: it walks crio.conf.d
 * (Go's filepath.Walk), and reads every file there as configuration.  What is changed is decided in
 * crio.c. */
#include "node/crio_files.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "host/run.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 1024
#define CRIO_MS	  20000

/* Compare two paths in the order of a walk.  The files of a directory come in the directory's
 * place, so the slash sorts before everything. */
static int by_walk(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	if (!*a || !*b || (*a != '/' && *b != '/'))
		return (unsigned char)*a - (unsigned char)*b;
	return *a == '/' ? -1 : 1;
}

static int compare_paths(const void *a, const void *b)
{
	return by_walk(*(char *const *)a, *(char *const *)b);
}

bool kf_crio_before(const char *a, const char *b)
{
	return by_walk(a, b) < 0;
}

struct crio_walk {
	const struct kf_host *host;
	char **files, **dirs;
	size_t nfiles, ndirs;
};

/* Add @path: a directory is read later, anything else is a file to CRI-O. */
static int add_entry(struct crio_walk *w, const char *path, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	struct stat st;
	char *copy;

	if (kf_host_fd(w->host, path, O_PATH | O_NOFOLLOW, &fd, err) < 0)
		return err->code == ENOENT ? 0 : -1; /* it was removed meanwhile */
	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", path);
	if (w->nfiles == FILES_MAX || w->ndirs == FILES_MAX)
		return kf_fail(err, E2BIG, "'%s': more than %d configuration files", path,
			       FILES_MAX);
	copy = strdup(path);
	if (!copy)
		return kf_fail_nomem(err, path);
	if (S_ISDIR(st.st_mode))
		w->dirs[w->ndirs++] = copy;
	else
		w->files[w->nfiles++] = copy;
	return 0;
}

static int add_matches(struct crio_walk *w, const char *dir, const char *star, struct kf_err *err)
{
	KF_FREE char *pattern = NULL;
	char **found;
	int r = 0;

	if (asprintf(&pattern, "%s/%s", dir, star) < 0) {
		pattern = NULL;
		return kf_fail_nomem(err, dir);
	}
	if (kf_host_glob(w->host, pattern, &found, err) < 0)
		return -1;
	for (char **p = found; *p && r == 0; p++) {
		const char *name = kf_path_base(*p);

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = add_entry(w, *p, err);
	}
	kf_host_list_free(found);
	return r;
}

int kf_crio_walk(const struct kf_host *host, const char *dir, char ***ret, struct kf_err *err)
{
	struct crio_walk w = {host, calloc(FILES_MAX + 1, sizeof(char *)),
			      calloc(FILES_MAX + 1, sizeof(char *)), 0, 0};
	int r = -1;

	if (!w.files || !w.dirs || !(w.dirs[w.ndirs++] = strdup(dir)))
		(void)kf_fail_nomem(err, dir);
	else
		r = 0;
	for (size_t i = 0; r == 0 && i < w.ndirs; i++)
		if (add_matches(&w, w.dirs[i], ".*", err) < 0 ||
		    add_matches(&w, w.dirs[i], "*", err) < 0)
			r = -1;
	kf_host_list_free(w.dirs);
	if (r < 0) {
		kf_host_list_free(w.files);
		return -1;
	}
	qsort(w.files, w.nfiles, sizeof(*w.files), compare_paths);
	*ret = w.files;
	return 0;
}

int kf_crio_says(const struct kf_node *node, const char *program, bool builtin,
		 struct kf_arena *arena, const char **ret, size_t *ret_n, struct kf_err *err)
{
	const char *argv[] = {program, "config", builtin ? "--default" : NULL, NULL};
	struct kf_run run;
	char *copy;
	int r = 0;

	if (kf_run_host(&node->host, argv, CRIO_MS, KF_LIMIT_CONFIG, &run, err) < 0)
		return -1;
	copy = kf_arena_strdup(arena, run.out);
	if (run.status != 0)
		r = kf_fail(err, EINVAL, "crio does not accept its configuration: %s", run.why);
	else if (!copy)
		r = kf_fail_nomem(err, "configuration dump");
	if (r == 0) {
		*ret = copy;
		*ret_n = run.n;
	}
	kf_run_done(&run);
	return r;
}

/* Read @path as one more file, if it exists. */
static int read_file(const struct kf_node *node, struct kf_crio_files *files, const char *path,
		     struct kf_err *err)
{
	struct kf_crio_file *f = &files->v[files->n];

	if (kf_host_read(&node->host, path, KF_LIMIT_CONFIG, &f->text, &f->n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	files->n++;
	f->path = strdup(path);
	if (!f->path)
		return kf_fail_nomem(err, path);
	if (kf_toml_parse(f->text, f->n, path, &f->toml, err) < 0)
		return -1;
	f->parsed = true;
	return 0;
}

int kf_crio_files_read(const struct kf_node *node, const char *dropin, struct kf_crio_files *ret,
		       struct kf_err *err)
{
	char **list;
	int r = 0;

	*ret = (struct kf_crio_files){.v = calloc(FILES_MAX + 1, sizeof(*ret->v))};
	if (!ret->v)
		return kf_fail_nomem(err, "configuration files");
	if (read_file(node, ret, node->distro->config, err) < 0 ||
	    kf_crio_walk(&node->host, node->distro->dropins, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		if (strcmp(*p, dropin) != 0)
			r = read_file(node, ret, *p, err);
	kf_host_list_free(list);
	return r;
}

static void file_done(struct kf_crio_file *f)
{
	if (f->parsed)
		kf_toml_done(&f->toml);
	free(f->text);
	free(f->path);
}

void kf_crio_files_done(struct kf_crio_files *files)
{
	for (size_t i = 0; files->v && i < files->n; i++)
		file_done(&files->v[i]);
	file_done(&files->builtin);
	free(files->v);
	*files = (struct kf_crio_files){0};
}

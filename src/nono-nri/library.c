/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the profiles of profiles_dir and publishes them beside the launcher, for launcher and
 * guard. profiles.c then reads what can be used. */
#include "nono-nri/library.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/path.h"
#include "profile/profile.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX   1024
#define TRIES_MAX   5
#define VOLUME	    "..data"
#define DIR_NAME    "profiles"
/* The names of files that are not ours, for one message. */
#define FOREIGN_MAX 4096
/* Filled and then renamed: once the directory exists, what is not in it does not exist. */
#define NEW_NAME    ".profiles.new"

struct publisher {
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct kf_profile_source *v;
	size_t n;
	int dirfd; /* where compiled profiles go */
};

/* ---- sources ---- */

static int by_name(const void *a, const void *b)
{
	const struct kf_profile_source *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->file, y->file);
}

/* Where sources are read from: profiles_dir, or what its "..data" leads to. */
struct place {
	const char *dir; /* as configured, for messages */
	int fd;
	struct stat st;
	bool volume; /* a ConfigMap's */
};

static void read_source(struct publisher *p, const struct place *place, const char *file,
			const char *name)
{
	struct kf_profile_source *s = &p->v[p->n];
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = -1;
	struct kf_err err;
	char *copy;
	size_t n;

	s->name = kf_arena_strdup(p->arena, name);
	s->file = kf_arena_printf(p->arena, "%s/%s", place->dir, file);
	if (!s->name || !s->file) {
		p->diags->nomem = true;
		return;
	}
	fd = openat(place->fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || kf_fd_slurp(fd, s->file, KF_LIMIT_PROFILE_JSON, &text, &n, &err) < 0) {
		kf_diag_warning(p->diags, &(struct kf_origin){.file = s->file},
				"profile '%s' is not updated: %s", name,
				fd < 0 ? strerror(errno) : err.msg);
		/* Its name exists nevertheless: an empty text does not compile. */
		n = 0;
	}
	copy = kf_arena_alloc(p->arena, n + 1);
	if (!copy) {
		p->diags->nomem = true;
		return;
	}
	if (n)
		memcpy(copy, text, n);
	s->text = copy;
	s->n = n;
	p->n++;
}

static int open_place(const char *dir, struct place *ret)
{
	struct place out = {.dir = dir, .fd = -1};
	KF_CLOSE int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return -1;
	out.fd = openat(top, VOLUME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	out.volume = out.fd >= 0;
	if (out.fd < 0 && errno != ENOENT)
		return -1;
	if (out.fd < 0)
		out.fd = kf_steal_fd(&top);
	if (fstat(out.fd, &out.st) < 0) {
		(void)close(out.fd);
		return -1;
	}
	*ret = out;
	return 0;
}

/* Whether the volume's contents were replaced, and those at @place maybe removed, meanwhile. */
static bool was_replaced(const struct place *place)
{
	KF_FREE char *path = NULL;
	struct stat st;

	if (!place->volume)
		return false;
	if (asprintf(&path, "%s/" VOLUME, place->dir) < 0) {
		path = NULL;
		return true;
	}
	return stat(path, &st) < 0 || st.st_dev != place->st.st_dev ||
	       st.st_ino != place->st.st_ino;
}

/* Every profile at @place, which is closed. */
static void read_place(struct publisher *p, struct place *place)
{
	DIR *d = fdopendir(place->fd);
	struct dirent *e;

	if (!d) {
		(void)close(place->fd);
		p->diags->nomem = true;
		return;
	}
	for (;;) {
		char name[KF_LIMIT_PROFILE_NAME + 1];

		errno = 0;
		e = p->diags->nomem ? NULL : readdir(d);
		if (!e && errno) /* a built-in profile must not count in one's place */
			kf_diag_error(p->diags, &(struct kf_origin){.file = place->dir},
				      "profiles_dir: cannot be read: %s", strerror(errno));
		if (!e)
			break;
		if (!kf_profile_file_name(e->d_name, name, sizeof(name)))
			continue;
		if (p->n == FILES_MAX) {
			kf_diag_warning(p->diags, &(struct kf_origin){.file = place->dir},
					"more than %d profiles: the rest is ignored", FILES_MAX);
			break;
		}
		read_source(p, place, e->d_name, name);
	}
	(void)closedir(d);
}

/* The files of a ConfigMap change all at once, by a rename of "..data", and may name one another
 * in "extends": they are read through one directory, and again if that was replaced meanwhile. */
static int read_sources(struct publisher *p, const char *dir)
{
	const struct kf_diags before = *p->diags;
	struct place place;

	for (unsigned tries = 1;; tries++) {
		if (open_place(dir, &place) < 0) {
			kf_diag_error(
				p->diags, &(struct kf_origin){.file = dir},
				"profiles_dir: cannot be read: %s; create it, or remove the key",
				strerror(errno));
			return -1;
		}
		p->n = 0;
		*p->diags = before;
		read_place(p, &place);
		if (!was_replaced(&place))
			break;
		if (tries == TRIES_MAX) {
			kf_diag_error(p->diags, &(struct kf_origin){.file = dir},
				      "profiles_dir: changes faster than it can be read");
			return -1;
		}
	}
	qsort(p->v, p->n, sizeof(*p->v), by_name);
	memcpy(p->v + p->n, kf_profile_builtins, kf_nprofile_builtins * sizeof(*p->v));
	p->n += kf_nprofile_builtins;
	return p->diags->nomem || p->diags->nerrors != before.nerrors ? -1 : 0;
}

/* ---- compiled ---- */

static int write_profile(const struct publisher *p, const char *name, const char *text, size_t n,
			 struct kf_err *err)
{
	KF_FREE char *old = NULL;
	size_t nold;

	if (kf_file_slurp(p->dirfd, name, KF_LIMIT_POLICY_TEXT, &old, &nold, KF_ERR_IGNORED) == 0 &&
	    nold == n && memcmp(old, text, n) == 0)
		return 0;
	return kf_file_replace(p->dirfd, name, text, n, 0644, err);
}

static void note_rejected(struct publisher *p, struct kf_library_names *names, const char *name,
			  const char *why)
{
	struct kf_library_rejected *r = &names->rejected[names->nrejected];

	if (names->nrejected == KF_LIBRARY_REJECTED)
		return;
	r->name = name;
	r->why = kf_arena_strdup(p->arena, why);
	if (r->why)
		names->nrejected++;
	else
		p->diags->nomem = true;
}

static int compile_profile(struct publisher *p, const struct kf_profile_source *source,
			   struct kf_library_names *names)
{
	const struct kf_profile_library library = {p->v, p->n};
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_compiled compiled;
	struct kf_diags diags;
	struct kf_err err;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&diags, &arena);
	if (kf_profile_compile(&library, source->name, &arena, &diags, &compiled, &err) < 0) {
		for (size_t i = 0; i < diags.n; i++)
			if (!diags.v[i].warning)
				kf_diag_warning(p->diags,
						&(struct kf_origin){
							.file = kf_arena_strdup(p->arena,
										diags.v[i].at.file),
							.line = diags.v[i].at.line,
							.column = diags.v[i].at.column},
						"profile '%s' is not updated: %s", source->name,
						diags.v[i].msg);
		if (!diags.n)
			kf_diag_warning(p->diags, &(struct kf_origin){.file = source->file},
					"profile '%s' is not updated: %s", source->name, err.msg);
		note_rejected(p, names, source->name, err.msg);
		return 0;
	}
	if (write_profile(p, source->name, compiled.text, compiled.n, &err) == 0)
		return 0;
	kf_diag_error(p->diags, &(struct kf_origin){.file = source->file},
		      "profile '%s' cannot be published: %s", source->name, err.msg);
	return -1;
}

static int compile_all(struct publisher *p, struct kf_library_names *names)
{
	for (size_t i = 0; i < p->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < names->n && !seen; k++)
			seen = strcmp(names->v[k], p->v[i].name) == 0;
		if (seen)
			continue;
		names->v[names->n++] = p->v[i].name;
		if (compile_profile(p, &p->v[i], names) < 0)
			return -1;
	}
	return 0;
}

/* ---- the directory ---- */

static const char *launcher_dir(const struct kf_config *config, struct kf_arena *arena)
{
	const char *launcher = config->settings.launcher;

	return kf_arena_printf(arena, "%.*s", (int)(strrchr(launcher, '/') - launcher), launcher);
}

/* What lies beside the launcher and is not ours, such as what a predecessor left. */
static void list_foreign(int dirfd, const char *launcher, struct kf_buf *out)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		kf_buf_addf(out, "not known: %s", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, launcher) != 0 &&
		    strcmp(e->d_name, DIR_NAME) != 0)
			kf_buf_addf(out, "%s%s", out->n ? " " : "", e->d_name);
	(void)closedir(d);
}

int kf_library_put_right(const struct kf_config *config, struct kf_arena *arena,
			 struct kf_diags *diags)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf foreign = KF_BUF_INIT(FOREIGN_MAX);
	const char *dir = launcher_dir(config, arena);
	KF_CLOSE int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct kf_err err;
	bool changed;
	int r;

	if (!dir) {
		diags->nomem = true;
		return -1;
	}
	r = fd < 0 ? kf_fail_sys(&err, "cannot be opened")
		   : kf_dir_make_public(fd, dir, &changed, &err);
	if (r < 0) {
		kf_diag_error(diags, &(struct kf_origin){.file = dir}, "%s", err.msg);
		return -1;
	}
	if (!changed)
		return 0;
	list_foreign(fd, kf_path_base(config->settings.launcher), &foreign);
	kf_log(KF_LOG_WARN, "directory-put-right", {"directory", dir},
	       {"reason", "it was not readable for the users of containers, or not root's alone"},
	       {"foreign", foreign.failed ? "more than can be named" : foreign.p});
	return 0;
}

static int publish_into(struct publisher *p, int parent, struct kf_library_names *names,
			const char *dir)
{
	struct kf_origin at = {.file = dir};
	bool fresh = false;

	p->dirfd = openat(parent, DIR_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->dirfd < 0 && errno == ENOENT) {
		fresh = true;
		if (mkdirat(parent, NEW_NAME, 0755) < 0 && errno != EEXIST) {
			kf_diag_error(p->diags, &at, "cannot be written: %s", strerror(errno));
			return -1;
		}
		p->dirfd =
			openat(parent, NEW_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (p->dirfd < 0 || fchmod(p->dirfd, 0755) < 0) {
		kf_diag_error(p->diags, &at, "cannot be opened: %s", strerror(errno));
		return -1;
	}
	if (compile_all(p, names) < 0)
		return -1;
	if (fresh && renameat(parent, NEW_NAME, parent, DIR_NAME) < 0) {
		kf_diag_error(p->diags, &at, "cannot be made: %s", strerror(errno));
		return -1;
	}
	return 0;
}

int kf_library_publish(const struct kf_config *config, struct kf_arena *arena,
		       struct kf_library_names *ret, struct kf_diags *diags)
{
	struct publisher p = {.arena = arena, .diags = diags, .dirfd = -1};
	const char *dir = launcher_dir(config, arena);
	const size_t most = FILES_MAX + kf_nprofile_builtins;
	struct kf_library_names names = {.v = kf_arena_calloc(arena, most, sizeof(*names.v))};
	KF_CLOSE int parent = -1;
	int r;

	p.v = kf_arena_calloc(arena, most, sizeof(*p.v));
	if (!dir || !names.v || !p.v) {
		diags->nomem = true;
		return -1;
	}
	if (read_sources(&p, config->profiles_dir) < 0)
		return -1;
	parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0) {
		kf_diag_error(diags, &(struct kf_origin){.file = dir}, "cannot be opened: %s",
			      strerror(errno));
		return -1;
	}
	r = publish_into(&p, parent, &names, dir);
	if (p.dirfd >= 0)
		(void)close(p.dirfd);
	*ret = names;
	return r;
}

void kf_library_prune(const struct kf_config *config, const struct kf_state *state)
{
	const char *launcher = config->settings.launcher;
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (!config->profiles_dir)
		return;
	(void)snprintf(path, sizeof(path), "%.*s/" DIR_NAME,
		       (int)(strrchr(launcher, '/') - launcher), launcher);
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (!kf_profile_name_valid(e->d_name) ||
		    kf_settings_profile(&config->settings, e->d_name) ||
		    kf_state_uses_profile(state, e->d_name))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			kf_log(KF_LOG_INFO, "profile-removed", {"profile", e->d_name});
	}
	(void)closedir(d);
}

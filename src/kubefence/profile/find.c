/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and reading profiles for commands: from directories, files and the built-in ones.  They
 * are compiled in src/profile. */
#include "kubefence/profile/find.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/print.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX	1024
/* The texts of all files of a few directories, and the compiled ones. */
#define PROFILES_MEMORY ((size_t)4 * KF_LIMIT_PROFILE_MEMORY)

void kf_profiles_init(struct kf_profiles *profiles)
{
	*profiles = (struct kf_profiles){
		.library = {kf_profile_builtins, kf_nprofile_builtins},
	};
	kf_arena_init(&profiles->arena, PROFILES_MEMORY);
}

void kf_profiles_done(struct kf_profiles *profiles)
{
	kf_arena_done(&profiles->arena);
}

static int by_name(const void *a, const void *b)
{
	const struct kf_profile_source *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->file, y->file);
}

static int read_source(struct kf_profiles *profiles, const char *dir, const char *file,
		       struct kf_profile_source *ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = -1;
	char name[KF_LIMIT_PROFILE_NAME + 1];
	char *copy, *path;
	size_t n;

	path = kf_arena_printf(&profiles->arena, "%s%s%s", dir,
			       *dir && strcmp(dir, "/") != 0 ? "/" : "", file);
	if (!path)
		return kf_fail_nomem(err, "profiles");
	if (!kf_profile_file_name(file, name, sizeof(name)))
		return kf_fail(err, EINVAL,
			       "'%s': a profile is JSON, in a file called NAME.json or NAME.jsonc "
			       "with letters, digits, '_' and '-'",
			       path);
	/* No O_NOFOLLOW: the files of a ConfigMap are symlinks. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", path);
	if (kf_fd_slurp(fd, path, KF_LIMIT_PROFILE_JSON, &text, &n, err) < 0)
		return -1;
	copy = kf_arena_alloc(&profiles->arena, n + 1);
	ret->name = kf_arena_strdup(&profiles->arena, name);
	if (!copy || !ret->name)
		return kf_fail_nomem(err, "profiles");
	memcpy(copy, text, n);
	ret->file = path;
	ret->text = copy;
	ret->n = n;
	return 0;
}

/* Insert @n sources: in front of all others if @first, otherwise before the built-in ones. */
static int insert_sources(struct kf_profiles *profiles, const struct kf_profile_source *v, size_t n,
			  bool first, struct kf_err *err)
{
	const size_t have = profiles->library.n;
	const size_t at = first ? 0 : have - kf_nprofile_builtins;
	struct kf_profile_source *all = kf_arena_calloc(&profiles->arena, have + n, sizeof(*all));

	if (!all)
		return kf_fail_nomem(err, "profiles");
	memcpy(all, profiles->library.v, at * sizeof(*all));
	if (n)
		memcpy(all + at, v, n * sizeof(*all));
	memcpy(all + at + n, profiles->library.v + at, (have - at) * sizeof(*all));
	profiles->library = (struct kf_profile_library){all, have + n};
	return 0;
}

static int add_dir(struct kf_profiles *profiles, const char *dir, bool first, struct kf_err *err)
{
	struct kf_profile_source *v = calloc(FILES_MAX, sizeof(*v));
	DIR *d = opendir(*dir ? dir : ".");
	const struct dirent *entry;
	char name[KF_LIMIT_PROFILE_NAME + 1];
	size_t n = 0;
	int r = 0;

	if (!v || !d) {
		r = v ? kf_fail_sys(err, "open directory '%s'", *dir ? dir : ".")
		      : kf_fail_nomem(err, "profiles");
		goto out;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(d);
		if (!entry && errno)
			r = kf_fail_sys(err, "read directory '%s'", dir);
		if (!entry)
			break;
		if (!kf_profile_file_name(entry->d_name, name, sizeof(name)))
			continue;
		if (n == FILES_MAX)
			r = kf_fail(err, E2BIG, "'%s' holds more than %d profiles", dir, FILES_MAX);
		else
			r = read_source(profiles, dir, entry->d_name, &v[n++], err);
	}
	if (r == 0) {
		qsort(v, n, sizeof(*v), by_name);
		r = insert_sources(profiles, v, n, first, err);
	}
out:
	if (d)
		closedir(d);
	free(v);
	return r;
}

int kf_profiles_add_dir(struct kf_profiles *profiles, const char *dir, struct kf_err *err)
{
	if (profiles->ndirs == KF_PROFILE_DIRS_MAX)
		return kf_fail(err, E2BIG, "more than %d directories", KF_PROFILE_DIRS_MAX);
	if (add_dir(profiles, dir, false, err) < 0)
		return -1;
	profiles->dirs[profiles->ndirs++] = dir;
	return 0;
}

int kf_profiles_add_dirs(struct kf_profiles *profiles, const struct kf_option_list *dirs,
			 struct kf_err *err)
{
	for (size_t i = 0; i < dirs->n; i++)
		if (kf_profiles_add_dir(profiles, dirs->v[i], err) < 0)
			return -1;
	return 0;
}

bool kf_profiles_is_file(const char *what)
{
	return strpbrk(what, "/.") != NULL;
}

int kf_profiles_find(struct kf_profiles *profiles, const char *what, const char **ret,
		     struct kf_err *err)
{
	const char *base = kf_path_base(what);
	struct kf_profile_source source;
	const char *dir;
	char *copy;

	if (!kf_profiles_is_file(what)) {
		*ret = what;
		return 0;
	}
	copy = kf_arena_strdup(&profiles->arena, what);
	if (!copy)
		return kf_fail_nomem(err, "profiles");
	copy[base == what ? 0 : base - what - 1] = '\0';
	dir = *copy || base == what ? copy : "/";
	/* Its neighbours may be its bases.  The file itself counts before a neighbour of the same
	 * name with the other ending. */
	if (read_source(profiles, dir, base, &source, err) < 0 ||
	    add_dir(profiles, dir, true, err) < 0)
		return -1;
	for (size_t i = 0; i < profiles->library.n; i++) {
		if (strcmp(profiles->library.v[i].file, source.file) == 0) {
			*ret = profiles->library.v[i].name;
			/* Only a file with the other ending can be in front of it with the same
			 * name. */
			return i == 0 || strcmp(profiles->library.v[i - 1].name, *ret) != 0
				       ? 0
				       : insert_sources(profiles, &source, 1, true, err);
		}
	}
	return kf_fail(err, ENOENT, "'%s' disappeared", what);
}

int kf_profiles_compile(struct kf_profiles *profiles, const char *what, struct kf_compiled *ret,
			struct kf_err *err)
{
	const char *name;

	kf_diags_init(&profiles->diags, &profiles->arena);
	if (kf_profiles_find(profiles, what, &name, err) < 0)
		return -1;
	return kf_profile_compile(&profiles->library, name, &profiles->arena, &profiles->diags, ret,
				  err);
}

size_t kf_profiles_report(const struct kf_profiles *profiles)
{
	struct kf_buf text = KF_BUF_INIT(KF_DIAGS_TEXT);

	kf_diags_format(&profiles->diags, &text);
	if (text.n)
		kf_print_text(stderr, text.p);
	kf_buf_done(&text);
	return profiles->diags.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what an overlay's upper directory says with the lower one, and lists what differs.  What
 * the upper one repeats is no difference, so a commit needs not take anything out of it. */
#include "review/internal.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* When the guard's placeholders for "fs readonly" were last changed, which are no change of the
 * pod's: nono-runc/readonly.c.  One that the pod made itself is not committed either. */
#define PLACEHOLDER_TIME 981173106

struct name_list {
	char **v;
	size_t n, cap;
};

/* A file of the upper side with several names: if one of them is a change, all are. */
struct link_group {
	unsigned long long ino, lower; /* the first name's in the lower side; 0: not there */
	bool changed;
	struct kf_review_changes same; /* names that are no change as far as it is known */
	struct link_group *next;
};

#define GROUPS 4096

struct scan {
	const struct kf_review_sides *sides;
	struct kf_review_changes out;
	/* Directories of the upper side; those in @pure are all that there is at their places. */
	struct name_list todo, pure;
	struct link_group *groups[GROUPS];
	struct kf_err *err;
};

/* One entry, seen from both sides. */
struct scan_entry {
	int upper, lower; /* its directory; @lower -1: not there */
	const char *name, *path;
	struct stat new, old; /* st_mode 0: not there */
	bool pure;	      /* nothing of the lower directory is seen in it */
};

static void free_names(struct name_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct name_list){0};
}

/* @name is the list's from now on, and freed if it cannot be added. */
static int add_name(struct name_list *list, char *name, struct kf_err *err)
{
	if (name && list->n == list->cap && list->n <= KF_REVIEW_CHANGES_MAX) {
		const size_t cap = list->cap ? list->cap * 2 : 64;
		char **v = reallocarray(list->v, cap, sizeof(*v));

		if (v) {
			list->v = v;
			list->cap = cap;
		}
	}
	if (!name || list->n == list->cap) {
		free(name);
		return name && list->n > KF_REVIEW_CHANGES_MAX
			       ? kf_fail(err, E2BIG, "more than %d names", KF_REVIEW_CHANGES_MAX)
			       : kf_fail_nomem(err, "names");
	}
	list->v[list->n++] = name;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in @fd, sorted. */
static int list_names(int fd, struct name_list *ret, struct kf_err *err)
{
	KF_CLOSE int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!d)
		return kf_fail_sys(err, "read a directory");
	(void)kf_steal_fd(&copy);
	while (r == 0 && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = add_name(ret, strdup(e->d_name), err);
	if (r == 0 && errno)
		r = kf_fail_sys(err, "read a directory");
	(void)closedir(d);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_names);
	return r;
}

static char *join_path(const char *dir, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0 ? NULL : path;
}

/* ---- the list ---- */

static struct kf_review_change *add_to(struct kf_review_changes *out,
				       const struct kf_review_change *change, struct kf_err *err)
{
	if (out->n == KF_REVIEW_CHANGES_MAX) {
		kf_err_set(err, E2BIG, "more than %d changes", KF_REVIEW_CHANGES_MAX);
		return NULL;
	}
	if (out->n == out->cap) {
		const size_t cap = out->cap ? out->cap * 2 : 16;
		struct kf_review_change *v = reallocarray(out->v, cap, sizeof(*v));

		if (!v) {
			kf_err_set(err, ENOMEM, "changes: out of memory");
			return NULL;
		}
		out->v = v;
		out->cap = cap;
	}
	out->v[out->n] = *change;
	return &out->v[out->n++];
}

static struct kf_review_change *add_change(struct scan *s, const struct scan_entry *e,
					   enum kf_review_kind kind)
{
	const struct kf_review_change change = {
		.path = strdup(e->path),
		.kind = kind,
		.control = kf_review_is_control(e->path),
		.mode = e->new.st_mode,
		.old_mode = e->old.st_mode,
		.uid = e->new.st_uid,
		.old_uid = e->old.st_uid,
		.gid = e->new.st_gid,
		.old_gid = e->old.st_gid,
		/* A directory's depends on the file system. */
		.size = S_ISDIR(e->new.st_mode) ? 0 : (unsigned long long)e->new.st_size,
		.ino = e->new.st_ino,
		.links = S_ISREG(e->new.st_mode) ? e->new.st_nlink : 1,
	};
	struct kf_review_change *ret = NULL;

	if (change.path)
		ret = add_to(&s->out, &change, s->err);
	else
		kf_err_set(s->err, ENOMEM, "changes: out of memory");
	if (!ret)
		free(change.path);
	return ret;
}

static int refuse_entry(struct scan *s, const struct scan_entry *e, const char *why)
{
	struct kf_review_change *c = add_change(s, e, KF_REVIEW_REFUSED);

	if (!c)
		return -1;
	c->why = why;
	return 0;
}

/* ---- comparing ---- */

static bool same_owner(const struct scan_entry *e)
{
	return e->new.st_uid == e->old.st_uid && e->new.st_gid == e->old.st_gid;
}

static bool same_time(const struct scan_entry *e)
{
	return e->new.st_mtim.tv_sec == e->old.st_mtim.tv_sec &&
	       e->new.st_mtim.tv_nsec == e->old.st_mtim.tv_nsec;
}

/* The group of the file that @e is a name of, made if it is the first one; NULL: out of memory. */
static struct link_group *find_group(struct scan *s, const struct scan_entry *e)
{
	struct link_group **at = &s->groups[e->new.st_ino % GROUPS];
	const unsigned long long lower = e->old.st_mode ? e->old.st_ino : 0;

	while (*at && (*at)->ino != e->new.st_ino)
		at = &(*at)->next;
	if (!*at && (*at = calloc(1, sizeof(**at))))
		**at = (struct link_group){.ino = e->new.st_ino, .lower = lower};
	if (*at)
		(*at)->changed |= lower != (*at)->lower || e->new.st_nlink != e->old.st_nlink;
	return *at;
}

static int add_group(struct scan *s, struct link_group *g)
{
	for (; g->same.n; g->same.n--) {
		struct kf_review_change *c = &g->same.v[g->same.n - 1];

		if (g->changed) {
			c->kind = KF_REVIEW_METADATA;
			c->why = NULL;
		} else if (!c->why) {
			free(c->path);
			continue;
		}
		if (!add_to(&s->out, c, s->err))
			return -1;
	}
	return 0;
}

/* All names of a file of which one is a change. */
static int add_groups(struct scan *s)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (struct link_group *g = s->groups[i]; g; g = g->next)
			if (add_group(s, g) < 0)
				return -1;
	return 0;
}

static void free_groups(struct scan *s)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (struct link_group *g = s->groups[i], *next; g; g = next) {
			next = g->next;
			kf_review_changes_done(&g->same);
			free(g);
		}
}

/* Content of the old file; *ret_same whether it is that of the new one. */
static int compare_content(const struct scan_entry *e, const struct kf_review_change *c,
			   bool *ret_same, bool *ret_attributes, bool privilege, struct kf_err *err)
{
	char content[KF_SHA256_HEX + 1], attributes[KF_SHA256_HEX + 1];
	struct stat st;
	KF_CLOSE int fd = kf_review_open_file(e->lower, e->name, &st, err);
	bool unused;

	if (fd < 0 || kf_review_attributes(fd, privilege, attributes, &unused, err) < 0)
		return -1;
	*ret_attributes = strcmp(attributes, c->attributes) == 0;
	*ret_same = false;
	if (st.st_size != e->new.st_size)
		return 0;
	if (kf_review_content(fd, content, err) < 0)
		return -1;
	*ret_same = strcmp(content, c->content) == 0;
	return 0;
}

/* Whether the files have other capabilities. */
static int same_capabilities(const struct scan_entry *e, bool *ret, struct kf_err *err)
{
	char old[KF_SHA256_HEX + 1], new[KF_SHA256_HEX + 1];
	struct stat st;
	KF_CLOSE int upper = kf_review_open_file(e->upper, e->name, &st, err);
	KF_CLOSE int lower = upper < 0 ? -1 : kf_review_open_file(e->lower, e->name, &st, err);
	bool unused;

	if (lower < 0 || kf_review_attributes(upper, true, new, &unused, err) < 0 ||
	    kf_review_attributes(lower, true, old, &unused, err) < 0)
		return -1;
	*ret = strcmp(old, new) == 0;
	return 0;
}

/* What @c, whose hashes are known, is; *ret_same: nothing. */
static int compare_files(struct scan *s, const struct scan_entry *e, struct kf_review_change *c,
			 bool *ret_same)
{
	const mode_t bits = S_ISUID | S_ISGID;
	/* What a commit does not give: no difference, but to be told. */
	const mode_t held = s->sides->keep_privilege ? 0 : e->new.st_mode & ~e->old.st_mode &bits;
	bool content = false, attributes = false, capabilities = true;

	*ret_same = false;
	c->kind = e->old.st_mode ? KF_REVIEW_TYPE : KF_REVIEW_ADDED;
	if (!S_ISREG(e->old.st_mode))
		return 0;
	if (compare_content(e, c, &content, &attributes, s->sides->keep_privilege, s->err) < 0)
		return -1;
	c->kind = content ? KF_REVIEW_METADATA : KF_REVIEW_CONTENT;
	if (!content || !attributes || !same_owner(e) || !same_time(e) ||
	    ((e->new.st_mode ^ e->old.st_mode) & ~held & 07777))
		return 0;
	if (c->privilege && same_capabilities(e, &capabilities, s->err) < 0)
		return -1;
	*ret_same = !held && capabilities;
	if (!*ret_same) {
		c->kind = KF_REVIEW_REFUSED;
		c->why = "a set-user-ID or set-group-ID bit or capabilities, and nothing else";
	}
	return 0;
}

static int see_file(struct scan *s, const struct scan_entry *e)
{
	struct link_group *group = e->new.st_nlink > 1 ? find_group(s, e) : NULL;
	struct kf_review_change *c = add_change(s, e, KF_REVIEW_CONTENT);
	struct stat st;
	KF_CLOSE int fd = -1;
	bool capable, same;

	if (!c)
		return -1;
	if (e->new.st_nlink > 1 && !group)
		return kf_fail_nomem(s->err, "links");
	fd = kf_review_open_file(e->upper, e->name, &st, s->err);
	if (fd < 0 || kf_review_content(fd, c->content, s->err) < 0 ||
	    kf_review_attributes(fd, s->sides->keep_privilege, c->attributes, &capable, s->err) < 0)
		return -1;
	c->privilege = capable || (e->new.st_mode &S_ISUID) ||
		       (e->new.st_mode &(S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	if (compare_files(s, e, c, &same) < 0)
		return -1;
	if (same && !group && e->old.st_nlink > 1) {
		/* It has left the names that the lower file has. */
		c->kind = KF_REVIEW_METADATA;
		same = false;
	}
	if (!same && (!group || c->kind != KF_REVIEW_REFUSED)) {
		if (group)
			group->changed = true;
		return 0;
	}
	/* The list's last one goes: for good, or until more is known. */
	s->out.n--;
	if (!group)
		free(c->path);
	else if (!add_to(&group->same, c, s->err)) {
		free(c->path);
		return -1;
	}
	return 0;
}

static int see_link(struct scan *s, const struct scan_entry *e)
{
	struct kf_review_change *c;
	char new[PATH_MAX], old[PATH_MAX];
	bool same = false;

	if (kf_review_link(e->upper, e->name, new) < 0)
		return kf_fail_sys(s->err, "read symlink '%s'", e->path);
	if (S_ISLNK(e->old.st_mode)) {
		if (kf_review_link(e->lower, e->name, old) < 0)
			return kf_fail_sys(s->err, "read symlink '%s'", e->path);
		same = strcmp(old, new) == 0;
		if (same && same_owner(e) && same_time(e))
			return 0;
	}
	c = add_change(s, e,
		       same			 ? KF_REVIEW_METADATA
		       : !e->old.st_mode	 ? KF_REVIEW_ADDED
		       : S_ISLNK(e->old.st_mode) ? KF_REVIEW_CONTENT
						 : KF_REVIEW_TYPE);
	if (!c)
		return -1;
	kf_sha256_hex(new, strlen(new), c->content);
	return 0;
}

static int compare_directories(struct scan *s, const struct scan_entry *e, int upper,
			       bool *ret_same, char attributes[static KF_SHA256_HEX + 1])
{
	const bool keep = s->sides->keep_privilege;
	char old[KF_SHA256_HEX + 1];
	KF_CLOSE int lower = -1;
	bool unused;

	*ret_same = false;
	if (kf_review_attributes(upper, keep, attributes, &unused, s->err) < 0)
		return -1;
	if (!S_ISDIR(e->old.st_mode))
		return 0;
	lower = kf_review_open(e->lower, e->name, O_RDONLY | O_DIRECTORY);
	if (lower < 0)
		return kf_fail_sys(s->err, "open '%s' of the volume", e->path);
	if (kf_review_attributes(lower, keep, old, &unused, s->err) < 0)
		return -1;
	*ret_same =
		same_owner(e) && e->new.st_mode == e->old.st_mode &&strcmp(attributes, old) == 0;
	return 0;
}

static int see_directory(struct scan *s, const struct scan_entry *e)
{
	KF_CLOSE int upper = kf_review_open(e->upper, e->name, O_RDONLY | O_DIRECTORY);
	char attributes[KF_SHA256_HEX + 1];
	struct kf_review_change *c;
	bool same;

	if (upper < 0)
		return kf_fail_sys(s->err, "open '%s'", e->path);
	if (compare_directories(s, e, upper, &same, attributes) < 0)
		return -1;
	if (!same) {
		c = add_change(s, e,
			       S_ISDIR(e->old.st_mode) ? KF_REVIEW_METADATA
			       : e->old.st_mode	       ? KF_REVIEW_TYPE
						       : KF_REVIEW_ADDED);
		if (!c)
			return -1;
		memcpy(c->attributes, attributes, sizeof(attributes));
	}
	return add_name(e->pure || kf_review_is_opaque(upper) ? &s->pure : &s->todo,
			strdup(e->path), s->err);
}

/* ---- walking ---- */

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static bool is_placeholder(const struct scan_entry *e)
{
	struct stat st;

	if (e->old.st_mode || e->new.st_mtim.tv_sec != PLACEHOLDER_TIME)
		return false;
	if (S_ISREG(e->new.st_mode))
		return (e->new.st_mode & 07777) == 0444;
	return S_ISDIR(e->new.st_mode) && (e->new.st_mode & 07777) == 0555 &&
	       fstatat(e->upper, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 2;
}

static int see_entry(struct scan *s, struct scan_entry *e)
{
	static const struct {
		mode_t type;
		const char *why;
	} special[] = {
		{S_IFIFO, "a FIFO"},
		{S_IFSOCK, "a socket"},
		{S_IFCHR, "a character device"},
		{S_IFBLK, "a block device"},
	};

	if (fstatat(e->upper, e->name, &e->new, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(s->err, "stat '%s'", e->path);
	if (e->lower >= 0 && fstatat(e->lower, e->name, &e->old, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return kf_fail_sys(s->err, "stat '%s' of the volume", e->path);
		e->old.st_mode = 0;
	}
	if (is_whiteout(&e->new)) {
		e->new = (struct stat){0};
		return e->old.st_mode && !add_change(s, e, KF_REVIEW_REMOVED) ? -1 : 0;
	}
	if (strlen(e->path) >= PATH_MAX)
		return refuse_entry(s, e, "its path is too long");
	if (strcmp(e->path, s->sides->reserved) == 0)
		return refuse_entry(s, e, "the name is reserved for commits");
	if (is_placeholder(e))
		return 0;
	for (size_t i = 0; i < KF_ARRAY_SIZE(special); i++)
		if ((e->new.st_mode &S_IFMT) == special[i].type)
			return refuse_entry(s, e, special[i].why);
	if (S_ISDIR(e->new.st_mode))
		return see_directory(s, e);
	return S_ISLNK(e->new.st_mode) ? see_link(s, e) : see_file(s, e);
}

/* What is in the lower directory @d->lower and not among @names, which are all that is left. */
static int see_gone(struct scan *s, const char *dir, int lower, const struct name_list *names)
{
	struct name_list old = {0};
	int r = list_names(lower, &old, s->err);

	for (size_t i = 0; r == 0 && i < old.n; i++) {
		struct scan_entry e = {.upper = -1, .lower = lower, .name = old.v[i]};
		KF_FREE char *path = NULL;

		if (names->n &&
		    bsearch(&old.v[i], names->v, names->n, sizeof(*names->v), compare_names))
			continue;
		path = join_path(dir, old.v[i]);
		e.path = path;
		if (!path)
			r = kf_fail_nomem(s->err, "path");
		else if (fstatat(lower, e.name, &e.old, AT_SYMLINK_NOFOLLOW) < 0)
			r = errno == ENOENT ? 0 : kf_fail_sys(s->err, "stat '%s'", path);
		else if (!add_change(s, &e, KF_REVIEW_REMOVED))
			r = -1;
	}
	free_names(&old);
	return r;
}

/* The volume's own mode, owner and attributes. */
static int see_root(struct scan *s)
{
	struct scan_entry e = {
		.upper = s->sides->upper, .lower = s->sides->lower, .name = ".", .path = "."};
	char attributes[KF_SHA256_HEX + 1];
	struct kf_review_change *c;
	bool same;

	if (fstat(e.upper, &e.new) < 0 || fstat(e.lower, &e.old) < 0)
		return kf_fail_sys(s->err, "stat the volume");
	if (compare_directories(s, &e, e.upper, &same, attributes) < 0)
		return -1;
	c = same ? NULL : add_change(s, &e, KF_REVIEW_METADATA);
	if (c)
		memcpy(c->attributes, attributes, sizeof(attributes));
	return same || c ? 0 : -1;
}

static int scan_directory(struct scan *s, const char *dir, bool pure)
{
	const struct kf_review_sides *sides = s->sides;
	KF_CLOSE int upper = kf_review_open(sides->upper, dir, O_RDONLY | O_DIRECTORY);
	KF_CLOSE int lower = kf_review_open(sides->lower, dir, O_RDONLY | O_DIRECTORY);
	struct name_list names = {0};
	int r;

	if (upper < 0)
		return kf_fail_sys(s->err, "open '%s'", dir);
	if (lower < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return kf_fail_sys(s->err, "open '%s' of the volume", dir);
	r = list_names(upper, &names, s->err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		KF_FREE char *path = join_path(dir, names.v[i]);
		struct scan_entry e = {.upper = upper,
				       .lower = lower,
				       .name = names.v[i],
				       .path = path,
				       .pure = pure};

		r = path ? see_entry(s, &e) : kf_fail_nomem(s->err, "path");
	}
	if (r == 0 && lower >= 0 && pure)
		r = see_gone(s, dir, lower, &names);
	free_names(&names);
	return r;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct kf_review_change *)a)->path,
		      ((const struct kf_review_change *)b)->path);
}

/* Whoever has seen this sum has seen these changes. */
static void sum_changes(struct kf_review_changes *out)
{
	struct kf_sha256 sum;

	kf_sha256_init(&sum);
	for (size_t i = 0; i < out->n; i++) {
		const struct kf_review_change *c = &out->v[i];
		const unsigned long long v[] = {c->kind, c->mode, c->old_mode, c->uid,
						c->gid,	 c->size, c->links,    strlen(c->path)};

		kf_sha256_add(&sum, v, sizeof(v));
		kf_sha256_add(&sum, c->path, strlen(c->path));
		kf_sha256_add(&sum, c->content, strlen(c->content) + 1);
		kf_sha256_add(&sum, c->attributes, strlen(c->attributes) + 1);
	}
	kf_sha256_end(&sum, out->sum);
}

int kf_review_scan(const struct kf_review_sides *sides, struct kf_review_changes *ret,
		   struct kf_err *err)
{
	struct scan s = {.sides = sides, .err = err};
	int r = see_root(&s) < 0 ? -1 : add_name(&s.todo, strdup(""), err);

	while (r == 0 && (s.todo.n || s.pure.n)) {
		const bool pure = s.pure.n > 0;
		struct name_list *list = pure ? &s.pure : &s.todo;
		KF_FREE char *dir = list->v[--list->n];

		r = scan_directory(&s, dir, pure);
	}
	if (r == 0)
		r = add_groups(&s);
	free_names(&s.todo);
	free_names(&s.pure);
	free_groups(&s);
	if (r < 0) {
		kf_review_changes_done(&s.out);
		return -1;
	}
	if (s.out.n)
		qsort(s.out.v, s.out.n, sizeof(*s.out.v), compare_paths);
	sum_changes(&s.out);
	*ret = s.out;
	return 0;
}

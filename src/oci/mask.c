/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that a profile's denials and read-only rules stand for in one container: variables and
 * homes are replaced by all values that they could have. apply.c adds the paths to the bundle. */
#include "oci/mask.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "flat/flat.h"
#include "flat/words.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#define PASSWD_MAX (1024 * 1024)
/* The most paths: more than a profile and a normal environment need. */
#define MASKS_MAX  4096

struct masks {
	struct kf_oci *oci;
	const char *verb; /* "deny" or "readonly" */
	bool spare_root;  /* leave out paths whose variable stands for "/" */
	const char **homes;
	size_t nhomes;
	const char **v;
	uint16_t *length; /* of each of them, below PATH_MAX */
	size_t n;
};

/* Find the home of @uid in the lines of @text, which is changed; NULL if no line has it. */
static const char *find_home(char *text, long uid)
{
	for (char *line = text, *next; line; line = next) {
		char *field[7] = {line};
		unsigned n = 1;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		for (char *p = line; n < KF_ARRAY_SIZE(field) && (p = strchr(p, ':')); n++) {
			*p++ = '\0';
			field[n] = p;
		}
		if (n == KF_ARRAY_SIZE(field) && *field[2] && strtol(field[2], NULL, 10) == uid)
			return field[5];
	}
	return NULL;
}

int kf_oci_passwd_home(int rootfs_fd, long uid, struct kf_arena *arena, const char **ret,
		       struct kf_err *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	KF_CLOSE int fd = (int)syscall(SYS_openat2, rootfs_fd, "etc/passwd", &how, sizeof(how));
	KF_FREE char *text = NULL;
	const char *home;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*ret = "";
		return 0;
	}
	if (fd < 0)
		return kf_fail_sys(err, "/etc/passwd of the image");
	if (kf_fd_slurp(fd, "/etc/passwd", PASSWD_MAX, &text, NULL, err) < 0)
		return kf_fail_wrap(err, "image");
	home = find_home(text, uid);
	home = home ? kf_arena_strdup(arena, home) : "";
	if (!home)
		return kf_fail_nomem(err, "/etc/passwd of the image");
	*ret = home;
	return 0;
}

static const char *env_value(const struct kf_view *view, size_t i, const char *name, size_t n)
{
	const char *e = view->env[i];

	return strncmp(e, name, n) == 0 && e[n] == '=' ? e + n + 1 : NULL;
}

static void add_home(struct masks *m, const char *home)
{
	if (!*home)
		return;
	for (size_t i = 0; i < m->nhomes; i++)
		if (strcmp(m->homes[i], home) == 0)
			return;
	m->homes[m->nhomes++] = home;
}

static int find_homes(struct masks *m, int rootfs_fd, struct kf_err *err)
{
	const struct kf_view *view = &m->oci->view;
	const char *home = "";

	/* Room for every HOME, the image's entry, and "/". */
	m->homes = kf_arena_calloc(&m->oci->arena, view->nenv + 2, sizeof(*m->homes));
	if (!m->homes)
		return kf_fail_nomem(err, "mask");
	/* The place of denied files must be known, so a file that cannot be read does not mean "no
	 * home". */
	if (rootfs_fd >= 0 &&
	    kf_oci_passwd_home(rootfs_fd, m->oci->uid, &m->oci->arena, &home, err) < 0)
		return kf_fail_wrap(err, "what the profile denies below '~' cannot be masked");
	add_home(m, home);
	for (size_t i = 0; i < view->nenv; i++) {
		home = env_value(view, i, "HOME", 4);
		if (home)
			add_home(m, home);
	}
	if (!m->nhomes)
		add_home(m, "/");
	return 0;
}

/* "DIR/MIDDLE/REST"; done for each denial and home. */
static char *join_paths(struct kf_arena *arena, const char *dir, const char *middle,
			const char *rest)
{
	const size_t ndir = strlen(dir), nmiddle = strlen(middle), nrest = strlen(rest);
	char *joined = kf_arena_alloc(arena, ndir + nmiddle + nrest + 3);

	if (!joined)
		return NULL;
	memcpy(joined, dir, ndir);
	joined[ndir] = '/';
	memcpy(joined + ndir + 1, middle, nmiddle);
	joined[ndir + 1 + nmiddle] = '/';
	memcpy(joined + ndir + nmiddle + 2, rest, nrest + 1);
	return joined;
}

static int add_path(struct masks *m, const char *rule, const char *dir, const char *middle,
		    const char *rest, struct kf_err *err)
{
	struct kf_arena *arena = &m->oci->arena;
	const char *joined = join_paths(arena, dir, middle, rest);
	char clean[PATH_MAX];
	size_t n;

	if (!joined)
		return kf_fail_nomem(err, "mask");
	if (m->spare_root && *dir && !dir[strspn(dir, "/.")])
		return 0;
	if (!kf_path_clean(joined, clean, sizeof(clean)))
		return kf_fail(err, ENAMETOOLONG, "%s %s: path too long", m->verb, rule);
	if (strcmp(clean, "/") == 0)
		return kf_fail(err, EPERM,
			       "%s %s stands for '/' in this container and cannot be kept; "
			       "give the container a home and working directory of its own",
			       m->verb, rule);
	n = strlen(clean);
	for (size_t i = 0; i < m->n; i++)
		if (m->length[i] == n && memcmp(m->v[i], clean, n) == 0)
			return 0;
	if (m->n == MASKS_MAX)
		return kf_fail(err, E2BIG, "%s %s: stands for too many paths", m->verb, rule);
	m->length[m->n] = (uint16_t)n;
	m->v[m->n] = kf_arena_strdup(arena, clean);
	return m->v[m->n++] ? 0 : kf_fail_nomem(err, "mask");
}

static int add_in_homes(struct masks *m, const char *rule, const char *middle, const char *rest,
			struct kf_err *err)
{
	for (size_t i = 0; i < m->nhomes; i++)
		if (add_path(m, rule, m->homes[i], middle, rest, err) < 0)
			return -1;
	return 0;
}

static int add_variable(struct masks *m, const char *rule, const char *name, size_t n,
			const char *rest, struct kf_err *err)
{
	const struct kf_view *view = &m->oci->view;
	const struct kf_policy_variable *v = kf_policy_variable(name, n);
	bool found = false;

	if (!v)
		return kf_fail(err, EINVAL, "%s %s: no such variable", m->verb, rule);
	if (strcmp(v->name, "WORKDIR") == 0)
		return add_path(m, rule, m->oci->cwd, "", rest, err);
	if (strcmp(v->name, "HOME") == 0)
		return add_in_homes(m, rule, "", rest, err);
	for (size_t i = 0; i < view->nenv; i++) {
		const char *value = env_value(view, i, v->name, n);

		if (!value || !*value)
			continue;
		found = true;
		if (add_path(m, rule, value, "", rest, err) < 0)
			return -1;
	}
	if (found)
		return 0;
	/* Where programs put their temporary files if nobody tells them. */
	if (strcmp(v->name, "TMPDIR") == 0)
		return add_path(m, rule, "/tmp", "", rest, err);
	return *v->fallback ? add_in_homes(m, rule, v->fallback, rest, err) : 0;
}

/* @path with each "$UID" replaced. */
static const char *replace_uid(struct masks *m, const char *path)
{
	const char *at;

	while (path && (at = strstr(path, "$UID")))
		path = kf_arena_printf(&m->oci->arena, "%.*s%ld%s", (int)(at - path), path,
				       m->oci->uid, at + 4);
	return path;
}

static int add_rule(struct masks *m, const char *rule, struct kf_err *err)
{
	const char *path = replace_uid(m, rule);
	size_t n;

	if (!path)
		return kf_fail_nomem(err, "mask");
	if (*path == '/')
		return add_path(m, rule, "", "", path, err);
	if (*path == '~')
		return add_in_homes(m, rule, "", path + 1, err);
	n = strcspn(path, "/");
	return add_variable(m, rule, path + 1, n - 1, path + n, err);
}

/* @homes: some rules need home directories. */
static int init_masks(struct masks *m, bool homes, int rootfs_fd, struct kf_err *err)
{
	if (homes && find_homes(m, rootfs_fd, err) < 0)
		return -1;
	m->v = kf_arena_calloc(&m->oci->arena, MASKS_MAX, sizeof(*m->v));
	m->length = kf_arena_calloc(&m->oci->arena, MASKS_MAX, sizeof(*m->length));
	return m->v && m->length ? 0 : kf_fail_nomem(err, "mask");
}

int kf_oci_masks(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		 const char *const **ret, size_t *ret_n, struct kf_err *err)
{
	struct masks m = {.oci = oci, .verb = "deny"};
	bool homes = false;

	for (size_t i = 0; i < profile->ndeny; i++)
		homes |= profile->deny[i][0] != '/';
	if (init_masks(&m, homes, rootfs_fd, err) < 0)
		return -1;
	for (size_t i = 0; i < profile->ndeny; i++)
		if (add_rule(&m, profile->deny[i], err) < 0)
			return -1;
	*ret = m.v;
	*ret_n = m.n;
	return 0;
}

static bool is_home(const struct masks *m, const char *path)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (!kf_path_clean(path, a, sizeof(a)))
		return false;
	for (size_t i = 0; i < m->nhomes; i++)
		if (kf_path_clean(m->homes[i], b, sizeof(b)) && strcmp(a, b) == 0)
			return true;
	return false;
}

int kf_oci_readonly(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
		    struct kf_oci_readonly **ret, size_t *ret_n, struct kf_err *err)
{
	struct masks m = {.oci = oci, .verb = "readonly", .spare_root = true};
	struct kf_oci_readonly *v;
	bool homes = false;

	for (size_t i = 0; i < profile->nreadonly; i++)
		homes |= profile->readonly[i].arg[0] != '/';
	if (init_masks(&m, homes, rootfs_fd, err) < 0)
		return -1;
	v = kf_arena_calloc(&oci->arena, MASKS_MAX, sizeof(*v));
	if (!v)
		return kf_fail_nomem(err, "readonly");
	for (size_t i = 0; i < profile->nreadonly; i++) {
		const struct kf_rule *rule = &profile->readonly[i];
		const bool workdir = strncmp(rule->arg, "$WORKDIR/", 9) == 0;
		size_t n = m.n;

		if (workdir && is_home(&m, oci->cwd))
			continue;

		if (add_rule(&m, rule->arg, err) < 0)
			return -1;
		for (; n < m.n; n++)
			v[n] = (struct kf_oci_readonly){
				.path = m.v[n],
				.directory = rule->access & KF_READONLY_DIRECTORY,
				.workdir = workdir,
			};
	}
	*ret = v;
	*ret_n = m.n;
	return 0;
}

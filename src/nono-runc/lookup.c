/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for a container's program before there is a container: in the image, by the rules of the
 * launcher (nono/program.c).  The runtime itself only sees the launcher there. */
#include "nono-runc/lookup.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "plan/plan.h"
#include "json/json.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where a mount will be. */
struct mount_place {
	const char *clean, *real; /* NULL: that cannot be told */
};

struct lookup {
	struct kf_oci *oci;
	int rootfs;
	struct mount_place *mounts; /* of the view, once somebody has asked */
};

static int open_in_root(const struct lookup *l, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, l->rootfs, path, &how, sizeof(how));
}

/* What @fd below the image's root is called there; false if that cannot be told. */
static bool name_in_root(const struct lookup *l, int fd, char ret[static PATH_MAX])
{
	const int fds[] = {l->rootfs, fd};
	char names[2][PATH_MAX];
	size_t n;

	for (size_t i = 0; i < KF_ARRAY_SIZE(fds); i++) {
		char link[64];
		ssize_t got;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fds[i]);
		got = readlink(link, names[i], PATH_MAX);
		if (got < 0 || got >= PATH_MAX)
			return false;
		names[i][got] = '\0';
	}
	n = strcmp(names[0], "/") == 0 ? 0 : strlen(names[0]);
	if (!kf_path_under(names[1], names[0]))
		return false;
	(void)snprintf(ret, PATH_MAX, "%s", names[1][n] ? names[1] + n : "/");
	return true;
}

/* Where the clean path @path leads within the image: symlinks followed, the part that is not
 * there as it is written.  False if that cannot be told. */
static bool resolve_in_root(const struct lookup *l, const char *path, char ret[static PATH_MAX])
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	(void)snprintf(part, sizeof(part), "%s", path);
	for (;;) {
		KF_CLOSE int fd = open_in_root(l, n ? part : "/", 0);
		KF_CLOSE int link = -1;
		size_t len;

		if (fd >= 0) {
			if (!name_in_root(l, fd, ret))
				return false;
			len = strcmp(ret, "/") == 0 ? 0 : strlen(ret);
			return (size_t)snprintf(ret + len, PATH_MAX - len, "%s", path + n) <
			       PATH_MAX - len;
		}
		/* A symlink to what is not there may lead to where something is mounted. */
		link = open_in_root(l, part, O_NOFOLLOW);
		if (!n || link >= 0 || (errno != ENOENT && errno != ENOTDIR))
			return false;
		while (n && part[--n] != '/')
			;
		part[n] = '\0';
	}
}

/* Once for all directories of PATH, of which a pod can have any number.  False: out of memory. */
static bool place_mounts(struct lookup *l)
{
	const struct kf_view *view = &l->oci->view;
	struct mount_place *v = kf_arena_calloc(&l->oci->arena, view->nmounts + 1, sizeof(*v));
	char clean[PATH_MAX], real[PATH_MAX];

	for (size_t i = 0; v && i < view->nmounts; i++) {
		if (!kf_path_clean(view->mounts[i].destination, clean, sizeof(clean)) ||
		    !resolve_in_root(l, clean, real))
			continue;
		v[i].clean = kf_arena_strdup(&l->oci->arena, clean);
		v[i].real = kf_arena_strdup(&l->oci->arena, real);
	}
	l->mounts = v;
	return v;
}

/* Whether a mount may bring @path, or what cannot be told does. */
static bool may_be_mounted(struct lookup *l, const char *path)
{
	char real[PATH_MAX];

	if (!resolve_in_root(l, path, real) || (!l->mounts && !place_mounts(l)))
		return true;
	for (size_t i = 0; i < l->oci->view.nmounts; i++) {
		const struct mount_place *m = &l->mounts[i];

		if (!m->clean || !m->real || kf_path_under(path, m->clean) ||
		    kf_path_under(real, m->real))
			return true;
	}
	return false;
}

/* 0 if the container may find a program at @path, else why it will not. */
static int look_at(struct lookup *l, const char *path)
{
	char clean[PATH_MAX];
	struct stat st;
	KF_CLOSE int fd = -1;
	int code;

	if (!kf_path_clean(path, clean, sizeof(clean)))
		return 0;
	fd = open_in_root(l, clean, 0);
	if (fd < 0)
		code = errno == ENOENT || errno == ENOTDIR ? errno : 0;
	else if (fstat(fd, &st) < 0)
		code = 0;
	else if (S_ISDIR(st.st_mode))
		code = EISDIR;
	else
		code = st.st_mode & 0111 ? 0 : EACCES;
	return code && may_be_mounted(l, clean) ? 0 : code;
}

static const char *search_path(const struct kf_view *view)
{
	const char *found = NULL;

	/* The last one counts; CRI-O gives its own first, then the image's. */
	for (size_t i = 0; i < view->nenv; i++)
		if (strncmp(view->env[i], "PATH=", 5) == 0)
			found = view->env[i] + 5;
	return found && *found ? found : KF_DEFAULT_PATH;
}

static int look_in_path(struct lookup *l, const char *name, struct kf_err *err)
{
	const char *path = search_path(&l->oci->view);
	int code = ENOENT;

	for (size_t len; *name && *path; path += len + (path[len] == ':')) {
		char full[PATH_MAX];
		int found;

		len = strcspn(path, ":");
		if (*path != '/' || (size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)len, path,
						     name) >= sizeof(full))
			continue;
		found = look_at(l, full);
		if (!found)
			return 0;
		if (found == EACCES)
			code = EACCES;
	}
	if (code == EACCES)
		return kf_fail(err, code, "cannot start '%s': permission denied", name);
	return kf_fail(err, code, "cannot start '%s': executable file not found in $PATH", name);
}

static bool has_hooks(const struct kf_oci *oci)
{
	const struct kf_json *hooks = kf_json_find(oci->root, "hooks");

	return hooks && hooks->n;
}

int kf_lookup_program(struct kf_oci *oci, const char *program, int rootfs, struct kf_err *err)
{
	struct lookup l = {.oci = oci, .rootfs = rootfs};
	char full[PATH_MAX];
	int code;

	if (has_hooks(oci))
		return 0;
	if (!strchr(program, '/'))
		return look_in_path(&l, program, err);
	if ((size_t)snprintf(full, sizeof(full), "%s/%s", *program == '/' ? "" : oci->cwd,
			     program) >= sizeof(full))
		return 0;
	code = look_at(&l, full);
	if (!code)
		return 0;
	errno = code;
	return kf_fail_sys(err, "cannot start '%s'", program);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule of a policy decides about a path, on an unpacked image or without any files.  The
 * decision is the launcher's own (src/grants); this file is the file system that it looks at.
 * Mounts of the runtime and the kubelet are made up, symlinks are followed within the image, and
 * nothing of this machine is looked at. */
#include "explain/explain.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "grants/decide.h"
#include "grants/given.h"
#include "grants/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLVE_IN_ROOT 0x10
/* The most descriptors that stand for made-up directories; the walk needs as many as directories
 * are deep. */
#define MADE_MAX	256
#define AGAIN_MAX	100000
#define PLACES		4096

enum there { ABSENT, MADE, HERE };

/* Where a path leads. */
struct seen_place {
	const struct seen_place *next;
	enum there there;
	const char *path, *real;
};

/* What has been looked up in the image, which does not change meanwhile. */
struct kf_explain_seen {
	const struct seen_place *places[PLACES];
	char **mounts; /* where the mount points lead, one for each */
};

struct image {
	struct kf_tree tree;
	const struct kf_explain *in;
	const struct kf_policy *policy;
	char root[PATH_MAX];  /* the image's directory on this machine; "" if it is "/" or there is
				 none */
	const char *question; /* where the path in question leads; NULL: not known yet */
	char *made[MADE_MAX]; /* by descriptor its path; NULL: one of the image's */
	char name[NAME_MAX + 1];
	int error; /* why the image could not be read; 0: it could */
};

/* Directories that the runtime mounts besides volumes, with everything in them. */
static const char kernels_own[][8] = {"/proc", "/sys"};
/* What every container has in /dev besides its devices. */
static const char in_dev[][16] = {"/dev/fd",	 "/dev/mqueue", "/dev/pts",   "/dev/shm",
				  "/dev/stderr", "/dev/stdin",	"/dev/stdout"};

static struct image *image_of(const struct kf_tree *tree)
{
	return (struct image *)(uintptr_t)tree;
}

/* Whether something is mounted at, above or below @path, so that the runtime makes it. */
static bool is_made(const struct image *image, const char *path)
{
	if (image->in->rootfs < 0 || strcmp(path, "/dev") == 0 || kf_given_everywhere(path))
		return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(kernels_own); i++)
		if (kf_path_under(path, kernels_own[i]))
			return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(in_dev); i++)
		if (kf_path_under(path, in_dev[i]))
			return true;
	for (size_t i = 0; image->in->seen->mounts && i < image->in->nmounts; i++)
		if (image->in->seen->mounts[i] &&
		    (kf_path_under(path, image->in->seen->mounts[i]) ||
		     kf_path_under(image->in->seen->mounts[i], path)))
			return true;
	return false;
}

/* Open the object that @path leads to within the image. */
static int open_image(struct image *image, const char *path, int flags)
{
	int fd = -1;

	errno = ENOENT;
	/* openat2() refuses ".." while something is renamed or mounted anywhere on this machine, so
	 * try again. */
	for (unsigned i = 0; image->in->rootfs >= 0 && i < AGAIN_MAX; i++) {
		fd = kf_open_resolve(image->in->rootfs, path, flags, RESOLVE_IN_ROOT);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		image->error = errno;
	if (fd >= 0 && fd < MADE_MAX) {
		free(image->made[fd]);
		image->made[fd] = NULL;
	}
	return fd;
}

/* A descriptor that stands for @path. */
static int make_up(struct image *image, const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || fd >= MADE_MAX) {
		if (fd >= 0)
			close(fd);
		free(copy);
		image->error = errno = copy ? EMFILE : ENOMEM;
		return -1;
	}
	free(image->made[fd]);
	image->made[fd] = copy;
	return fd;
}

static bool image_path(const struct kf_tree *tree, int fd, char out[static PATH_MAX])
{
	struct image *image = image_of(tree);
	const size_t root = strlen(image->root);
	char link[64], full[PATH_MAX];
	ssize_t n;

	if (fd < MADE_MAX && image->made[fd]) {
		(void)snprintf(out, PATH_MAX, "%s", image->made[fd]);
		return true;
	}
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full));
	if (n <= 0 || n >= PATH_MAX || (size_t)n < root)
		return false;
	full[n] = '\0';
	(void)snprintf(out, PATH_MAX, "%s", full[root] ? full + root : "/");
	return true;
}

static enum there look_up(struct image *image, const char *path, char out[static PATH_MAX])
{
	KF_CLOSE int fd = open_image(image, path, O_PATH);
	char head[PATH_MAX], real[PATH_MAX] = "/";
	size_t n = strlen(path);

	if (fd >= 0 && image_path(&image->tree, fd, out))
		return HERE;
	if (image->in->rootfs < 0) {
		/* Without a root nothing can be looked at; /var/run is taken for /run, as in all
		 * images that matter. */
		(void)snprintf(out, PATH_MAX, "%s", kf_policy_run_path(path));
		return MADE;
	}
	while (n > 1) {
		KF_CLOSE int above = -1;

		while (n > 0 && path[n - 1] != '/')
			n--;
		n -= n > 1;
		(void)snprintf(head, sizeof(head), "%.*s", (int)(n ? n : 1), path);
		above = open_image(image, head, O_PATH);
		if (above >= 0 && image_path(&image->tree, above, real))
			break;
	}
	(void)snprintf(out, PATH_MAX, "%s%s", strcmp(real, "/") == 0 ? "" : real,
		       path + (n > 1 ? n : 0));
	return is_made(image, out) ? MADE : ABSENT;
}

static size_t hash_path(const char *s)
{
	size_t h = 5381;

	while (*s)
		h = h * 33 + (unsigned char)*s++;
	return h % PLACES;
}

/* Find out where @path leads, in @out, and what is there. */
static enum there locate_path(struct image *image, const char *path, char out[static PATH_MAX])
{
	struct kf_explain_seen *seen = image->in->seen;
	const size_t h = hash_path(path);
	struct seen_place *place;
	enum there there;

	for (const struct seen_place *p = seen->places[h]; p; p = p->next) {
		if (strcmp(p->path, path) == 0) {
			(void)snprintf(out, PATH_MAX, "%s", p->real);
			return p->there;
		}
	}
	there = look_up(image, path, out);
	/* The answer is not kept before the mounts are known, since it may change then; nor without
	 * memory. */
	place = seen->mounts ? kf_arena_alloc(image->in->arena, sizeof(*place)) : NULL;
	if (!place)
		return there;
	*place = (struct seen_place){
		.next = seen->places[h],
		.there = there,
		.path = kf_arena_strdup(image->in->arena, path),
		.real = kf_arena_strdup(image->in->arena, out),
	};
	if (place->path && place->real)
		seen->places[h] = place;
	return there;
}

static bool image_place(const struct kf_tree *tree, const char *path, char out[static PATH_MAX])
{
	(void)locate_path(image_of(tree), path, out);
	return strlen(out) < PATH_MAX - 1; /* otherwise it may have been cut */
}

static int image_open(const struct kf_tree *tree, const char *path, int flags, unsigned resolve)
{
	struct image *image = image_of(tree);
	char real[PATH_MAX];

	switch (locate_path(image, path, real)) {
	case HERE:
		if (!(resolve & KF_RESOLVE_NO_SYMLINKS) || strcmp(path, real) == 0)
			return open_image(image, real, flags);
		break;
	case MADE:
		if (!(resolve & KF_RESOLVE_NO_SYMLINKS) || strcmp(path, real) == 0)
			return make_up(image, real);
		break;
	default:
		errno = ENOENT;
		return -1;
	}
	errno = ELOOP;
	return -1;
}

static int image_enter(const struct kf_tree *tree, int dir, const char *name, int flags)
{
	struct image *image = image_of(tree);
	char path[PATH_MAX], child[PATH_MAX];
	const bool self = strcmp(name, ".") == 0;
	int fd;

	if (!image_path(tree, dir, path) ||
	    (size_t)snprintf(child, sizeof(child), "%s/%s", strcmp(path, "/") == 0 ? "" : path,
			     name) >= sizeof(child)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (dir < MADE_MAX && image->made[dir])
		return make_up(image, self ? path : child);
	fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && is_made(image, child) ? make_up(image, child) : -1;
	if (fd < MADE_MAX) {
		free(image->made[fd]);
		image->made[fd] = NULL;
	}
	return fd;
}

/* In made-up directories only the way to the path in question exists. */
static const char *image_next(const struct kf_tree *tree, struct kf_listing *dir)
{
	struct image *image = image_of(tree);
	const bool made = dir->fd < MADE_MAX && image->made[dir->fd];
	const char *name = made ? NULL : kf_listing_next(dir), *rest;
	char path[PATH_MAX];
	size_t n;

	if (name || dir->failed || dir->ended || !image->question)
		return name;
	dir->ended = true;
	if (!image_path(tree, dir->fd, path) || !kf_path_under(image->question, path) ||
	    strcmp(image->question, path) == 0)
		return NULL;
	rest = image->question + (strcmp(path, "/") == 0 ? 1 : strlen(path) + 1);
	n = strcspn(rest, "/");
	if (n > NAME_MAX)
		return NULL;
	(void)snprintf(path, sizeof(path), "%.*s", (int)((size_t)(rest - image->question) + n),
		       image->question);
	if (!made && !is_made(image, path))
		return NULL;
	memcpy(image->name, rest, n);
	image->name[n] = '\0';
	dir->type = DT_DIR;
	return image->name;
}

/* Plugin and guard mask denied paths and bind over read-only ones.  But if a denial has exceptions,
 * only the granted rules make it true. */
static bool image_live(const struct kf_tree *tree, int fd, const struct kf_rule *rule, bool list,
		       const struct stat *st)
{
	(void)fd;
	(void)list;
	(void)st;
	return rule->kind == KF_RULE_FS_DENY &&
	       kf_policy_has_exception(image_of(tree)->policy, rule);
}

static int image_volumes(const struct kf_tree *tree, bool pinned, kf_volume_fn *fn, void *ctx,
			 struct kf_err *err)
{
	const struct image *image = image_of(tree);

	(void)pinned;
	for (size_t i = 0; i < image->in->nmounts; i++) {
		const char *path = image->in->seen->mounts[i];
		const struct kf_volume volume = {
			.path = path,
			.access = kf_policy_volume_access(path, !image->in->mounts[i].read_only),
		};

		if (kf_volumes_is(path) && fn(ctx, &volume, err) < 0)
			return -1;
	}
	return 0;
}

static int image_volume(const struct kf_tree *tree, const struct kf_volume *volume)
{
	return image_open(tree, volume->path, O_PATH, 0);
}

/* The devices of a container are in its specification, which is not known here. */
static int image_devices(const struct kf_tree *tree, kf_device_fn *fn, void *ctx,
			 struct kf_err *err)
{
	(void)tree;
	(void)fn;
	(void)ctx;
	(void)err;
	return 0;
}

/* The container is taken for an ordinary one, with a PID namespace of its own. */
static bool image_closed(const struct kf_tree *tree)
{
	(void)tree;
	return true;
}

static const char *image_shared(const struct kf_tree *tree)
{
	(void)tree;
	return NULL;
}

static const struct kf_tree image_tree = {
	.open = image_open,
	.place = image_place,
	.enter = image_enter,
	.path = image_path,
	.next = image_next,
	.live = image_live,
	.volumes = image_volumes,
	.volume = image_volume,
	.devices = image_devices,
	.closed = image_closed,
	.shared = image_shared,
};

static void image_done(struct image *image)
{
	for (size_t i = 0; i < MADE_MAX; i++)
		free(image->made[i]);
}

/* Find out where the mount points lead. */
static int find_mounts(struct image *image, struct kf_err *err)
{
	const struct kf_explain *in = image->in;
	char **mounts = kf_arena_calloc(in->arena, in->nmounts + 1, sizeof(*mounts));
	char clean[PATH_MAX], real[PATH_MAX];

	if (!mounts)
		return kf_fail_nomem(err, "explain");
	for (size_t i = 0; i < in->nmounts; i++) {
		if (!kf_path_clean(in->mounts[i].path, clean, sizeof(clean)))
			return kf_fail(err, ENAMETOOLONG, "mount '%.80s...': path too long",
				       in->mounts[i].path);
		(void)locate_path(image, clean, real);
		mounts[i] = kf_arena_strdup(in->arena, real);
		if (!mounts[i])
			return kf_fail_nomem(err, "explain");
	}
	in->seen->mounts = mounts;
	return 0;
}

static int image_init(struct image *image, struct kf_explain *in, const struct kf_policy *policy,
		      struct kf_err *err)
{
	char link[64];
	ssize_t n;

	*image = (struct image){.tree = image_tree, .in = in, .policy = policy};
	if (in->rootfs >= 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", in->rootfs);
		n = readlink(link, image->root, sizeof(image->root) - 1);
		if (n <= 0)
			return kf_fail_sys(err, "the root directory: where it lies");
		image->root[n == 1 ? 0 : n] = '\0';
	}
	if (in->seen)
		return 0;
	in->seen = kf_arena_calloc(in->arena, 1, sizeof(*in->seen));
	return in->seen ? find_mounts(image, err) : kf_fail_nomem(err, "explain");
}

/* The variables that are set, as "NAME=VALUE". */
static const char **make_environment(const struct kf_explain *in)
{
	const char **env = kf_arena_calloc(in->arena, 3, sizeof(*env));
	size_t n = 0;

	if (env && in->home)
		env[n++] = kf_arena_printf(in->arena, "HOME=%s", in->home);
	if (env && in->tmpdir)
		env[n++] = kf_arena_printf(in->arena, "TMPDIR=%s", in->tmpdir);
	return !env || (n && !env[0]) || (n == 2 && !env[1]) ? NULL : env;
}

static bool has_rule(const struct kf_policy *policy, enum kf_rule_kind kind)
{
	for (size_t i = 0; i < policy->nrules; i++)
		if (policy->rules[i].kind == kind)
			return true;
	return false;
}

/* The answer in one sentence, for when no rule is named. */
static const char *explain_verdict(const struct image *image, const struct kf_verdict *v)
{
	const struct kf_explain *in = image->in;

	switch (v->how) {
	case KF_DECIDED_GRANT:
	case KF_DECIDED_LIST:
		return "granted";
	case KF_DECIDED_READONLY:
		return "read-only";
	case KF_DECIDED_DENY:
		return "denied";
	case KF_DECIDED_SOCKET:
		return kf_arena_printf(in->arena, KF_DECIDE_NOT_STOPPED, v->abi,
				       KF_DECIDE_ABI_SOCKET);
	default:
		break;
	}
	if (v->all)
		return "granted, but not for this";
	if (kf_path_under(v->path, "/dev") && has_rule(image->policy, KF_RULE_FS_DEVICES))
		return "granted only if the container is given a device there";
	if (in->rootfs >= 0 && !v->exists)
		return "nothing grants the place where it would be";
	return in->nmounts || !has_rule(image->policy, KF_RULE_FS_VOLUMES)
		       ? "nothing grants it"
		       : "nothing grants it, unless a volume is mounted there: ask with --mount";
}

/* Look at the object that @v is about, as far as it is known. */
static void look_at(struct image *image, struct kf_verdict *v)
{
	KF_CLOSE int fd = open_image(image, v->path, O_PATH | O_NOFOLLOW);

	v->exists = fd >= 0 && fstat(fd, &v->st) == 0;
	if (!v->exists && (strcmp(v->path, "/") == 0 || strcmp(v->path, "/proc") == 0 ||
			   strcmp(v->path, "/sys") == 0 || strcmp(v->path, "/dev") == 0)) {
		v->exists = true;
		v->st.st_mode = S_IFDIR;
	}
}

static int decide_path(struct image *image, const char *path, unsigned access, struct kf_verdict *v,
		       struct kf_err *err)
{
	const struct kf_explain *in = image->in;
	const char **env = make_environment(in);
	const struct kf_vars vars = {
		.uid = in->uid,
		.workdir = in->workdir ? kf_arena_strdup(in->arena, in->workdir) : (char[]){""},
		.env = (char *const *)(uintptr_t)env,
	};
	const struct kf_scene scene = {
		.tree = &image->tree,
		.policy = image->policy,
		.vars = &vars,
	};

	if (!env || !vars.workdir)
		return kf_fail_nomem(err, "explain");
	*v = (struct kf_verdict){.scene = &scene, .access = access, .abi = in->abi};
	if (kf_decide_place(&image->tree, path, "", v->path, err) < 0)
		return -1;
	image->question = v->path;
	look_at(image, v);
	if (kf_decide(v, false, err) < 0)
		return -1;
	return image->error ? kf_fail(err, image->error, "cannot look at '%s' in the root: %s",
				      path, strerror(image->error))
			    : 0;
}

int kf_explain_path(struct kf_explain *in, const struct kf_rule *rules, size_t nrules,
		    const char *path, unsigned access, struct kf_explained *ret, struct kf_err *err)
{
	const struct kf_policy policy = {.rules = (struct kf_rule *)rules, .nrules = nrules};
	struct kf_verdict v;
	struct image image;
	int r;

	if (*path != '/')
		return kf_fail(err, EINVAL, "'%s' is not an absolute path", path);
	r = image_init(&image, in, &policy, err);
	if (r == 0)
		r = decide_path(&image, path, access, &v, err);
	if (r == 0) {
		*ret = (struct kf_explained){
			.allowed = v.allowed,
			.rule = v.how == KF_DECIDED_SOCKET ? NULL : v.rule,
			.real = kf_arena_strdup(in->arena, v.path),
			.exists = v.exists,
			.why = explain_verdict(&image, &v),
		};
		if (!ret->real || !ret->why)
			r = kf_fail_nomem(err, "explain");
	}
	image_done(&image);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the mounts of a command line come to: which places of the tree can be read or written.
 * Mounts are laid over each other in their order; Landlock adds rights up from the root, and cannot
 * take any away below a grant.  So what a later mount takes away becomes a denial (the directories
 * above are granted entry by entry), or, below something writable, must be read-only by a mount
 * already. */
#include "nono-bwrap/view.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "sandbox/object.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RX	   (KF_FS_READ | KF_FS_EXEC)
#define RW	   (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)
/* What is laid over: /proc has a hundred entries that are no processes. */
#define LAYERS_MAX (KF_BWRAP_MOUNTS_MAX + 1024)

/* A place, and what it lets be done. */
struct layer {
	const char *path; /* clean, without symlinks */
	unsigned access;  /* KF_FS_* */
	bool implied;	  /* nobody has asked for it: entry by entry above, whatever that costs */
};

struct tree {
	const struct kf_bwrap *b;
	struct layer *layers;
	size_t n;
	struct kf_err *err;
};

static int lay_over(struct tree *v, const char *path, unsigned access, bool implied)
{
	if (v->n == LAYERS_MAX)
		return kf_fail(v->err, E2BIG, "more than %d places", LAYERS_MAX);
	v->layers[v->n++] = (struct layer){path, access, implied};
	return 0;
}

/* @dest of a command line, which is meant from the root, where it lies; never freed. */
static int find_dest(const struct tree *v, const char *dest, const char **ret)
{
	KF_UNINIT char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s%s", *dest == '/' ? "" : "/", dest) >=
	    sizeof(path))
		return kf_fail(v->err, ENAMETOOLONG, "'%.80s...': too long", dest);
	*ret = realpath(path, NULL);
	if (!*ret)
		return kf_fail_sys(v->err,
				   "Can't mount on %s, as nothing is made where nothing is (if the "
				   "pod's profile names it in filesystem.readonly, it is there)",
				   dest);
	return 0;
}

static bool is_read_only(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 && (st.f_flag & ST_RDONLY);
}

/* Whether @dest is missing, and cannot be made, since what is there of its path is read-only. */
static bool never_made(const char *dest)
{
	KF_UNINIT char path[PATH_MAX];
	char *slash;

	if (*dest != '/' || strlen(dest) >= sizeof(path) || access(dest, F_OK) == 0 ||
	    errno != ENOENT)
		return false;
	(void)snprintf(path, sizeof(path), "%s", dest);
	while ((slash = strrchr(path, '/')) && slash != path) {
		*slash = '\0';
		if (access(path, F_OK) == 0)
			return is_read_only(path);
	}
	return false;
}

/* What a root usually has. */
static const char *const usual[] = {"/bin",   "/boot",	 "/etc",   "/home", "/lib",  "/lib32",
				    "/lib64", "/libx32", "/media", "/mnt",  "/nono", "/opt",
				    "/root",  "/run",	 "/sbin",  "/srv",  "/sys",  "/tmp",
				    "/usr",   "/var",	 "/proc",  "/dev"};

/* Lay the first directory of @path over, unless it was. */
static int lay_first(struct tree *v, const char *path, unsigned access)
{
	const size_t n = *path == '/' ? 1 + strcspn(path + 1, "/:") : 0;
	KF_UNINIT char name[NAME_MAX + 2];
	struct stat st;
	char *kept;

	if (n < 2 || n > NAME_MAX)
		return 0;
	memcpy(name, path, n);
	name[n] = '\0';
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->layers[i].path, name) == 0)
			return 0;
	/* A symlink's target is laid over where it lies. */
	if (lstat(name, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	kept = strdup(name);
	return kept ? lay_over(v, kept, access, true) : kf_fail_nomem(v->err, "mounts");
}

static int lay_mounts(struct tree *v, unsigned access)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	KF_UNINIT char line[2 * PATH_MAX];
	int r = 0;

	if (!mounts)
		return kf_fail_sys(v->err, "open /proc/self/mounts");
	while (r == 0 && fgets(line, sizeof(line), mounts)) {
		char *path = strchr(line, ' ');

		if (path) {
			path[1 + strcspn(path + 1, " ")] = '\0';
			r = lay_first(v, path + 1, access);
		}
	}
	(void)fclose(mounts);
	return r;
}

/* Where the root cannot be listed, which the outer sandbox decides: what is known to be in it.  A
 * directory with something hidden below it is granted entry by entry, and /dev is always hidden. */
static int lay_root(struct tree *v, unsigned access)
{
	const char *const more[] = {getenv("PWD"), getenv("HOME"), getenv("TMPDIR"),
				    v->b->command[0]};
	const char *path = getenv("PATH");
	int r = 0;

	v->n = 0;
	for (size_t i = 0; r == 0 && i < KF_ARRAY_SIZE(usual); i++)
		r = lay_first(v, usual[i], access);
	for (size_t i = 0; r == 0 && i < KF_ARRAY_SIZE(more); i++)
		r = more[i] ? lay_first(v, more[i], access) : 0;
	for (; r == 0 && path; path = strchr(path, ':'), path += path != NULL)
		r = lay_first(v, path, access);
	for (size_t i = 0; r == 0 && i < v->b->nmounts; i++)
		r = lay_first(v, v->b->mounts[i].dest, access);
	return r < 0 ? -1 : lay_mounts(v, access);
}

static bool can_be_listed(const char *path)
{
	KF_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0;
}

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
}

/* bubblewrap's mounts have no devices, unless they are asked for. */
static int hide_devices(struct tree *v, const char *path)
{
	static const char dev[] = "/dev";

	if (kf_path_under(dev, path))
		return lay_over(v, dev, 0, true);
	if (kf_path_under(path, dev) && strcmp(path, "/dev/shm") != 0 &&
	    strcmp(path, "/dev/mqueue") != 0)
		v->layers[v->n - 1].access = 0;
	if (is_device(path))
		v->layers[v->n - 1].access = 0;
	return 0;
}

static int add_bind(struct tree *v, const struct kf_bwrap_mount *mount)
{
	KF_FREE char *source = realpath(mount->source, NULL);
	const bool read_only = mount->kind == KF_BWRAP_RO_BIND;
	const char *dest;

	if (!source && errno == ENOENT && mount->optional)
		return 0;
	if (!source)
		return kf_fail_sys(v->err, "Can't find source path %s", mount->source);
	if (read_only && strcmp(source, "/dev/null") == 0 && never_made(mount->dest))
		return 0;
	if (find_dest(v, mount->dest, &dest) < 0)
		return -1;
	if (read_only && strcmp(source, "/dev/null") == 0 && strcmp(source, dest) != 0)
		return lay_over(v, dest, 0, false);
	if (strcmp(source, dest) != 0)
		return kf_fail(v->err, EINVAL,
			       "Can't bind %s on %s: without mounts a path shows what lies there",
			       source, mount->dest);
	if ((strcmp(dest, "/") == 0 && !can_be_listed(dest)
		     ? lay_root(v, read_only ? RX : RW)
		     : lay_over(v, dest, read_only ? RX : RW, false)) < 0)
		return -1;
	/* Nothing can be made in /proc, and that it is refused is what proves the sandbox. */
	if (!read_only && kf_path_under("/proc", dest) && strcmp(dest, "/proc") != 0 &&
	    lay_over(v, "/proc", RX, true) < 0)
		return -1;
	return mount->kind == KF_BWRAP_DEV_BIND ? 0 : hide_devices(v, dest);
}

static int add_empty(struct tree *v, const struct kf_bwrap_mount *mount)
{
	const char *dest;

	if (never_made(mount->dest))
		return 0;
	return find_dest(v, mount->dest, &dest) < 0 ? -1 : lay_over(v, dest, 0, false);
}

/* Only what lies directly at @dest; not what is laid over it. */
static int remount_layer(struct tree *v, const struct kf_bwrap_mount *mount)
{
	const char *dest;

	if (find_dest(v, mount->dest, &dest) < 0)
		return -1;
	for (size_t i = v->n; i-- > 0;)
		if (strcmp(v->layers[i].path, dest) == 0 && !v->layers[i].implied) {
			v->layers[i].access &= ~(unsigned)KF_FS_WRITE;
			return 0;
		}
	return kf_fail(v->err, EINVAL, "Can't remount %s: nothing was mounted there", mount->dest);
}

static int expect_place(const struct tree *v, const struct kf_bwrap_mount *mount, const char *place)
{
	return strcmp(mount->dest, place) == 0
		       ? 0
		       : kf_fail(v->err, EINVAL, "Can't mount it on %s: without mounts it is at %s",
				 mount->dest, place);
}

static int lay_entry(struct tree *v, const char *dir, const char *name, unsigned access)
{
	KF_UNINIT char path[PATH_MAX];
	struct stat st;
	char *kept;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	kept = strdup(path);
	return kept ? lay_over(v, kept, access, false) : kf_fail_nomem(v->err, "mounts");
}

/* What in /proc is of no process, and this process, which will be the program.  No rule can name
 * the processes that it will start. */
static int add_own_proc(struct tree *v)
{
	DIR *dir = opendir("/proc");
	char self[16];
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return kf_fail_sys(v->err, "list /proc");
	while (r == 0 && (entry = readdir(dir)))
		if (*entry->d_name != '.' && (*entry->d_name < '0' || *entry->d_name > '9'))
			r = lay_entry(v, "/proc", entry->d_name, RX);
	(void)closedir(dir);
	(void)snprintf(self, sizeof(self), "%d", (int)getpid());
	return r < 0 ? -1 : lay_entry(v, "/proc", self, RX);
}

static int add_proc(struct tree *v, const struct kf_bwrap_mount *mount)
{
	if (expect_place(v, mount, "/proc") < 0)
		return -1;
	if (!v->b->unshare_pid)
		return lay_over(v, "/proc", RX, false);
	return lay_over(v, "/proc", 0, true) < 0 ? -1 : add_own_proc(v);
}

static int add_dev(struct tree *v, const struct kf_bwrap_mount *mount)
{
	static const char nodes[][8] = {"null", "zero", "full", "random", "urandom", "tty"};

	if (expect_place(v, mount, "/dev") < 0 || lay_over(v, "/dev", 0, true) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(nodes); i++)
		if (lay_entry(v, "/dev", nodes[i], KF_FS_READ | KF_FS_WRITE) < 0)
			return -1;
	return 0;
}

static int expect_dir(const struct tree *v, const struct kf_bwrap_mount *mount)
{
	const char *dest;
	struct stat st;

	if (find_dest(v, mount->dest, &dest) < 0)
		return -1;
	return stat(dest, &st) == 0 && S_ISDIR(st.st_mode)
		       ? 0
		       : kf_fail(v->err, ENOTDIR, "Can't make directory %s: a file is there",
				 mount->dest);
}

static int expect_symlink(const struct tree *v, const struct kf_bwrap_mount *mount)
{
	KF_UNINIT char target[PATH_MAX];
	ssize_t n = readlink(mount->dest, target, sizeof(target) - 1);

	if (n < 0)
		return kf_fail_sys(v->err, "Can't make symlink %s, as nothing can be made here",
				   mount->dest);
	target[n] = '\0';
	return strcmp(target, mount->source) == 0
		       ? 0
		       : kf_fail(v->err, EEXIST,
				 "Can't make symlink at %s: existing destination is %s",
				 mount->dest, target);
}

static int add_mount(struct tree *v, const struct kf_bwrap_mount *mount)
{
	switch (mount->kind) {
	case KF_BWRAP_BIND:
	case KF_BWRAP_RO_BIND:
	case KF_BWRAP_DEV_BIND:
		return add_bind(v, mount);
	case KF_BWRAP_EMPTY:
		return add_empty(v, mount);
	case KF_BWRAP_PROC:
		return add_proc(v, mount);
	case KF_BWRAP_DEV:
		return add_dev(v, mount);
	case KF_BWRAP_REMOUNT_RO:
		return remount_layer(v, mount);
	case KF_BWRAP_DIR:
		return expect_dir(v, mount);
	case KF_BWRAP_SYMLINK:
		return expect_symlink(v, mount);
	}
	return 0;
}

/* The layer that decides about what lies just above @path; NULL: nothing is seen there. */
static const struct layer *layer_above(const struct tree *v, const char *path)
{
	for (size_t i = v->n; i-- > 0;)
		if (kf_path_under(path, v->layers[i].path) && strcmp(path, v->layers[i].path) != 0)
			return &v->layers[i];
	return NULL;
}

static bool is_covered(const struct tree *v, size_t layer)
{
	for (size_t i = layer + 1; i < v->n; i++)
		if (kf_path_under(v->layers[layer].path, v->layers[i].path))
			return true;
	return false;
}

static bool is_empty(const char *path)
{
	struct stat st;
	DIR *dir;
	int n = 0;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return S_ISREG(st.st_mode) && st.st_size == 0;
	dir = opendir(path);
	if (!dir)
		return false;
	errno = 0;
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n == 2 && errno == 0;
}

/* Whether mounts keep @path from being changed, and each directory between @above, which can be
 * written, and @path from being renamed: what "fs readonly" of the outer profile makes. */
static bool is_kept(const char *path, const char *above)
{
	KF_UNINIT char at[PATH_MAX];
	size_t n = strcmp(above, "/") == 0 ? 0 : strlen(above);
	struct kf_object object;
	bool kept = false; /* what lies directly in the directory before */

	while (path[n]) {
		n += 1 + strcspn(path + n + 1, "/");
		memcpy(at, path, n);
		at[n] = '\0';
		if (kf_object_at(AT_FDCWD, at, &object) < 0 ||
		    (!kept && !(object.mount_root_known && object.mount_root)))
			return false;
		kept = is_read_only(at);
	}
	return kept;
}

static int add_rule(struct kf_policy *policy, enum kf_rule_kind kind, unsigned access,
		    const char *path)
{
	policy->rules[policy->nrules++] =
		(struct kf_rule){.kind = kind, .access = access, .arg = path};
	return 0;
}

/* What has to be said about a layer that nothing covers. */
static int add_layer(const struct tree *v, const struct layer *layer, struct kf_bwrap_view *view)
{
	const struct layer *above = layer_above(v, layer->path);
	struct kf_policy *policy = &view->policy;
	const unsigned before = above ? above->access : 0, access = layer->access;

	if (!(before & ~access))
		return access == before ? 0 : add_rule(policy, KF_RULE_FS, access, layer->path);
	if (!(before & KF_FS_WRITE) || layer->implied) {
		view->hides |= !layer->implied;
		(void)add_rule(policy, KF_RULE_FS_DENY, 0, layer->path);
		return access ? add_rule(policy, KF_RULE_FS, access, layer->path) : 0;
	}
	if (is_kept(layer->path, above->path) && (access || is_empty(layer->path)))
		return 0;
	return kf_fail(v->err, EPERM,
		       "Can't keep %s %s: %s, above it, can be written, and Landlock takes nothing "
		       "away below a grant. Have the pod's profile name it in filesystem.readonly, "
		       "or bind less",
		       layer->path, access ? "read-only" : "hidden", above->path);
}

int kf_bwrap_view_make(const struct kf_bwrap *b, struct kf_bwrap_view *ret, struct kf_err *err)
{
	struct tree v = {
		.b = b,
		.layers = calloc(LAYERS_MAX, sizeof(*v.layers)),
		.err = err,
	};
	struct kf_bwrap_view view = {
		.policy = {.name = "bwrap",
			   .rules = calloc(2 * LAYERS_MAX + 2, sizeof(*view.policy.rules))},
	};

	if (!v.layers || !view.policy.rules)
		return kf_fail_nomem(err, "mounts");
	for (size_t i = 0; i < b->nmounts; i++)
		if (add_mount(&v, &b->mounts[i]) < 0)
			return -1;
	for (size_t i = 0; i < v.n; i++)
		if (!is_covered(&v, i) && add_layer(&v, &v.layers[i], &view) < 0)
			return -1;
	if (b->unshare_net)
		(void)add_rule(&view.policy, KF_RULE_NET_BLOCK, 0, NULL);
	if (b->unshare_pid) {
		(void)add_rule(&view.policy, KF_RULE_SCOPE, 0, NULL);
		view.policy.rules[view.policy.nrules - 1].verb = "signal";
	}
	free(v.layers);
	*ret = view;
	return 0;
}

bool kf_bwrap_view_shows(const struct kf_bwrap_view *view, const char *path)
{
	const struct kf_policy *policy = &view->policy;
	bool shown = false;

	/* The rules are in the order of the layers: the last one about the path decides. */
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if ((rule->kind == KF_RULE_FS || rule->kind == KF_RULE_FS_DENY) &&
		    kf_path_under(path, rule->arg))
			shown = rule->kind == KF_RULE_FS;
	}
	return shown;
}

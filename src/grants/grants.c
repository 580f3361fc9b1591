/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the file-system rules of a policy into grants on what there is in a tree. */
#include "grants/grants.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "grants/deny.h"
#include "grants/given.h"
#include "grants/rt.h"
#include "sandbox/object.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is not looked at further: beyond it nothing is granted. */
#define ROOT_ENTRIES_MAX   4096
#define AROUND_ENTRIES_MAX 4096
#define AROUND_DEPTH_MAX   32
#define HOMES_MAX	   64
#define RX		   (KF_FS_READ | KF_FS_EXEC)
#define RWX		   (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)

static const char system_itself[] = "it leads to the system's own directories";

/* Who says where a grant lies. */
enum origin {
	ORIGIN_POLICY,	 /* the policy, or the command line */
	ORIGIN_VARIABLE, /* the environment */
};

/* Top-level directories that "fs rx-root" leaves to other rules. */
static const char not_root[][8] = {"proc", "sys", "dev", "run", "tmp", "home", "root"};

struct walk {
	const struct kf_scene *scene;
	const struct kf_tree *tree; /* the scene's */
	struct kf_grant_sink *sink;
	struct kf_deny deny;
	struct kf_home *homes; /* HOMES_MAX */
	size_t nhomes;
	bool pinned; /* the policy has "fs readonly" */
	bool closed; /* what in /proc is no process's; see proc_closed() */
	bool closed_known;
	bool any_device;	    /* was given to the container */
	int root, home;		    /* "/root" and "/home", opened to be listed; -1 if not */
	bool root_real, home_real;  /* they are no symlinks */
	const struct kf_rule *rule; /* being walked; NULL: the command line */
	struct kf_err *err;
};

static void report_skip(struct walk *w, const char *path, const char *why)
{
	if (w->sink->skip)
		w->sink->skip(w->sink, w->rule, path, why);
}

static enum kf_landlock_place place_of(const char *path)
{
	if (kf_path_under(path, "/proc"))
		return KF_LANDLOCK_PROC;
	if (!kf_path_under(path, "/dev"))
		return KF_LANDLOCK_ELSEWHERE;
	/* No directory: the kernel need not be asked. */
	return kf_given_everywhere(path) ? KF_LANDLOCK_DEVICE : KF_LANDLOCK_DEV;
}

static int report_grant(struct walk *w, int fd, const char *path, const char *real, unsigned access)
{
	const struct kf_grant grant = {
		.fd = fd,
		.path = path,
		.real = real,
		.access = access,
		.place = place_of(real),
		.rule = w->rule,
	};

	if (w->sink->grant(w->sink, &grant, w->err) < 0)
		return kf_fail_wrap(w->err, "'%s'", path);
	return 0;
}

static int grant_around(struct walk *w, int fd, const char *path, unsigned access, int level);

/* One entry, @dir's last, of a directory @path that holds a denied path. */
static int grant_entry(struct walk *w, const struct kf_listing *dir, const char *name,
		       const char *at, unsigned access, int level)
{
	/* A symlink's target is granted where it lies, or not at all: a rule on the
	 * symlink itself would open nothing. */
	KF_CLOSE int fd = dir->type == DT_LNK ? -1 : w->tree->enter(w->tree, dir->fd, name, O_PATH);
	KF_UNINIT char path[PATH_MAX];

	if (fd < 0 ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", at[1] ? at : "", name) >= sizeof(path) ||
	    kf_deny_covers(&w->deny, path, false))
		return 0;
	if (kf_deny_keeps(&w->deny, path))
		access &= ~(unsigned)KF_FS_WRITE;
	if (!access)
		return 0;
	if (kf_deny_below(&w->deny, path))
		return grant_around(w, fd, path, access, level);
	return report_grant(w, fd, path, path, access);
}

/* Whether @dirfd can be listed and holds no more than that many entries; it is at its start
 * again then. */
static bool few_entries(const struct walk *w, int dirfd)
{
	KF_UNINIT struct kf_listing dir;
	unsigned n = 0;

	kf_listing_init(&dir, dirfd);
	while (w->tree->next(w->tree, &dir))
		if (++n > AROUND_ENTRIES_MAX)
			return false;
	return !dir.failed && lseek(dirfd, 0, SEEK_SET) == 0;
}

/* A directory with denied paths below is granted entry by entry, as is each
 * entry that leads to one.  @level counts down. */
static int grant_around(struct walk *w, int fd, const char *path, unsigned access, int level)
{
	KF_CLOSE int dirfd = w->tree->enter(w->tree, fd, ".", O_RDONLY | O_DIRECTORY);
	KF_UNINIT struct kf_listing dir;
	const char *name;

	if (dirfd < 0) {
		report_skip(w, path, "holds a denied path and cannot be listed");
		return 0;
	}
	if (!level || !few_entries(w, dirfd)) {
		report_skip(w, path,
			    "holds a denied path and too much else: grant parts of it instead");
		return 0;
	}
	if ((access & KF_FS_READ) && report_grant(w, fd, path, path, KF_GRANT_LIST) < 0)
		return -1;
	kf_listing_init(&dir, dirfd);
	while ((name = w->tree->next(w->tree, &dir)))
		if (grant_entry(w, &dir, name, path, access, level - 1) < 0)
			return -1;
	/* What was not listed is not granted. */
	return 0;
}

/* What is left of @access where the image, a pod's variable or a volume has a say in what a grant
 * named @path leads to, @real; 0 for nothing.  A policy's own path that is no symlink means
 * itself; one that is may lead to the system's directories, as /bin does to /usr/bin, but never
 * make them writable. */
static unsigned trusted_access(const char *path, const char *real, unsigned access,
			       enum origin origin)
{
	if (origin != ORIGIN_VARIABLE && strcmp(path, real) == 0)
		return access;
	if (origin == ORIGIN_POLICY &&
	    ((kf_path_under(path, "/var/run") && strcmp(path + strlen("/var"), real) == 0) ||
	     (kf_path_under(path, "/dev") && kf_path_under(real, "/dev"))))
		return access;
	if (kf_policy_below_system(real) &&
	    (origin == ORIGIN_POLICY || !kf_policy_covers_system(real)))
		return access & RX;
	return kf_policy_covers_system(real) ? 0 : access;
}

/* Grant what @fd, opened as @path, refers to, which lies at @real. */
static int grant_at(struct walk *w, int fd, const char *path, const char *real, unsigned access)
{
	if (w->deny.any_live && kf_deny_refuses(&w->deny, w->rule, real)) {
		report_skip(w, path, "denied");
		return 0;
	}
	if (kf_deny_keeps(&w->deny, real))
		access &= ~(unsigned)KF_FS_WRITE;
	if (!access) {
		report_skip(w, path, "read-only");
		return 0;
	}
	if (w->deny.any_live && kf_deny_below(&w->deny, real))
		return grant_around(w, fd, real, access, AROUND_DEPTH_MAX);
	return report_grant(w, fd, path, real, access);
}

static int grant_checked(struct walk *w, int fd, const char *path, const char *real,
			 unsigned access, enum origin origin)
{
	const unsigned left = trusted_access(path, real, access, origin);

	if (!left) {
		report_skip(w, path, system_itself);
		return 0;
	}
	return grant_at(w, fd, path, real, left);
}

/* Apart, for the sake of its buffer: most paths hold no symlink. */
static __attribute__((noinline)) int grant_link(struct walk *w, int fd, const char *path,
						unsigned access, enum origin origin)
{
	KF_UNINIT char real[PATH_MAX];

	if (w->tree->path(w->tree, fd, real))
		return grant_checked(w, fd, path, real, access, origin);
	report_skip(w, path, "cannot tell where it is");
	return 0;
}

static int grant_path(struct walk *w, const char *path, unsigned access, enum origin origin)
{
	bool real = false;
	KF_CLOSE int fd = kf_tree_place(w->tree, path, O_PATH, &real);

	/* Not there, or not reachable for this user: nothing to grant. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP)) {
		report_skip(w, path, "does not exist");
		return 0;
	}
	if (fd < 0)
		return kf_fail_sys(w->err, "open '%s'", path);
	return real ? grant_checked(w, fd, path, path, access, origin)
		    : grant_link(w, fd, path, access, origin);
}

static int walk_path(struct walk *w, const struct kf_rule *rule)
{
	KF_UNINIT char path[PATH_MAX];
	enum kf_expansion how = kf_vars_expand(w->scene->vars, rule->arg, path);

	if (how == KF_EXPANSION_NONE) {
		report_skip(w, rule->arg, "the variable is not set");
		return 0;
	}
	/* "/" is usual, and need not be opened to be known. */
	if (how == KF_EXPANSION_VARIABLE && kf_policy_covers_system(path)) {
		report_skip(w, path, system_itself);
		return 0;
	}
	return grant_path(w, path, rule->access,
			  how == KF_EXPANSION_LITERAL ? ORIGIN_POLICY : ORIGIN_VARIABLE);
}

static bool leave_out(const char *name, size_t n)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(not_root); i++)
		if (*name == not_root[i][0] && strncmp(name, not_root[i], n) == 0 &&
		    !not_root[i][n])
			return true;
	return false;
}

/* Whether @target, of a symlink in "/", begins with an entry of "/" that has its own rule,
 * as on most systems /bin and its like lead into /usr. */
static bool leads_to_root_entry(const char *target)
{
	const char *name = target + (*target == '/'), *end = strchr(name, '/');

	if (!end || leave_out(name, (size_t)(end - name)))
		return false;
	/* What climbs up again may lead anywhere. */
	for (; name; name = strchr(name, '/'), name += name != NULL)
		if (*name == '.')
			return false;
	return true;
}

/* A symlink in "/", or what the directory has no type for. */
static int walk_root_link(struct walk *w, int root, const char *path)
{
	KF_UNINIT char target[PATH_MAX];
	ssize_t n = readlinkat(root, path + 1, target, sizeof(target) - 1);

	if (n > 0) {
		target[n] = '\0';
		if (leads_to_root_entry(target)) {
			report_skip(w, path, "granted where it leads");
			return 0;
		}
	}
	return grant_path(w, path, RX, ORIGIN_POLICY);
}

/* In a sandbox within another one, which does not let "/" be listed: what a root usually has. */
static int walk_usual_root(struct walk *w)
{
	static const char names[][8] = {"/bin",	  "/boot", "/etc",   "/lib", "/lib32",
					"/lib64", "/mnt",  "/media", "/opt", "/sbin",
					"/srv",	  "/usr",  "/var",   "/nono"};

	report_skip(w, "/", "cannot be listed: only what a root usually has is granted");
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		if (grant_path(w, names[i], RX, ORIGIN_POLICY) < 0)
			return -1;
	return 0;
}

static int walk_root(struct walk *w)
{
	KF_CLOSE int root = w->tree->open(w->tree, "/", O_RDONLY | O_DIRECTORY, 0);
	KF_UNINIT struct kf_listing dir;
	const char *name;
	unsigned n = 0;

	if (root < 0 && errno == EACCES)
		return walk_usual_root(w);
	if (root < 0)
		return kf_fail_sys(w->err, "list '/'");
	if (report_grant(w, root, "/", "/", KF_GRANT_LIST) < 0)
		return -1;
	kf_listing_init(&dir, root);
	while ((name = w->tree->next(w->tree, &dir))) {
		KF_UNINIT char path[NAME_MAX + 2];
		KF_CLOSE int fd = -1;
		int r;

		if (leave_out(name, strlen(name)))
			continue;
		if (++n > ROOT_ENTRIES_MAX) {
			report_skip(w, "/", "has too many entries: the rest is not granted");
			break;
		}
		path[0] = '/';
		memcpy(path + 1, name, strlen(name) + 1);
		if (dir.type == DT_DIR || dir.type == DT_REG)
			fd = w->tree->enter(w->tree, root, name, O_PATH);
		r = fd < 0 ? walk_root_link(w, root, path) : grant_at(w, fd, path, path, RX);
		if (r < 0)
			return -1;
	}
	return dir.failed ? kf_fail_sys(w->err, "list '/'") : 0;
}

/* @fd: it, if it is open already, without a symlink. */
static int grant_home(struct walk *w, int fd, const char *path)
{
	return fd < 0 ? grant_path(w, path, RWX, ORIGIN_POLICY) : grant_at(w, fd, path, path, RWX);
}

static int walk_homes(struct walk *w)
{
	const bool root = w->scene->vars->uid == 0;
	KF_UNINIT char path[PATH_MAX];

	/* Entry points start as root and become the user who owns a home. */
	if (root && (grant_home(w, w->root_real ? w->root : -1, "/root") < 0 ||
		     grant_home(w, w->home_real ? w->home : -1, "/home") < 0))
		return -1;
	if (kf_vars_expand(w->scene->vars, "~", path) == KF_EXPANSION_NONE)
		report_skip(w, "~", "HOME is not set");
	else if (!root || strcmp(path, "/root") != 0)
		return grant_path(w, path, RWX, ORIGIN_VARIABLE);
	return 0;
}

static int walk_volume(void *ctx, const struct kf_volume *volume, struct kf_err *err)
{
	struct walk *w = ctx;
	KF_CLOSE int fd = -1;
	unsigned access;

	(void)err;
	/* Also what masks a denied path is a mount. */
	if (kf_deny_covers(&w->deny, volume->path, true)) {
		report_skip(w, volume->path, "denied");
		return 0;
	}
	fd = w->tree->volume(w->tree, volume);
	if (fd < 0) {
		report_skip(w, volume->path, "cannot be reached");
		return 0;
	}
	access = kf_policy_named_access(w->scene->policy->rules, w->scene->policy->nrules,
					volume->path, volume->access);
	/* That it is read-only keeps nobody from the sockets that others made in it: a CSI driver's
	 * are mounted so. */
	return grant_at(w, fd, volume->path, volume->path,
			access ? access | KF_LANDLOCK_CONNECT : 0);
}

static int walk_volumes(struct walk *w)
{
	int r = w->tree->volumes(w->tree, w->pinned, walk_volume, w, w->err);

	if (r > 0)
		report_skip(w, "volumes", "there are too many mounts");
	return r < 0 ? -1 : 0;
}

static bool proc_closed(struct walk *w)
{
	if (!w->closed_known)
		w->closed = w->tree->closed(w->tree);
	w->closed_known = true;
	return w->closed;
}

/* What is written in /proc changes the process or the container whose it is, where nothing but
 * processes can be written: the rule has to be on all of it, since the kernel forgets the
 * directories of processes, and new ones come. */
static int walk_processes(struct walk *w)
{
	const char *shared = "not closed by the runtime, as in privileged containers";
	KF_CLOSE int fd = -1;

	if (proc_closed(w))
		shared = w->tree->shared(w->tree);
	if (shared)
		return report_skip(w, "/proc", shared), 0;
	if (kf_deny_below(&w->deny, "/proc"))
		return report_skip(w, "/proc", "holds a denied path"), 0;
	fd = w->tree->open(w->tree, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? kf_fail_sys(w->err, "open /proc")
		      : grant_at(w, fd, "/proc", "/proc", KF_FS_WRITE);
}

static int walk_device(void *ctx, const char *path, int fd, struct kf_err *err)
{
	struct walk *w = ctx;

	(void)err;
	w->any_device = true;
	return grant_at(w, fd, path, path, KF_FS_READ | KF_FS_WRITE);
}

/* In /dev of a container lies what its specification names, however many have written in that;
 * in a privileged one, all that the node has. */
static int walk_devices(struct walk *w)
{
	KF_CLOSE int fd = -1;
	int r;

	if (!proc_closed(w))
		return report_skip(w, "/dev", "of a privileged container"), 0;
	r = w->tree->devices(w->tree, walk_device, w, w->err);
	if (r > 0)
		report_skip(w, "/dev", "there are too many devices");
	if (r < 0 || !w->any_device)
		return r < 0 ? -1 : 0;
	/* Programs look for them. */
	fd = w->tree->open(w->tree, "/dev", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? kf_fail_sys(w->err, "open /dev")
		      : report_grant(w, fd, "/dev", "/dev", KF_GRANT_LIST);
}

static int walk_option(struct walk *w, const struct kf_option_grant *option)
{
	KF_UNINIT char path[PATH_MAX];
	struct stat st;
	int n;

	n = *option->path == '/'
		    ? snprintf(path, sizeof(path), "%s", option->path)
		    : snprintf(path, sizeof(path), "%s/%s", w->scene->vars->workdir, option->path);
	if (n < 0 || (size_t)n >= sizeof(path) ||
	    (*option->path != '/' && !*w->scene->vars->workdir))
		return kf_fail(w->err, EINVAL, "'%s': not a usable path", option->path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) == option->file)
		return kf_fail(w->err, EINVAL, "'%s' is %sa directory", option->path,
			       option->file ? "" : "not ");
	return grant_path(w, path, option->access, ORIGIN_POLICY);
}

/* 1 if there is no room for it. */
static int add_home(struct walk *w, const char *path, int fd)
{
	for (size_t i = 0; i < w->nhomes; i++) {
		if (strcmp(w->homes[i].path, path) == 0) {
			w->homes[i].fd = fd;
			return 0;
		}
	}
	if (w->nhomes == HOMES_MAX)
		return 1;
	w->homes[w->nhomes] = (struct kf_home){strdup(path), fd};
	return w->homes[w->nhomes++].path ? 0 : kf_fail_nomem(w->err, "homes");
}

static int list_homes(struct walk *w, bool *ret_all)
{
	KF_UNINIT struct kf_listing dir;
	KF_UNINIT char path[PATH_MAX];
	const char *name;
	int r = 0;

	kf_listing_init(&dir, w->home);
	while (r == 0 && (name = w->tree->next(w->tree, &dir))) {
		(void)snprintf(path, sizeof(path), "/home/%s", name);
		r = add_home(w, path, -1);
	}
	*ret_all = r == 0 && !dir.failed;
	return r < 0 ? -1 : 0;
}

/* Every directory that "~" of a deny rule stands for.  *ret_all: false if there are more in
 * /home than could be found out. */
static int find_homes(struct walk *w, bool *ret_all)
{
	KF_UNINIT char path[PATH_MAX];

	*ret_all = true;
	if (kf_vars_expand(w->scene->vars, "~", path) != KF_EXPANSION_NONE &&
	    add_home(w, path, -1) < 0)
		return -1;
	if (w->scene->vars->uid != 0)
		return 0;
	w->root = kf_tree_place(w->tree, "/root", O_RDONLY | O_DIRECTORY, &w->root_real);
	if (add_home(w, "/root", w->root) < 0)
		return -1;
	w->home = kf_tree_place(w->tree, "/home", O_RDONLY | O_DIRECTORY, &w->home_real);
	if (w->home >= 0)
		return list_homes(w, ret_all);
	*ret_all = errno == ENOENT || errno == ENOTDIR;
	return 0;
}

static int walk_rule(struct walk *w, const struct kf_rule *rule)
{
	w->rule = rule;
	switch (rule->kind) {
	case KF_RULE_FS:
		return walk_path(w, rule);
	case KF_RULE_FS_ROOT:
		return walk_root(w);
	case KF_RULE_FS_HOMES:
		return walk_homes(w);
	case KF_RULE_FS_VOLUMES:
		return walk_volumes(w);
	case KF_RULE_FS_PROCESSES:
		return walk_processes(w);
	case KF_RULE_FS_DEVICES:
		return walk_devices(w);
	default: /* not about files; denials were collected before */
		return 0;
	}
}

/* What is denied in a home that is not known is denied by granting none. */
static int deny_all_homes(struct walk *w)
{
	KF_CLOSE int fd = w->tree->open(w->tree, "/home", O_PATH, 0);
	KF_UNINIT char real[PATH_MAX];

	if (kf_deny_whole(&w->deny, "/home", w->err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	return w->tree->path(w->tree, fd, real)
		       ? kf_deny_whole(&w->deny, real, w->err)
		       : kf_fail(w->err, EPERM, "/home: cannot tell where it is");
}

static int collect_denied(struct walk *w)
{
	const struct kf_policy *policy = w->scene->policy;
	bool all;

	if (find_homes(w, &all) < 0 || kf_deny_collect(w->tree, policy, w->scene->vars, w->homes,
						       w->nhomes, &w->deny, w->err) < 0)
		return -1;
	return all || w->sink->inside || !kf_deny_in_homes(policy) ? 0 : deny_all_homes(w);
}

int kf_grants_walk(const struct kf_scene *scene, struct kf_grant_sink *sink, struct kf_err *err)
{
	KF_UNINIT struct kf_home homes[HOMES_MAX];
	const struct kf_policy *policy = scene->policy;
	struct walk w = {
		.scene = scene,
		.tree = scene->tree,
		.sink = sink,
		.homes = homes,
		.root = -1,
		.home = -1,
		.err = err,
	};
	int ret = collect_denied(&w);

	for (size_t i = 0; i < policy->nrules; i++)
		w.pinned |= policy->rules[i].kind == KF_RULE_FS_READONLY;
	for (size_t i = 0; ret == 0 && i < policy->nrules; i++)
		if (walk_rule(&w, &policy->rules[i]) < 0)
			ret = kf_fail_wrap(err, "policy line %u", policy->rules[i].line);
	w.rule = NULL;
	for (size_t i = 0; ret == 0 && i < scene->noptions; i++)
		ret = walk_option(&w, &scene->options[i]);
	kf_deny_done(&w.deny);
	for (size_t i = 0; i < w.nhomes; i++)
		free(homes[i].path);
	kf_cleanup_close(&w.root);
	kf_cleanup_close(&w.home);
	return ret;
}

/* Grant @object, found at @path by the first process, if it still lies there. */
static int grant_again(struct walk *w, const struct kf_domain_object *object, const char *path)
{
	KF_CLOSE int fd = w->tree->open(w->tree, path, O_PATH, KF_RESOLVE_NO_SYMLINKS);
	struct kf_object now;
	struct kf_grant grant = {
		.fd = fd,
		.path = path,
		.real = path,
		.access = object->access,
		.place = (enum kf_landlock_place)object->place,
	};

	if (fd < 0 || kf_object_at(fd, "", &now) < 0 || !kf_object_same(&now.id, &object->id)) {
		report_skip(w, path, "is not what it was when the container started");
		return 0;
	}
	return w->sink->grant(w->sink, &grant, w->err) < 0 ? kf_fail_wrap(w->err, "'%s'", path) : 0;
}

/* Rules about /proc, for a process that enters. */
static int walk_proc(struct walk *w)
{
	const struct kf_policy *policy = w->scene->policy;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (rule->kind == KF_RULE_FS_DENY && kf_path_under(rule->arg, "/proc") &&
		    !w->deny.n)
			ret = kf_deny_collect(w->tree, policy, w->scene->vars, NULL, 0, &w->deny,
					      w->err);
	}
	for (size_t i = 0; ret == 0 && i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		if (rule->kind == KF_RULE_FS && kf_path_under(rule->arg, "/proc"))
			ret = walk_rule(w, rule);
	}
	kf_deny_done(&w->deny);
	return ret;
}

int kf_grants_again(const struct kf_domain *domain, const struct kf_scene *scene,
		    struct kf_grant_sink *sink, struct kf_err *err)
{
	struct walk w = {
		.scene = scene,
		.tree = scene->tree,
		.sink = sink,
		.root = -1,
		.home = -1,
		.err = err,
	};
	const struct kf_domain_object *object = NULL;
	const char *path;

	while ((object = kf_domain_next(domain, object, &path)))
		if (grant_again(&w, object, path) < 0)
			return -1;
	return walk_proc(&w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/grants.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "nono/deny.h"
#include "nono/rt.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_ENTRIES_MAX   256
#define AROUND_ENTRIES_MAX 4096
#define AROUND_DEPTH_MAX   32
#define HOMES_MAX	   64
#define RX		   (KF_FS_READ | KF_FS_EXEC)
#define RWX		   (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)

static const char system_itself[] = "a variable must not open the system's own directories";

/* Top-level directories that "fs rx-root" leaves to other rules. */
static const char not_root[][8] = {"proc", "sys", "dev", "run", "tmp", "home", "root"};

/* In /dev of every container (OCI runtime specification, "Default Devices"), and no
 * directories: the kernel need not be asked. */
static const char devices[][8] = {"console", "full", "null",	"ptmx",
				  "random",  "tty",  "urandom", "zero"};

struct walk {
	const struct kf_vars *vars;
	struct kf_grant_sink *sink;
	struct kf_deny deny;
	struct kf_home *homes; /* HOMES_MAX */
	size_t nhomes;
	int root, home;		    /* "/root" and "/home", opened to be listed; -1 if not */
	const struct kf_rule *rule; /* being walked; NULL: the command line */
	struct kf_err *err;
};

static void skip(struct walk *w, const char *path, const char *why)
{
	if (w->sink->skip)
		w->sink->skip(w->sink, w->rule, path, why);
}

static enum kf_landlock_place place(const char *path)
{
	if (!kf_path_under(path, "/dev"))
		return KF_LANDLOCK_ELSEWHERE;
	for (size_t i = 0; path[4] && i < KF_ARRAY_SIZE(devices); i++)
		if (path[5] == devices[i][0] && strcmp(path + 5, devices[i]) == 0)
			return KF_LANDLOCK_DEVICE;
	return KF_LANDLOCK_DEV;
}

static int report(struct walk *w, int fd, const char *path, unsigned access)
{
	const struct kf_grant grant = {
		.fd = fd,
		.path = path,
		.access = access,
		.place = place(path),
		.rule = w->rule,
	};

	if (w->sink->grant(w->sink, &grant, w->err) < 0)
		return kf_fail_wrap(w->err, "'%s'", path);
	return 0;
}

static int grant_around(struct walk *w, int fd, const char *path, unsigned access, int level);

/* One entry, @dir's last, of a directory @path that holds a denied path. */
static int grant_entry(struct walk *w, const struct kf_dir *dir, const char *name, const char *at,
		       unsigned access, int level)
{
	/* A symlink's target is granted where it lies, or not at all: a rule on the
	 * symlink itself would open nothing. */
	KF_CLOSE int fd = dir->type == DT_LNK ? -1 : kf_open(dir->fd, name, O_PATH | O_NOFOLLOW);
	KF_UNINIT char path[PATH_MAX];

	if (fd < 0 || (size_t)snprintf(path, sizeof(path), "%s/%s", at, name) >= sizeof(path) ||
	    kf_deny_covers(&w->deny, path, false))
		return 0;
	if (kf_deny_below(&w->deny, path))
		return grant_around(w, fd, path, access, level);
	return report(w, fd, path, access);
}

/* A directory with denied paths below is granted entry by entry, as is each
 * entry that leads to one.  @level counts down. */
static int grant_around(struct walk *w, int fd, const char *path, unsigned access, int level)
{
	KF_CLOSE int dirfd = kf_open(fd, ".", O_RDONLY | O_DIRECTORY);
	KF_UNINIT struct kf_dir dir;
	const char *name;
	unsigned n = 0;

	if (dirfd < 0) {
		skip(w, path, "holds a denied path and cannot be listed");
		return 0;
	}
	if (!level)
		return kf_fail(w->err, ELOOP, "'%s': a denied path lies too deep", path);
	if ((access & KF_FS_READ) && report(w, fd, path, KF_GRANT_LIST) < 0)
		return -1;
	kf_dir_init(&dir, dirfd);
	while ((name = kf_dir_next(&dir))) {
		if (++n > AROUND_ENTRIES_MAX)
			return kf_fail(w->err, E2BIG,
				       "'%s' holds a denied path and more than %d entries: grant "
				       "parts of it instead",
				       path, AROUND_ENTRIES_MAX);
		if (grant_entry(w, &dir, name, path, access, level - 1) < 0)
			return -1;
	}
	return dir.failed ? kf_fail_sys(w->err, "list '%s'", path) : 0;
}

/* Apart, for the sake of its buffer: where nothing is denied no grant needs it. */
static __attribute__((noinline)) int grant_checked(struct walk *w, int fd, const char *path,
						   const char *real, unsigned access, bool trusted)
{
	KF_UNINIT char buf[PATH_MAX];

	if (!real && !kf_fd_path(fd, buf)) {
		skip(w, path, "cannot tell where it is");
		return 0;
	}
	if (!real)
		real = buf;
	if (!trusted && kf_policy_covers_system(real)) {
		skip(w, path, system_itself);
		return 0;
	}
	if (kf_deny_covers(&w->deny, real, false)) {
		skip(w, path, "denied");
		return 0;
	}
	if (kf_deny_below(&w->deny, real))
		return grant_around(w, fd, real, access, AROUND_DEPTH_MAX);
	return report(w, fd, path, access);
}

/* Grant what @fd, opened as @path, refers to.  @real: where that is, NULL to ask the
 * kernel.  @trusted: the policy itself names the place; else it must not turn out
 * to be a part of the system. */
static int grant_fd(struct walk *w, int fd, const char *path, const char *real, unsigned access,
		    bool trusted)
{
	if (trusted && !w->deny.any_live)
		return report(w, fd, path, access);
	return grant_checked(w, fd, path, real, access, trusted);
}

static int grant_path(struct walk *w, const char *path, unsigned access, bool trusted)
{
	bool real = false;
	KF_CLOSE int fd = trusted && !w->deny.any_live ? kf_open(AT_FDCWD, path, O_PATH)
						       : kf_open_place(path, O_PATH, &real);

	/* Not there, or not reachable for this user: nothing to grant. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP)) {
		skip(w, path, "does not exist");
		return 0;
	}
	if (fd < 0)
		return kf_fail_sys(w->err, "open '%s'", path);
	return grant_fd(w, fd, path, real ? path : NULL, access, trusted);
}

static int walk_path(struct walk *w, const struct kf_rule *rule)
{
	KF_UNINIT char path[PATH_MAX];
	enum kf_expansion how = kf_vars_expand(w->vars, rule->arg, path);

	if (how == KF_EXPANSION_NONE) {
		skip(w, rule->arg, "the variable is not set");
		return 0;
	}
	/* "/" is usual, and need not be opened to be known. */
	if (how == KF_EXPANSION_VARIABLE && kf_policy_covers_system(path)) {
		skip(w, path, system_itself);
		return 0;
	}
	return grant_path(w, path, rule->access, how == KF_EXPANSION_LITERAL);
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
			skip(w, path, "granted where it leads");
			return 0;
		}
	}
	return grant_path(w, path, RX, true);
}

static int walk_root(struct walk *w)
{
	KF_CLOSE int root = kf_open(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
	KF_UNINIT struct kf_dir dir;
	const char *name;
	unsigned n = 0;

	if (root < 0)
		return kf_fail_sys(w->err, "list '/'");
	if (report(w, root, "/", KF_GRANT_LIST) < 0)
		return -1;
	kf_dir_init(&dir, root);
	while ((name = kf_dir_next(&dir))) {
		KF_UNINIT char path[NAME_MAX + 2];
		KF_CLOSE int fd = -1;
		int r;

		if (leave_out(name, strlen(name)))
			continue;
		if (++n > ROOT_ENTRIES_MAX)
			return kf_fail(
				w->err, E2BIG,
				"'/' has more than %d entries: use a profile that names what "
				"it needs",
				ROOT_ENTRIES_MAX);
		path[0] = '/';
		memcpy(path + 1, name, strlen(name) + 1);
		if (dir.type == DT_DIR || dir.type == DT_REG)
			fd = kf_open(root, name, O_PATH | O_NOFOLLOW);
		r = fd < 0 ? walk_root_link(w, root, path) : grant_fd(w, fd, path, path, RX, true);
		if (r < 0)
			return -1;
	}
	return dir.failed ? kf_fail_sys(w->err, "list '/'") : 0;
}

/* @fd: it, if it is open already. */
static int grant_home(struct walk *w, int fd, const char *path)
{
	return fd < 0 || w->deny.any_live ? grant_path(w, path, RWX, true)
					  : report(w, fd, path, RWX);
}

static int walk_homes(struct walk *w)
{
	const bool root = w->vars->uid == 0;
	KF_UNINIT char path[PATH_MAX];

	/* Entry points start as root and become the user who owns a home. */
	if (root && (grant_home(w, w->root, "/root") < 0 || grant_home(w, w->home, "/home") < 0))
		return -1;
	if (kf_vars_expand(w->vars, "~", path) == KF_EXPANSION_NONE)
		skip(w, "~", "HOME is not set");
	else if (!root || strcmp(path, "/root") != 0)
		return grant_path(w, path, RWX, false);
	return 0;
}

static int walk_volume(void *ctx, const char *path, bool writable, struct kf_err *err)
{
	struct walk *w = ctx;

	(void)err;
	/* Also what masks a denied path is a mount. */
	if (kf_deny_covers(&w->deny, path, true)) {
		skip(w, path, "denied");
		return 0;
	}
	return grant_path(w, path, writable ? RWX : RX, true);
}

static int walk_option(struct walk *w, const struct kf_option_grant *option)
{
	KF_UNINIT char path[PATH_MAX];
	struct stat st;
	int n;

	n = *option->path == '/'
		    ? snprintf(path, sizeof(path), "%s", option->path)
		    : snprintf(path, sizeof(path), "%s/%s", w->vars->workdir, option->path);
	if (n < 0 || (size_t)n >= sizeof(path) || (*option->path != '/' && !*w->vars->workdir))
		return kf_fail(w->err, EINVAL, "'%s': not a usable path", option->path);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) == option->file)
		return kf_fail(w->err, EINVAL, "'%s' is %sa directory", option->path,
			       option->file ? "" : "not ");
	return grant_path(w, path, option->access, true);
}

static int add_home(struct walk *w, const char *path, int fd)
{
	for (size_t i = 0; i < w->nhomes; i++) {
		if (strcmp(w->homes[i].path, path) == 0) {
			w->homes[i].fd = fd;
			return 0;
		}
	}
	if (w->nhomes == HOMES_MAX)
		return kf_fail(w->err, E2BIG,
			       "more than %d directories in /home: cannot keep 'fs deny ~' for all",
			       HOMES_MAX);
	w->homes[w->nhomes] = (struct kf_home){strdup(path), fd};
	return w->homes[w->nhomes++].path ? 0 : kf_fail_nomem(w->err, "homes");
}

/* Every directory that "~" of a deny rule stands for. */
static int find_homes(struct walk *w)
{
	KF_UNINIT struct kf_dir dir;
	KF_UNINIT char path[PATH_MAX];
	const char *name;

	if (kf_vars_expand(w->vars, "~", path) != KF_EXPANSION_NONE && add_home(w, path, -1) < 0)
		return -1;
	if (w->vars->uid != 0)
		return 0;
	w->root = kf_open(AT_FDCWD, "/root", O_RDONLY | O_DIRECTORY);
	if (add_home(w, "/root", w->root) < 0)
		return -1;
	w->home = kf_open(AT_FDCWD, "/home", O_RDONLY | O_DIRECTORY);
	if (w->home < 0)
		return 0;
	kf_dir_init(&dir, w->home);
	while ((name = kf_dir_next(&dir))) {
		(void)snprintf(path, sizeof(path), "/home/%s", name);
		if (add_home(w, path, -1) < 0)
			return -1;
	}
	return dir.failed ? kf_fail_sys(w->err, "list '/home'") : 0;
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
		return kf_volumes_each(walk_volume, w, w->err);
	default: /* not about files; denials were collected before */
		return 0;
	}
}

int kf_grants_walk(const struct kf_policy *policy, const struct kf_options *options,
		   const struct kf_vars *vars, struct kf_grant_sink *sink, struct kf_err *err)
{
	KF_UNINIT struct kf_home homes[HOMES_MAX];
	struct walk w = {
		.vars = vars,
		.sink = sink,
		.homes = homes,
		.root = -1,
		.home = -1,
		.err = err,
	};
	int ret = find_homes(&w);

	if (ret == 0)
		ret = kf_deny_collect(policy, vars, homes, w.nhomes, &w.deny, err);
	for (size_t i = 0; ret == 0 && i < policy->nrules; i++)
		if (walk_rule(&w, &policy->rules[i]) < 0)
			ret = kf_fail_wrap(err, "policy line %u", policy->rules[i].line);
	w.rule = NULL;
	for (size_t i = 0; ret == 0 && i < options->ngrants; i++)
		ret = walk_option(&w, &options->grants[i]);
	kf_deny_done(&w.deny);
	for (size_t i = 0; i < w.nhomes; i++)
		free(homes[i].path);
	kf_cleanup_close(&w.root);
	kf_cleanup_close(&w.home);
	return ret;
}

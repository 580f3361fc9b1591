/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/explain/explain.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RX  (KF_FS_READ | KF_FS_EXEC)
#define RWX (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)

/* The path that is asked about, as rules see it. */
struct question {
	const struct kf_explain *in;
	char real[PATH_MAX];
	bool exists, directory;
	struct kf_explained *out;
	unsigned wanted;
	const struct kf_rule *rules;
	size_t nrules;
	const struct kf_rule *lists; /* every directory may be listed by it; NULL: by none */
};

/* Top-level directories that "fs rx-root" leaves to other rules. */
static const char *const not_root[] = {"proc", "sys", "dev", "run", "tmp", "home", "root"};

/* What @path leads to inside the root: its real path into @out.  -1 if there is
 * nothing.  @ret_directory may be NULL. */
static int real_path(const struct kf_explain *in, const char *path, char out[static PATH_MAX],
		     bool *ret_directory)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	char link[64], root[PATH_MAX], full[PATH_MAX];
	KF_CLOSE int fd = -1;
	ssize_t n, nroot;
	struct stat st;

	if (in->rootfs < 0) {
		/* Nothing to look at; /var/run is /run wherever it matters. */
		if (strncmp(path, "/var/run", 8) == 0 && (path[8] == '/' || !path[8]))
			path += 4;
		(void)snprintf(out, PATH_MAX, "%s", path);
		return 0;
	}
	fd = (int)syscall(SYS_openat2, in->rootfs, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", in->rootfs);
	nroot = readlink(link, root, sizeof(root));
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, full, sizeof(full));
	if (n <= 0 || nroot <= 0 || n >= PATH_MAX || nroot >= PATH_MAX || n < nroot)
		return -1;
	full[n] = '\0';
	nroot = nroot == 1 ? 0 : nroot; /* the root is "/" itself */
	if (ret_directory)
		*ret_directory = S_ISDIR(st.st_mode);
	(void)snprintf(out, PATH_MAX, "%s", n == nroot ? "/" : full + nroot);
	return 0;
}

/* As real_path(); what does not exist is where its nearest existing parent
 * leads, and the rest.  Whether it exists. */
static bool place(const struct kf_explain *in, const char *path, char out[static PATH_MAX],
		  bool *ret_directory)
{
	char head[PATH_MAX], real[PATH_MAX] = "/";
	size_t n = strlen(path);

	if (real_path(in, path, out, ret_directory) == 0)
		return true;
	while (n > 1) {
		while (n > 0 && path[n - 1] != '/')
			n--;
		n -= n > 1;
		(void)snprintf(head, sizeof(head), "%.*s", (int)(n ? n : 1), path);
		if (real_path(in, head, real, NULL) == 0)
			break;
	}
	(void)snprintf(out, PATH_MAX, "%s%s", strcmp(real, "/") == 0 ? "" : real,
		       path + (n > 1 ? n : 0));
	return false;
}

/* The directory that the variable at the start of @s stands for, and the
 * variable's length; NULL if it is not set. */
static const char *variable(const struct kf_explain *in, const char *s, size_t *ret_n)
{
	static const struct {
		const char *name, *below_home;
	} xdg[] = {
		{"XDG_CONFIG_HOME", ".config"},
		{"XDG_DATA_HOME", ".local/share"},
		{"XDG_STATE_HOME", ".local/state"},
		{"XDG_CACHE_HOME", ".cache"},
	};
	size_t n = strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	*ret_n = *s == '~' ? 1 : n + 1;
	if (*s == '~' || (n == 4 && memcmp(s + 1, "HOME", 4) == 0))
		return in->home;
	if (n == 7 && memcmp(s + 1, "WORKDIR", 7) == 0)
		return in->workdir;
	if (n == 6 && memcmp(s + 1, "TMPDIR", 6) == 0)
		return in->tmpdir;
	for (size_t i = 0; i < KF_ARRAY_SIZE(xdg); i++)
		if (strlen(xdg[i].name) == n && memcmp(s + 1, xdg[i].name, n) == 0)
			return in->home ? kf_arena_printf(in->arena, "%s/%s", in->home,
							  xdg[i].below_home)
					: NULL;
	return NULL;
}

/* @path of a rule with its variables replaced; NULL if one is not set.
 * *ret_variable: whether the environment says where it is. */
static const char *expand(const struct kf_explain *in, const char *path, bool *ret_variable)
{
	char clean[PATH_MAX];
	const char *s = "", *uid;
	size_t n = 0;

	*ret_variable = *path == '~' || *path == '$';
	if (*ret_variable && !(s = variable(in, path, &n)))
		return NULL;
	path += n;
	while (s && (uid = strstr(path, "$UID"))) {
		s = kf_arena_printf(in->arena, "%s%.*s%u", s, (int)(uid - path), path, in->uid);
		path = uid + 4;
	}
	s = s ? kf_arena_printf(in->arena, "%s%s", s, path) : NULL;
	if (!s || *s != '/' || !kf_path_clean(s, clean, sizeof(clean)))
		return NULL;
	return kf_arena_strdup(in->arena, clean);
}

/* The runtime makes the mount point, if the image has none. */
static bool is_mounted(const struct kf_explain *in, const char *path)
{
	for (size_t i = 0; i < in->nmounts; i++)
		if (strcmp(in->mounts[i].path, path) == 0)
			return true;
	return false;
}

/* The question's place lies at or under @path, which is there. */
static bool covers(const struct question *q, const char *path)
{
	char real[PATH_MAX];

	return path && (place(q->in, path, real, NULL) || is_mounted(q->in, path)) &&
	       kf_path_under(q->real, real);
}

/* The same, or would if something were there. */
static bool would_cover(const struct question *q, const char *path)
{
	char real[PATH_MAX];

	if (!path)
		return false;
	(void)place(q->in, path, real, NULL);
	return kf_path_under(q->real, real);
}

static void grant(struct question *q, const struct kf_rule *rule, unsigned access)
{
	if (!(q->out->access & q->wanted) && (access & q->wanted)) {
		q->out->rule = rule;
		q->out->allowed = true;
	}
	q->out->access |= access;
}

/* A place that comes from a variable must not be a part of the system. */
static bool too_wide(const struct question *q, const char *path)
{
	char real[PATH_MAX];

	return real_path(q->in, path, real, NULL) == 0 && kf_policy_covers_system(real);
}

static void ask_path(struct question *q, const struct kf_rule *rule, const char *written,
		     unsigned access)
{
	bool from_variable;
	const char *path = expand(q->in, written, &from_variable);

	if (path && covers(q, path) && !(from_variable && too_wide(q, path)))
		grant(q, rule, access);
}

static bool leave_out(const char *name)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(not_root); i++)
		if (strcmp(not_root[i], name) == 0)
			return true;
	return false;
}

static int ask_root(struct question *q, const struct kf_rule *rule, struct kf_err *err)
{
	char name[NAME_MAX + 2];
	struct dirent *entry;
	DIR *dir;
	int fd;

	q->out->list = true; /* of every directory */
	q->lists = rule;
	if (q->directory && q->wanted == KF_FS_READ && !q->out->allowed) {
		q->out->allowed = true;
		q->out->rule = rule;
	}
	if (q->in->rootfs < 0) {
		size_t n = strcspn(q->real + 1, "/");

		(void)snprintf(name, sizeof(name), "%.*s", (int)(n < NAME_MAX ? n : NAME_MAX),
			       q->real + 1);
		if (n && !leave_out(name))
			grant(q, rule, RX);
		return 0;
	}
	fd = openat(q->in->rootfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !(dir = fdopendir(fd)))
		return kf_fail_sys(err, "list the root directory");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' &&
		    (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
			continue;
		(void)snprintf(name, sizeof(name), "/%s", entry->d_name);
		if (!leave_out(entry->d_name) && covers(q, name))
			grant(q, rule, RX);
	}
	closedir(dir);
	return 0;
}

static void ask_homes(struct question *q, const struct kf_rule *rule)
{
	ask_path(q, rule, "~", RWX);
	if (q->in->uid != 0)
		return;
	ask_path(q, rule, "/root", RWX);
	ask_path(q, rule, "/home", RWX);
}

static void ask_volumes(struct question *q, const struct kf_rule *rule)
{
	for (size_t i = 0; i < q->in->nmounts; i++) {
		const char *path = q->in->mounts[i].path;
		const unsigned access = kf_policy_volume_access(path, !q->in->mounts[i].read_only);

		/* The runtime makes the mount point. */
		if (would_cover(q, path))
			grant(q, rule, kf_policy_named_access(q->rules, q->nrules, path, access));
	}
}

/* In an ordinary container, where the runtime has closed the rest of /proc. */
static void ask_processes(struct question *q, const struct kf_rule *rule)
{
	const char *name = strncmp(q->real, "/proc/", 6) == 0 ? q->real + 6 : "";
	const size_t n = strcspn(name, "/");

	if ((n && strspn(name, "0123456789") == n) ||
	    (n == strlen("self") && strncmp(name, "self", n) == 0) ||
	    (n == strlen("thread-self") && strncmp(name, "thread-self", n) == 0))
		grant(q, rule, KF_FS_WRITE);
}

/* Whether a device that the container may be given lies there. */
static bool may_be_given(const struct question *q, const struct kf_rule *rules, size_t nrules)
{
	for (size_t i = 0; strncmp(q->real, "/dev/", 5) == 0 && i < nrules; i++)
		if (rules[i].kind == KF_RULE_FS_DEVICES)
			return true;
	return false;
}

/* Whether "fs deny" or "fs readonly" @written covers the place, be it there or not: what is
 * mounted there is taken away, or kept; "~" is every home. */
static bool taken_by(struct question *q, const char *written)
{
	struct kf_explain in = *q->in;
	bool from_variable;

	if (would_cover(q, expand(&in, written, &from_variable)))
		return true;
	if (*written != '~' || in.uid != 0)
		return false;
	in.home = "/root";
	if (would_cover(q, expand(&in, written, &from_variable)))
		return true;
	if (strncmp(q->real, "/home/", 6) != 0)
		return false;
	in.home = kf_arena_printf(in.arena, "/home/%.*s", (int)strcspn(q->real + 6, "/"),
				  q->real + 6);
	return would_cover(q, expand(&in, written, &from_variable));
}

/* What exceptions from @deny grant the place; all that is granted there then is what they do.
 * No mask hides the names in a directory where there are any, and so whoever may list all
 * directories, or read what lies above and is granted around it, may list it. */
static bool lifted(struct question *q, const struct kf_rule *deny)
{
	const struct kf_policy policy = {.rules = (struct kf_rule *)q->rules, .nrules = q->nrules};
	struct kf_explained only = {.exists = q->out->exists, .real = q->out->real};
	struct question ask = *q;

	if (!kf_policy_has_exception(&policy, deny))
		return false;
	ask.out = &only;
	for (size_t i = 0; i < q->nrules; i++)
		if (kf_policy_is_exception(&q->rules[i], deny))
			ask_path(&ask, &q->rules[i], q->rules[i].arg, q->rules[i].access);
	only.list = q->out->list;
	if (!only.allowed && (q->lists || (q->out->access & KF_FS_READ)) && q->directory &&
	    q->wanted == KF_FS_READ) {
		only.allowed = true;
		only.rule = q->lists ? q->lists : q->out->rule;
	}
	if (!only.access && !only.allowed)
		return false;
	*q->out = only;
	return true;
}

/* The rule that takes the wanted access away from the place, whatever grants it. */
static const struct kf_rule *taken(struct question *q, const struct kf_rule *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		if (rules[i].kind == KF_RULE_FS_DENY && taken_by(q, rules[i].arg) &&
		    !lifted(q, &rules[i]))
			return &rules[i];
	for (size_t i = 0; (q->wanted & KF_FS_WRITE) && i < nrules; i++)
		if (rules[i].kind == KF_RULE_FS_READONLY && taken_by(q, rules[i].arg))
			return &rules[i];
	return NULL;
}

static int ask(struct question *q, const struct kf_rule *rule, struct kf_err *err)
{
	switch (rule->kind) {
	case KF_RULE_FS:
		ask_path(q, rule, rule->arg, rule->access);
		return 0;
	case KF_RULE_FS_ROOT:
		return ask_root(q, rule, err);
	case KF_RULE_FS_HOMES:
		ask_homes(q, rule);
		return 0;
	case KF_RULE_FS_VOLUMES:
		ask_volumes(q, rule);
		return 0;
	case KF_RULE_FS_PROCESSES:
		ask_processes(q, rule);
		return 0;
	default:
		return 0;
	}
}

static bool has_volumes(const struct kf_rule *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		if (rules[i].kind == KF_RULE_FS_VOLUMES)
			return true;
	return false;
}

int kf_explain_path(const struct kf_explain *in, const struct kf_rule *rules, size_t nrules,
		    const char *path, unsigned access, struct kf_explained *ret, struct kf_err *err)
{
	struct kf_explained out = {0};
	const struct kf_rule *by;
	struct question q = {
		.in = in, .out = &out, .wanted = access, .rules = rules, .nrules = nrules};
	char clean[PATH_MAX];

	if (*path != '/' || !kf_path_clean(path, clean, sizeof(clean)))
		return kf_fail(err, EINVAL, "'%s' is not an absolute path", path);
	q.exists = place(in, clean, q.real, &q.directory);
	out.exists = q.exists;
	out.real = kf_arena_strdup(in->arena, q.real);
	if (!out.real)
		return kf_fail_nomem(err, "explain");
	for (size_t i = 0; i < nrules; i++)
		if (ask(&q, &rules[i], err) < 0)
			return -1;
	by = taken(&q, rules, nrules);
	if (by) {
		out.allowed = false;
		out.rule = by;
		out.access &= by->kind == KF_RULE_FS_DENY ? 0 : ~(unsigned)KF_FS_WRITE;
		out.list &= by->kind != KF_RULE_FS_DENY;
	}
	out.why = out.allowed	     ? "granted"
		  : by && out.access ? "read-only"
		  : out.rule	     ? "denied"
		  : out.access	     ? "granted, but not for this"
		  : may_be_given(&q, rules, nrules)
			  ? "granted only if the container is given a device there"
		  : in->rootfs >= 0 && !q.exists ? "nothing grants the place where it would be"
		  : in->nmounts || !has_volumes(rules, nrules)
			  ? "nothing grants it"
			  : "nothing grants it, unless a volume is mounted there: ask with --mount";
	*ret = out;
	return 0;
}

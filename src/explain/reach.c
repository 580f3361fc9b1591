/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing what two profiles reach.
 *
 * Without files - everything is taken to exist, and no symlink is known - what a policy says of a
 * path depends on which of its rules' paths lie at or above it, and which lie below.  So all paths
 * fall into classes: each path that is a rule's or above one, and for each of these whatever else
 * is in it.  One path of each class is asked about, under both profiles, for each kind of user. */
#include "explain/reach.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "explain/explain.h"
#include "grants/vars.h"
#include "sandbox/landlock.h"
#include "seccomp/seccomp.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A path that no rule names. */
#define OTHER	   ".kubefence-other"
#define OTHER_HOME "/home/other"
#define POINTS_MAX 65536
/* Strings, and what the explanations look up, which is given back often. */
#define MEMORY_MAX ((size_t)64 * 1024 * 1024)

/* Who asks: ~ and $WORKDIR lead elsewhere. */
static const struct {
	unsigned uid;
	const char *home, *workdir, *tmpdir;
} users[] = {
	{0, "/root", "/workspace", NULL},
	{1000, "/home/user", "/home/user/workspace", "/var/tmp/own"},
	{1000, NULL, NULL, NULL},
};
#define VOLUME "/" OTHER "-volume"

/* What is named in no rule and yet is a place of its own. */
static const char *const places[] = {
	"/",
	"/bin",
	"/boot",
	"/dev",
	"/dev/shm",
	"/etc",
	"/etc/hosts",
	"/etc/hostname",
	"/etc/resolv.conf",
	"/home",
	OTHER_HOME,
	"/lib",
	"/proc",
	"/proc/self",
	"/proc/1",
	"/proc/sys",
	"/root",
	"/run",
	"/run/secrets/kubernetes.io/serviceaccount",
	"/sbin",
	"/sys",
	"/tmp",
	"/usr",
	"/var/run",
	"/var/tmp",
	VOLUME,
};

struct comparison {
	const struct kf_compiled *a, *b;
	struct kf_compiled secrets;
	struct kf_arena *arena; /* of the result */
	struct kf_reach *reach;
	const char **points;
	size_t npoints;
	struct kf_vars vars;
	struct kf_arena names; /* of the points and environments */
	char *env[3];
	char home[PATH_MAX], workdir[PATH_MAX], tmpdir[PATH_MAX];
};

int kf_reach_worst(const struct kf_reach *reach)
{
	for (int kind = KF_NREACHES - 1; kind >= 0; kind--)
		if (reach->kinds[kind].n)
			return kind;
	return -1;
}

static void add_example(struct comparison *c, enum kf_reach_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_example(struct comparison *c, enum kf_reach_kind kind, const char *fmt, ...)
{
	const size_t n = c->reach->kinds[kind].n++;
	char text[PATH_MAX + 64];
	va_list ap;

	if (n >= KF_REACH_EXAMPLES)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->reach->kinds[kind].examples[n] = kf_arena_strdup(c->arena, text);
}

/* Add a path, unless one above it was told of in the same words. */
static void add_path(struct comparison *c, enum kf_reach_kind kind, const char *path,
		     const char *words)
{
	const size_t n = c->reach->kinds[kind].n;

	for (size_t i = 0; i < n && i < KF_REACH_EXAMPLES; i++) {
		const char *told = c->reach->kinds[kind].examples[i];
		const size_t length = told ? strcspn(told, ":") : 0;

		if (length && strncmp(told, path, length) == 0 &&
		    (!path[length] || path[length] == '/') &&
		    strcmp(told[length] ? told + length + 2 : "", words) == 0)
			return;
	}
	add_example(c, kind, "%s%s%s", path, *words ? ": " : "", words);
}

/* ---- the classes of paths ---- */

static int add_point(struct comparison *c, const char *path, struct kf_err *err)
{
	if (c->npoints == POINTS_MAX)
		return kf_fail(err, E2BIG, "the profiles name too many paths to be compared");
	c->points[c->npoints] = kf_arena_strdup(&c->names, path);
	return c->points[c->npoints++] ? 0 : kf_fail_nomem(err, "comparison");
}

/* @path, everything above it, and something else in each of these. */
static int add_places(struct comparison *c, const char *path, struct kf_err *err)
{
	char at[PATH_MAX], other[PATH_MAX + 64];

	(void)snprintf(at, sizeof(at), "%s", path);
	for (;;) {
		(void)snprintf(other, sizeof(other), "%s/" OTHER "/" OTHER, at[1] ? at : "");
		if (add_point(c, at, err) < 0 || add_point(c, other, err) < 0)
			return -1;
		*strrchr(other, '/') = '\0';
		if (add_point(c, other, err) < 0)
			return -1;
		if (!at[1])
			return 0;
		at[strrchr(at, '/') == at ? 1 : strrchr(at, '/') - at] = '\0';
	}
}

static bool has_path(const struct kf_rule *rule)
{
	return rule->kind == KF_RULE_FS || rule->kind == KF_RULE_FS_DENY ||
	       rule->kind == KF_RULE_FS_READONLY;
}

static int add_rules(struct comparison *c, const struct kf_compiled *profile, struct kf_err *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < profile->nrules; i++) {
		const struct kf_rule *rule = &profile->rules[i];

		if (!has_path(rule))
			continue;
		if (kf_vars_expand(&c->vars, rule->arg, path) != KF_EXPANSION_NONE &&
		    (add_places(c, path, err) < 0 ||
		     add_places(c, kf_policy_run_path(path), err) < 0))
			return -1;
		/* Homes of others have the same in them. */
		if (rule->arg[0] != '~' || c->vars.uid != 0)
			continue;
		(void)snprintf(path, sizeof(path), OTHER_HOME "%s", rule->arg + 1);
		if (add_places(c, path, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_points(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_all(struct comparison *c, struct kf_err *err)
{
	size_t unique = 0;

	c->npoints = 0;
	for (size_t i = 0; i < KF_ARRAY_SIZE(places); i++)
		if (add_places(c, places[i], err) < 0)
			return -1;
	if (c->home[0] && add_places(c, c->home, err) < 0)
		return -1;
	if (c->workdir[0] && add_places(c, c->workdir, err) < 0)
		return -1;
	if (add_rules(c, &c->secrets, err) < 0 || add_rules(c, c->a, err) < 0 ||
	    add_rules(c, c->b, err) < 0)
		return -1;
	qsort(c->points, c->npoints, sizeof(*c->points), compare_points);
	for (size_t i = 0; i < c->npoints; i++)
		if (!unique || strcmp(c->points[unique - 1], c->points[i]) != 0)
			c->points[unique++] = c->points[i];
	c->npoints = unique;
	return 0;
}

/* ---- what is reached there ---- */

static const struct {
	unsigned access;
	const char *word;
} accesses[] = {
	{KF_FS_READ, "read"},
	{KF_FS_WRITE, "write"},
	{KF_FS_EXEC, "execute"},
	{KF_LANDLOCK_CONNECT, "connect"},
};

static int ask_access(struct comparison *c, size_t user, const struct kf_compiled *profile,
		      const char *path, unsigned *ret, struct kf_err *err)
{
	static const struct kf_explain_mount volume = {VOLUME, false};
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_explain in = {.rootfs = -1,
				.uid = users[user].uid,
				.abi = KF_LANDLOCK_ABI_MAX,
				.home = users[user].home,
				.workdir = users[user].workdir,
				.tmpdir = users[user].tmpdir,
				.mounts = &volume,
				.nmounts = 1,
				.arena = &arena};

	(void)c;
	*ret = 0;
	kf_arena_init(&arena, MEMORY_MAX);
	for (size_t i = 0; i < KF_ARRAY_SIZE(accesses); i++) {
		struct kf_explained e;

		if (kf_explain_path(&in, profile->rules, profile->nrules, path, accesses[i].access,
				    &e, err) < 0)
			return -1;
		*ret |= e.allowed ? accesses[i].access : 0;
	}
	return 0;
}

/* Whether a denial of @profile is about @path.  Homes are others', too. */
static bool is_denied(const struct comparison *c, const struct kf_compiled *profile,
		      const char *path)
{
	const char *const homes[] = {c->home, "/root", OTHER_HOME};
	char denied[PATH_MAX];

	for (size_t i = 0; i < profile->nrules; i++) {
		const struct kf_rule *rule = &profile->rules[i];

		if (rule->kind != KF_RULE_FS_DENY)
			continue;
		for (size_t h = 0; h < KF_ARRAY_SIZE(homes); h++) {
			if (rule->arg[0] == '~')
				(void)snprintf(denied, sizeof(denied), "%s%s", homes[h],
					       rule->arg + 1);
			else if (kf_vars_expand(&c->vars, rule->arg, denied) == KF_EXPANSION_NONE)
				continue;
			if ((homes[h][0] || rule->arg[0] != '~') &&
			    kf_path_under(kf_policy_run_path(path), kf_policy_run_path(denied)))
				return true;
		}
	}
	return false;
}

/* What the first one denies is somebody's secret, too. */
static bool is_secret(const struct comparison *c, const char *path)
{
	return is_denied(c, &c->secrets, path) || is_denied(c, c->a, path);
}

static bool is_workspace(const struct comparison *c, const char *path)
{
	const char *const own[] = {c->workdir, c->tmpdir, "/tmp", "/var/tmp", "/dev/shm"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(own); i++)
		if (own[i][0] && kf_path_under(path, own[i]))
			return true;
	return false;
}

/* @path as the profile would name it, and what stands for all others. */
static void show_path(const struct comparison *c, const char *path, char out[static PATH_MAX + 64])
{
	const char *rest = path, *name = "";
	char *other;

	if (c->workdir[0] && kf_path_under(path, c->workdir)) {
		name = "$WORKDIR";
		rest = path + strlen(c->workdir);
	} else if (c->home[0] && kf_path_under(path, c->home)) {
		name = "~";
		rest = path + strlen(c->home);
	}
	(void)snprintf(out, PATH_MAX + 64, "%s%s", name, rest);
	other = strstr(out, OTHER);
	if (strncmp(path, VOLUME, strlen(VOLUME)) == 0)
		(void)snprintf(out, PATH_MAX + 64, "volumes");
	else if (other)
		(void)snprintf(other, 2, "*");
}

static void name_access(unsigned access, char out[static 64])
{
	*out = '\0';
	for (size_t i = 0; i < KF_ARRAY_SIZE(accesses); i++)
		if (access & accesses[i].access)
			(void)snprintf(out + strlen(out), 64 - strlen(out), "%s%s",
				       *out ? ", " : "", accesses[i].word);
}

static void take_path(struct comparison *c, const char *path, unsigned old, unsigned new)
{
	const unsigned both = KF_FS_WRITE | KF_FS_EXEC, more = new & ~old;
	char shown[PATH_MAX + 64], words[64];

	if (!more)
		return;
	show_path(c, path, shown);
	name_access(more, words);
	if (is_secret(c, path))
		add_path(c, KF_REACH_CREDENTIALS, shown, words);
	if ((new &both) == both && (old & both) != both)
		add_path(c, KF_REACH_WRITE_EXEC, shown, "");
	add_path(c, is_workspace(c, path) ? KF_REACH_WORKSPACE : KF_REACH_OUTSIDE, shown, words);
}

static int compare_paths(struct comparison *c, size_t user, struct kf_err *err)
{
	const char *home = users[user].home, *workdir = users[user].workdir;

	(void)snprintf(c->home, sizeof(c->home), "%s", home ? home : "");
	(void)snprintf(c->workdir, sizeof(c->workdir), "%s", workdir ? workdir : "");
	(void)snprintf(c->tmpdir, sizeof(c->tmpdir), "%s",
		       users[user].tmpdir ? users[user].tmpdir : "");
	c->env[0] = home ? kf_arena_printf(&c->names, "HOME=%s", home) : NULL;
	c->env[1] = c->env[0] && users[user].tmpdir
			    ? kf_arena_printf(&c->names, "TMPDIR=%s", users[user].tmpdir)
			    : NULL;
	c->vars = (struct kf_vars){.uid = users[user].uid, .workdir = c->workdir, .env = c->env};
	if (add_all(c, err) < 0)
		return -1;
	for (size_t i = 0; i < c->npoints; i++) {
		unsigned old, new;

		if (ask_access(c, user, c->a, c->points[i], &old, err) < 0 ||
		    ask_access(c, user, c->b, c->points[i], &new, err) < 0)
			return -1;
		take_path(c, c->points[i], old, new);
	}
	return 0;
}

/* ---- network ---- */

/* A host name or pattern, one label of which may be "*". */
static bool covers_host(const char *pattern, const char *host)
{
	while (*pattern && *host) {
		size_t n = strcspn(pattern, "."), m = strcspn(host, ".");

		if (!(n == 1 && *pattern == '*') && (n != m || strncasecmp(pattern, host, n) != 0))
			return false;
		pattern += n + (pattern[n] == '.');
		host += m + (host[m] == '.');
	}
	return !*pattern && !*host;
}

static bool has_rule(const struct kf_compiled *p, enum kf_rule_kind kind)
{
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rules[i].kind == kind)
			return true;
	return false;
}

static bool opens_port(const struct kf_compiled *p, enum kf_rule_kind kind, unsigned port)
{
	bool listed = false;

	for (size_t i = 0; i < p->nrules; i++) {
		const struct kf_rule *r = &p->rules[i];

		if (r->kind != kind)
			continue;
		listed = true;
		if (port >= r->port && port <= r->port_last)
			return true;
	}
	return !listed && !has_rule(p, KF_RULE_NET_BLOCK);
}

static bool opens_any(const struct kf_compiled *p)
{
	return !has_rule(p, KF_RULE_NET_BLOCK) || has_rule(p, KF_RULE_NET_CONNECT) ||
	       has_rule(p, KF_RULE_NET_CONNECT_UDP);
}

static void compare_ports(struct comparison *c)
{
	static const struct {
		enum kf_rule_kind kind;
		const char *name;
	} kinds[] = {
		{KF_RULE_NET_CONNECT, "connect"},
		{KF_RULE_NET_BIND, "listen"},
		{KF_RULE_NET_CONNECT_UDP, "connect (UDP)"},
		{KF_RULE_NET_BIND_UDP, "listen (UDP)"},
	};

	for (size_t k = 0; k < KF_ARRAY_SIZE(kinds); k++) {
		unsigned first = 0;

		for (unsigned port = 1; port <= 65536; port++) {
			bool more = port < 65536 && opens_port(c->b, kinds[k].kind, port) &&
				    !opens_port(c->a, kinds[k].kind, port);

			if (more && !first)
				first = port;
			if (more || !first)
				continue;
			if (port - 1 == first)
				add_example(c, KF_REACH_NETWORK, "%s %u", kinds[k].name, first);
			else
				add_example(c, KF_REACH_NETWORK, "%s %u-%u", kinds[k].name, first,
					    port - 1);
			first = 0;
		}
	}
	/* Raw and other sockets, and abstract ones outside. */
	if (has_rule(c->a, KF_RULE_NET_BLOCK) && !has_rule(c->b, KF_RULE_NET_BLOCK))
		add_example(c, KF_REACH_NETWORK, "other kinds of sockets");
}

static void compare_hosts(struct comparison *c)
{
	const struct kf_items *old = &c->a->profile.lists[KF_LIST_DOMAIN];
	const struct kf_items *new = &c->b->profile.lists[KF_LIST_DOMAIN];

	if (!opens_any(c->b) || (opens_any(c->a) && !old->n))
		return;
	if (!new->n)
		add_example(c, KF_REACH_NETWORK, "every host");
	for (size_t i = 0; i < new->n; i++) {
		bool known = false;

		for (size_t k = 0; k < old->n && !known && opens_any(c->a); k++)
			known = covers_host(old->v[k].s, new->v[i].s);
		if (!known)
			add_example(c, KF_REACH_NETWORK, "%s", new->v[i].s);
	}
}

/* ---- protections ---- */

static bool has_same(const struct kf_compiled *p, const struct kf_rule *rule)
{
	for (size_t i = 0; i < p->nrules; i++) {
		const struct kf_rule *r = &p->rules[i];

		if (r->kind == rule->kind && r->soft == rule->soft && r->hard == rule->hard &&
		    strcmp(r->verb ? r->verb : "", rule->verb ? rule->verb : "") == 0 &&
		    strcmp(r->arg ? r->arg : "", rule->arg ? rule->arg : "") == 0)
			return true;
	}
	return false;
}

/* A limit as @p has it; no limit is the highest. */
static uint64_t hard_limit(const struct kf_compiled *p, const char *name)
{
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rules[i].kind == KF_RULE_RLIMIT && strcmp(p->rules[i].verb, name) == 0)
			return p->rules[i].hard;
	return UINT64_MAX;
}

/* What a rule of @a keeps away that @b has not.  An environment is compared as it is written: that
 * two patterns keep the same away is not worked out. */
static void compare_rules(struct comparison *c)
{
	for (size_t i = 0; i < c->a->nrules; i++) {
		const struct kf_rule *r = &c->a->rules[i];

		switch (r->kind) {
		case KF_RULE_SCOPE:
			if (!has_same(c->b, r))
				add_example(c, KF_REACH_PROTECTIONS, "scope %s", r->verb);
			break;
		case KF_RULE_MEMFD_NOEXEC:
			if (!has_same(c->b, r))
				add_example(c, KF_REACH_PROTECTIONS, "memory files are executable");
			break;
		case KF_RULE_RLIMIT:
			if (hard_limit(c->b, r->verb) > r->hard)
				add_example(c, KF_REACH_PROTECTIONS, "rlimit %s", r->verb);
			break;
		case KF_RULE_ENV:
			if (strncmp(r->verb, "drop", 4) == 0 && !has_same(c->b, r))
				add_example(c, KF_REACH_PROTECTIONS, "environment %s", r->arg);
			break;
		default:
			break;
		}
	}
}

static bool keeps_env(const struct kf_compiled *p)
{
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rules[i].kind == KF_RULE_ENV && strncmp(p->rules[i].verb, "keep", 4) == 0)
			return true;
	return false;
}

/* What a rule of @b opens that @a does not. */
static void compare_openings(struct comparison *c)
{
	for (size_t i = 0; i < c->b->nrules; i++) {
		const struct kf_rule *r = &c->b->rules[i];

		if ((r->kind == KF_RULE_FS_PROCESSES || r->kind == KF_RULE_FS_DEVICES) &&
		    !has_rule(c->a, r->kind))
			add_example(c, KF_REACH_PROTECTIONS, "%s",
				    r->kind == KF_RULE_FS_DEVICES
					    ? "devices that the container is given"
					    : "what the kernel tells processes of themselves");
		if (r->kind == KF_RULE_ENV && strncmp(r->verb, "keep", 4) == 0 && keeps_env(c->a) &&
		    !has_same(c->a, r))
			add_example(c, KF_REACH_PROTECTIONS, "environment %s", r->arg);
	}
	if (keeps_env(c->a) && !keeps_env(c->b))
		add_example(c, KF_REACH_PROTECTIONS, "the whole environment");
}

static void compare_seccomp(struct comparison *c)
{
	enum kf_seccomp_level levels[2] = {KF_SECCOMP_LEVEL_NONE, KF_SECCOMP_LEVEL_NONE};
	const struct kf_compiled *profiles[2] = {c->a, c->b};

	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < profiles[p]->nrules; i++)
			if (profiles[p]->rules[i].kind == KF_RULE_SECCOMP)
				(void)kf_seccomp_level_parse(profiles[p]->rules[i].arg, &levels[p]);
	/* Without a level of its own it is the node's, which may be stricter than any. */
	if (levels[1] != KF_SECCOMP_LEVEL_NONE && levels[1] != levels[0] &&
	    (levels[0] == KF_SECCOMP_LEVEL_NONE || levels[1] < levels[0]) &&
	    levels[1] != KF_SECCOMP_LEVEL_RESTRICTED)
		add_example(c, KF_REACH_PROTECTIONS, "seccomp %s",
			    kf_seccomp_level_name(levels[1]));
	if (levels[0] != KF_SECCOMP_LEVEL_NONE && levels[1] == KF_SECCOMP_LEVEL_NONE)
		add_example(c, KF_REACH_PROTECTIONS, "seccomp: the node's level instead of %s",
			    kf_seccomp_level_name(levels[0]));
}

int kf_reach_compare(const struct kf_compiled *a, const struct kf_compiled *b,
		     struct kf_arena *arena, struct kf_reach *ret, struct kf_err *err)
{
	const struct kf_profile_library library = {&kf_profile_secrets, 1};
	KF_FREE const char **points = calloc(POINTS_MAX, sizeof(*points));
	struct kf_reach reach = {0};
	struct kf_diags diags;
	struct comparison c = {.a = a, .b = b, .arena = arena, .reach = &reach, .points = points};
	int r = 0;

	if (!points)
		return kf_fail_nomem(err, "comparison");
	kf_diags_init(&diags, arena);
	if (kf_profile_compile(&library, kf_profile_secrets.name, arena, &diags, &c.secrets, err) <
	    0)
		return -1;
	for (size_t user = 0; user < KF_ARRAY_SIZE(users) && r == 0; user++) {
		kf_arena_init(&c.names, MEMORY_MAX);
		r = compare_paths(&c, user, err);
		kf_arena_done(&c.names);
	}
	if (r < 0)
		return -1;
	compare_hosts(&c);
	compare_ports(&c);
	compare_rules(&c);
	compare_openings(&c);
	compare_seccomp(&c);
	*ret = reach;
	return 0;
}

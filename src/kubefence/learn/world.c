/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of struct kf_learn_world, for a container of "kubefence try" and for what only denials
 * are known of. */
#include "kubefence/learn/world.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/message.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Strings, and what has been looked up for the explanations. */
#define MEMORY_MAX  ((size_t)512 * 1024 * 1024)
/* No directory is folded that holds more: nobody uses so much of it. */
#define ENTRIES_MAX 200000

int learn_world_init(struct learn_world *world, const struct try_options *o)
{
	const struct kf_profile_library library = {&kf_profile_secrets, 1};
	struct kf_err err;
	int r;

	*world = (struct learn_world){.explain = {.rootfs = -1, .arena = &world->arena}};
	kf_arena_init(&world->arena, MEMORY_MAX);
	kf_profiles_init(&world->profiles);
	if (kf_profiles_add_dirs(&world->profiles, &o->dirs, &err) < 0)
		return kf_command_fail("%s", err.msg);
	kf_diags_init(&world->profiles.diags, &world->profiles.arena);
	if (kf_profile_compile(&library, kf_profile_secrets.name, &world->profiles.arena,
			       &world->profiles.diags, &world->secrets, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (!o->profile)
		return KF_EXIT_OK;
	r = kf_profiles_compile(&world->profiles, o->profile, &world->base, &err);
	if (kf_profiles_report(&world->profiles) == 0 && r < 0)
		return kf_command_fail("%s", err.msg);
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

void learn_world_done(struct learn_world *world)
{
	if (!world->explain.arena)
		return;
	if (world->explain.rootfs >= 0)
		(void)close(world->explain.rootfs);
	kf_profiles_done(&world->profiles);
	kf_arena_done(&world->arena);
}

/* ---- what is there ---- */

/* Where this machine has the container's @path; false if nobody knows. */
static bool outside_path(const struct learn_world *world, const char *path,
			 char out[static PATH_MAX])
{
	const struct learn_place *best = NULL;

	for (size_t i = 0; i < world->nplaces; i++) {
		const struct learn_place *p = &world->places[i];

		if (kf_path_under(path, p->at) && (!best || strlen(p->at) > strlen(best->at)))
			best = p;
	}
	return best && (size_t)snprintf(out, PATH_MAX, "%s%s", best->source,
					path + (best->at[1] ? strlen(best->at) : 0)) < PATH_MAX;
}

static size_t count_entries(void *ctx, const char *path)
{
	const struct learn_world *world = ctx;
	char outside[PATH_MAX];
	char *const roots[] = {outside, NULL};
	size_t n = 0;
	FTS *fts;

	if (!outside_path(world, path, outside))
		return 0;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOSTAT | FTS_NOCHDIR, NULL);
	for (const FTSENT *e; fts && n < ENTRIES_MAX && (e = fts_read(fts));)
		n += e->fts_info != FTS_DP && e->fts_info != FTS_NS && e->fts_info != FTS_ERR;
	if (fts)
		(void)fts_close(fts);
	return n;
}

/* ---- secrets ---- */

/* @rule's path for one home; false if it has none. */
static bool secret_path(const char *arg, const char *home, char out[static PATH_MAX])
{
	if (*arg == '/')
		return (size_t)snprintf(out, PATH_MAX, "%s", kf_policy_run_path(arg)) < PATH_MAX;
	return *arg == '~' && home &&
	       (size_t)snprintf(out, PATH_MAX, "%s%s", home, arg + 1) < PATH_MAX;
}

/* The home that @path lies in, as far as its name tells. */
static const char *home_of(const char *path, char out[static PATH_MAX])
{
	const char *slash;

	if (kf_path_under(path, "/root"))
		return "/root";
	if (strncmp(path, "/home/", 6) != 0)
		return NULL;
	slash = strchr(path + 6, '/');
	(void)snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path) : (int)strlen(path),
		       path);
	return out;
}

static bool is_secret(const char *path, const char *secret, bool below)
{
	return kf_path_under(path, secret) || (below && kf_path_under(secret, path));
}

static const char *find_secret(void *ctx, const char *path, bool below)
{
	struct learn_world *world = ctx;
	const struct kf_compiled *lists[] = {&world->secrets, &world->base};
	const char *at = kf_policy_run_path(path);
	char named[PATH_MAX], full[PATH_MAX];
	const char *homes[] = {world->explain.home, home_of(at, named)};

	/* All homes lie there. */
	if (below && (strcmp(at, "/home") == 0 || strcmp(at, "/") == 0))
		return "homes have keys and tokens";
	for (size_t l = 0; l < KF_ARRAY_SIZE(lists); l++) {
		for (size_t i = 0; i < lists[l]->nrules; i++) {
			const struct kf_rule *rule = &lists[l]->rules[i];

			if (rule->kind != KF_RULE_FS_DENY)
				continue;
			for (size_t h = 0; h < KF_ARRAY_SIZE(homes); h++)
				if (secret_path(rule->arg, homes[h], full) &&
				    is_secret(at, full, below))
					return kf_arena_printf(&world->arena,
							       "'%s' is denied, as it holds what "
							       "is secret; --allow-sensitive "
							       "grants it",
							       rule->arg);
		}
	}
	return NULL;
}

/* ---- the base ---- */

static bool is_directory(void *ctx, const char *path)
{
	const struct learn_world *world = ctx;
	char outside[PATH_MAX];
	struct stat st;

	return outside_path(world, path, outside) && stat(outside, &st) == 0 && S_ISDIR(st.st_mode);
}

static int given_access(void *ctx, const char *path, bool inside, unsigned access, unsigned *ret,
			struct kf_err *err)
{
	static const unsigned bits[] = {KF_FS_READ, KF_FS_WRITE, KF_FS_EXEC};
	struct learn_world *world = ctx;
	struct kf_explained e;
	char file[PATH_MAX];

	*ret = 0;
	/* That a directory can be listed says nothing about what is in it. */
	if (inside && is_directory(world, path)) {
		if ((size_t)snprintf(file, sizeof(file), "%s/.kubefence", path[1] ? path : "") >=
		    sizeof(file))
			return 0;
		path = file;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(bits); i++) {
		if (!(access & bits[i]))
			continue;
		if (kf_explain_path(&world->explain, world->base.rules, world->base.nrules, path,
				    bits[i], &e, err) < 0)
			return -1;
		*ret |= e.allowed ? bits[i] : 0;
	}
	return 0;
}

static bool port_open(void *ctx, const struct kf_learn_port *port)
{
	static const enum kf_rule_kind kinds[] = {
		[KF_LEARN_CONNECT] = KF_RULE_NET_CONNECT,
		[KF_LEARN_LISTEN] = KF_RULE_NET_BIND,
		[KF_LEARN_CONNECT_UDP] = KF_RULE_NET_CONNECT_UDP,
		[KF_LEARN_LISTEN_UDP] = KF_RULE_NET_BIND_UDP,
	};
	struct learn_world *world = ctx;
	bool closed = false;

	for (size_t i = 0; i < world->base.nrules; i++) {
		const struct kf_rule *rule = &world->base.rules[i];

		closed |= rule->kind == KF_RULE_NET_BLOCK || rule->kind == kinds[port->net];
		if (rule->kind == kinds[port->net] && port->port >= rule->port &&
		    port->port <= rule->port_last)
			return true;
	}
	if (!closed || port->net < KF_LEARN_CONNECT_UDP ||
	    world->explain.abi >= KF_LANDLOCK_ABI_UDP)
		return !closed;
	world->udp_left = true;
	return true;
}

/* ---- places ---- */

static const char *find_env(const char *const *env, size_t n, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = n; i-- > 0;)
		if (strncmp(env[i], name, length) == 0 && env[i][length] == '=' &&
		    env[i][length + 1] == '/')
			return env[i] + length + 1;
	return NULL;
}

static void set_context(struct learn_world *world, uint32_t uid, const char *workdir,
			const char *const *env, size_t nenv)
{
	struct kf_err err;

	world->explain.uid = uid;
	world->explain.workdir = workdir;
	world->explain.home = find_env(env, nenv, "HOME");
	world->explain.tmpdir = find_env(env, nenv, "TMPDIR");
	if (!world->explain.home && uid == 0)
		world->explain.home = "/root";
	if (kf_landlock_probe(&world->explain.abi, &err) < 0)
		world->explain.abi = KF_LANDLOCK_ABI_MAX;
	world->explain.mounts = world->mounts;
	world->never[0] = world->explain.home ? world->explain.home : "/root";
	world->never[1] = "/root";
	world->vtable = (struct kf_learn_world){
		.given = given_access,
		.secret = find_secret,
		.directory = is_directory,
		.entries = count_entries,
		.open = port_open,
		.never = world->never,
		.ctx = world,
	};
}

int learn_world_container(struct learn_world *world, const struct try_container *c,
			  struct kf_err *err)
{
	world->explain.rootfs = open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (world->explain.rootfs < 0)
		return kf_fail_sys(err, "open '%s'", c->rootfs);
	for (size_t i = try_nbase_mounts; i < c->nmounts; i++) {
		const struct kf_view_mount *m = &c->mounts[i];
		bool read_only = false;

		if (world->explain.nmounts == LEARN_MOUNTS)
			return kf_fail(err, E2BIG, "more than %d volumes", LEARN_MOUNTS);
		for (size_t k = 0; k < m->noptions; k++)
			read_only |= strcmp(m->options[k], "ro") == 0;
		world->mounts[world->explain.nmounts++] =
			(struct kf_explain_mount){m->destination, read_only};
		world->places[world->nplaces++] = (struct learn_place){m->destination, m->source};
	}
	world->places[world->nplaces++] = (struct learn_place){"/", c->rootfs};
	set_context(world, c->uid, c->cwd, c->env, c->nenv);
	return 0;
}

void learn_world_plain(struct learn_world *world, uint32_t uid, const char *workdir,
		       const struct kf_option_list *env)
{
	set_context(world, uid, workdir, env->v, env->n);
}

const struct kf_learn_world *learn_world_of(struct learn_world *world)
{
	return &world->vtable;
}

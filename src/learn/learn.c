/* SPDX-License-Identifier: Apache-2.0 */
/* What was needed: remembering it, reading and writing it as lines of JSON, and working out which
 * part of it a profile lacks.  Folding is in fold.c, the profile's text in write.c. */
#include "learn/learn.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/path.h"
#include "profile/keys.h"
#include "profile/profile.h"
#include "json/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS	   (4 * KF_LEARN_PATHS)
#define LINE_MAX_N (64 * 1024)

const char *const kf_learn_nets[KF_LEARN_NETS] = {
	[KF_LEARN_CONNECT] = "connect_port",
	[KF_LEARN_LISTEN] = "listen_port",
	[KF_LEARN_CONNECT_UDP] = "connect_udp_port",
	[KF_LEARN_LISTEN_UDP] = "listen_udp_port",
};

int kf_learn_init(struct kf_learn *learn, struct kf_err *err)
{
	*learn = (struct kf_learn){0};
	kf_arena_init(&learn->arena, KF_LEARN_MEMORY);
	learn->paths = calloc(KF_LEARN_PATHS, sizeof(*learn->paths));
	learn->index = calloc(SLOTS, sizeof(*learn->index));
	if (learn->paths && learn->index)
		return 0;
	kf_learn_done(learn);
	return kf_fail_nomem(err, "learn");
}

void kf_learn_done(struct kf_learn *learn)
{
	free(learn->paths);
	free(learn->index);
	kf_arena_done(&learn->arena);
	*learn = (struct kf_learn){0};
}

/* The slot of @path, which is clean: of its entry, or where that would go. */
static uint32_t find_slot(const struct kf_learn *learn, const char *path)
{
	uint32_t h = 5381;

	for (const char *s = path; *s; s++)
		h = h * 33 + (unsigned char)*s;
	for (h %= SLOTS; learn->index[h]; h = (h + 1) % SLOTS)
		if (strcmp(learn->paths[learn->index[h] - 1].path, path) == 0)
			break;
	return h;
}

/* The entry for @path, a new one if there is none; NULL if there is no room. */
static struct kf_learn_path *take_path(struct kf_learn *learn, const char *path)
{
	char clean[PATH_MAX];
	struct kf_learn_path *p;
	uint32_t slot;

	if (*path != '/' || !kf_path_clean(path, clean, sizeof(clean)))
		return NULL;
	slot = find_slot(learn, clean);
	if (learn->index[slot])
		return &learn->paths[learn->index[slot] - 1];
	p = &learn->paths[learn->npaths];
	learn->full |= learn->npaths == KF_LEARN_PATHS ||
		       !(p->path = kf_arena_strdup(&learn->arena, clean));
	if (learn->full)
		return NULL;
	learn->index[slot] = (uint32_t)++learn->npaths;
	return p;
}

void kf_learn_use(struct kf_learn *learn, const char *path, unsigned access)
{
	struct kf_learn_path *p = take_path(learn, path);

	if (p)
		p->access |= access;
}

void kf_learn_made(struct kf_learn *learn, const char *path)
{
	struct kf_learn_path *p = take_path(learn, path);

	if (p)
		p->made = true;
}

void kf_learn_net(struct kf_learn *learn, enum kf_learn_net net, uint16_t port)
{
	for (size_t i = 0; i < learn->nports; i++)
		if (learn->ports[i].net == net && learn->ports[i].port == port)
			return;
	if (learn->nports == KF_LEARN_PORTS)
		learn->full = true;
	else
		learn->ports[learn->nports++] = (struct kf_learn_port){net, port};
}

void kf_learn_reach(struct kf_learn *learn, const char *host, uint16_t port)
{
	char *name;

	for (size_t i = 0; i < learn->nhosts; i++)
		if (learn->hosts[i].port == port && strcmp(learn->hosts[i].name, host) == 0)
			return;
	name = learn->nhosts < KF_LEARN_HOSTS ? kf_arena_strdup(&learn->arena, host) : NULL;
	if (name)
		learn->hosts[learn->nhosts++] = (struct kf_learn_host){name, port};
	else
		learn->full = true;
}

/* ---- lines ---- */

static const char *string_of(const struct kf_json *o, const char *key)
{
	const char *text = kf_json_string(kf_json_find(o, key));

	return text ? text : "";
}

/* The first value of the list @o, the others follow by next; NULL if it is none. */
static const struct kf_json *first_of(const struct kf_json *o)
{
	return o && o->type == KF_JSON_LIST ? o->first : NULL;
}

static void take_rule(struct kf_learn *learn, const struct kf_json *rule)
{
	const struct kf_json *network = kf_json_find(rule, "network");
	const struct kf_json *security = kf_json_find(rule, "security");
	const struct kf_json *v = first_of(kf_json_find(kf_json_find(rule, "filesystem"), "grant"));

	for (; v; v = v->next)
		kf_learn_use(learn, string_of(v, "path"),
			     kf_profile_access(string_of(v, "access")));
	for (unsigned net = 0; net < KF_LEARN_NETS; net++) {
		for (v = first_of(kf_json_find(network, kf_learn_nets[net])); v; v = v->next) {
			int64_t port = v->type == KF_JSON_INT ? kf_json_int(v) : 0;

			if (port > 0 && port <= UINT16_MAX)
				kf_learn_net(learn, net, (uint16_t)port);
		}
	}
	for (v = first_of(kf_json_find(network, "allow_domain")); v; v = v->next) {
		const struct kf_json *port = first_of(kf_json_find(v, "ports"));
		int64_t n = port && port->type == KF_JSON_INT ? kf_json_int(port) : 0;

		if (n > 0 && n <= UINT16_MAX && *string_of(v, "domain"))
			kf_learn_reach(learn, string_of(v, "domain"), (uint16_t)n);
	}
	learn->signal |= strcmp(string_of(security, "signal_mode"), "allow_all") == 0;
	learn->abstract |= strcmp(string_of(security, "ipc_mode"), "full") == 0;
}

static void take_line(struct kf_learn *learn, const struct kf_json *line)
{
	if (!*learn->profile)
		(void)snprintf(learn->profile, sizeof(learn->profile), "%s",
			       string_of(line, "profile"));
	if (*string_of(line, "made"))
		kf_learn_made(learn, string_of(line, "made"));
	take_rule(learn, kf_json_find(line, "rule"));
}

int kf_learn_read(struct kf_learn *learn, const char *text, size_t n, const char *name,
		  const char *namespace_, const char *pod, size_t *ret_lines, struct kf_err *err)
{
	unsigned number = 0;

	*ret_lines = 0;
	for (const char *at = text, *end = text + n; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((stop ? stop : end) - at);
		KF_CLEANUP(kf_arena_done) struct kf_arena arena;
		struct kf_json *line;
		char buf[LINE_MAX_N];

		kf_arena_init(&arena, KF_LIMIT_REQUEST_MEMORY);
		number++;
		if (length >= sizeof(buf))
			return kf_fail(err, E2BIG, "'%s', line %u: more than %d bytes", name,
				       number, LINE_MAX_N);
		memcpy(buf, at, length);
		buf[length] = '\0';
		at += length + 1;
		/* What else a program says among its records, such as a log line, is no record. */
		if (buf[strspn(buf, " \t\r")] != '{')
			continue;
		if (kf_json_parse(buf, length, name, &arena, &line, err) < 0)
			return kf_fail_wrap(err, "line %u", number);
		if ((pod && strcmp(string_of(line, "pod"), pod) != 0) ||
		    (namespace_ && strcmp(string_of(line, "namespace"), namespace_) != 0))
			continue;
		++*ret_lines;
		take_line(learn, line);
	}
	return 0;
}

void kf_learn_lines(const struct kf_learn *learn, struct kf_buf *out)
{
	for (size_t i = 0; i < learn->npaths; i++) {
		const struct kf_learn_path *p = &learn->paths[i];

		if (p->made) {
			kf_json_open(out, NULL, '{');
			kf_json_put_string(out, "made", p->path);
			kf_json_close(out, '}');
			kf_buf_adds(out, "\n");
		}
		if (!p->access)
			continue;
		kf_json_open(out, NULL, '{');
		kf_json_open(out, "rule", '{');
		kf_json_open(out, "filesystem", '{');
		kf_json_open(out, "grant", '[');
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "path", p->path);
		kf_json_put_string(out, "access",
				   kf_profile_access_name(p->access & KF_FS_EXEC
								  ? p->access | KF_FS_READ
								  : p->access));
		kf_json_close(out, '}');
		kf_json_close(out, ']');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_buf_adds(out, "\n");
	}
	for (size_t i = 0; i < learn->nports; i++) {
		kf_json_open(out, NULL, '{');
		kf_json_open(out, "rule", '{');
		kf_json_open(out, "network", '{');
		kf_json_open(out, kf_learn_nets[learn->ports[i].net], '[');
		kf_json_put_number(out, NULL, learn->ports[i].port);
		kf_json_close(out, ']');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_buf_adds(out, "\n");
	}
	for (size_t i = 0; i < learn->nhosts; i++) {
		kf_json_open(out, NULL, '{');
		kf_json_open(out, "rule", '{');
		kf_json_open(out, "network", '{');
		kf_json_open(out, "allow_domain", '[');
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "domain", learn->hosts[i].name);
		kf_json_open(out, "ports", '[');
		kf_json_put_number(out, NULL, learn->hosts[i].port);
		kf_json_close(out, ']');
		kf_json_close(out, '}');
		kf_json_close(out, ']');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		kf_buf_adds(out, "\n");
	}
}

/* ---- the change ---- */

/* The directory in which the command made the first part of @path; @path itself if it made none. */
static const char *lift_path(struct kf_learn *learn, const char *path)
{
	char prefix[PATH_MAX];

	for (size_t n = 1; n < sizeof(prefix); n++) {
		uint32_t at;

		if (path[n] && path[n] != '/')
			continue;
		memcpy(prefix, path, n);
		prefix[n] = '\0';
		at = learn->index[find_slot(learn, prefix)];
		if (at && learn->paths[at - 1].made) {
			size_t up = (size_t)(strrchr(prefix, '/') - prefix);

			prefix[up ? up : 1] = '\0';
			return kf_arena_strdup(&learn->arena, prefix);
		}
		if (!path[n])
			break;
	}
	return path;
}

static int by_path(const void *a, const void *b)
{
	const struct kf_learn_grant *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static size_t merge_grants(struct kf_learn_grant *v, size_t n)
{
	size_t out = 0;

	qsort(v, n, sizeof(*v), by_path);
	for (size_t i = 0; i < n; i++) {
		if (out && strcmp(v[out - 1].path, v[i].path) == 0)
			v[out - 1].access |= v[i].access;
		else
			v[out++] = v[i];
	}
	return out;
}

/* Why no grant can be made of what was done to the directory @where. */
static const char *fixed_reason(const struct kf_learn_world *world, const char *where, bool lifted)
{
	if (strcmp(where, "/") == 0)
		return lifted ? "something was made in it, but granting '/' would cover everything"
			      : "it was listed, but granting '/' would cover everything";
	if (lifted || !world->directory(world->ctx, where))
		return NULL;
	for (const char *const *p = world->never; p && *p; p++)
		if (strcmp(*p, where) == 0)
			return "it was listed, but a grant would make every file of the home "
			       "readable";
	return NULL;
}

/* Decide about one path: what of it is needed goes to @grant. */
static int need_path(struct kf_learn_path *p, const char *where, const struct kf_learn_world *world,
		     bool allow_sensitive, struct kf_learn_grant *grant, const char **ret_secret,
		     struct kf_err *err)
{
	unsigned access = p->access & KF_FS_EXEC ? p->access | KF_FS_READ : p->access, given;
	const char *why;

	*grant = (struct kf_learn_grant){0};
	*ret_secret = NULL;
	if (!access || world->given(world->ctx, where, where != p->path, access, &given, err) < 0)
		return access ? -1 : 0;
	if (!(access & ~given))
		return 0;
	p->left = fixed_reason(world, where, where != p->path);
	if (!p->left && access & KF_FS_WRITE && kf_profile_precious(where))
		p->left = "something was written in it, and granting that would give the whole "
			  "system away: grant the file that the program needs there";
	if (p->left)
		return 0;
	why = world->secret(world->ctx, where, false);
	if (why && !allow_sensitive) {
		p->left = why;
		return 0;
	}
	if (why)
		*ret_secret = where;
	*grant = (struct kf_learn_grant){where, access & ~given};
	return 0;
}

/* What is said to be granted is what is accessible, with what the base gives there. */
static int add_given(const struct kf_learn_world *world, struct kf_learned *learned,
		     struct kf_err *err)
{
	for (size_t i = 0; i < learned->ngrants; i++) {
		struct kf_learn_grant *g = &learned->grants[i];
		unsigned given;

		if (world->given(world->ctx, g->path, true, KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC,
				 &given, err) < 0)
			return -1;
		g->access |= given;
	}
	return 0;
}

static int change_files(struct kf_learn *learn, const struct kf_learn_world *world,
			bool allow_sensitive, struct kf_learned *ret, struct kf_err *err)
{
	const size_t n = learn->npaths;
	struct kf_learn_grant *needed = kf_arena_calloc(&learn->arena, n + 1, sizeof(*needed));
	size_t n_needed = 0;

	ret->secrets = kf_arena_calloc(&learn->arena, n + 1, sizeof(*ret->secrets));
	if (!needed || !ret->secrets)
		return kf_fail_nomem(err, "learn");
	for (size_t i = 0; i < n; i++) {
		const char *where = lift_path(learn, learn->paths[i].path), *secret;

		if (!where)
			return kf_fail_nomem(err, "learn");
		if (need_path(&learn->paths[i], where, world, allow_sensitive, &needed[n_needed],
			      &secret, err) < 0)
			return -1;
		if (secret)
			ret->secrets[ret->nsecrets++] = secret;
		n_needed += needed[n_needed].path != NULL;
	}
	n_needed = merge_grants(needed, n_needed);
	if (kf_learn_fold(needed, n_needed, world, &learn->arena, &ret->grants, &ret->ngrants,
			  err) < 0)
		return -1;
	return add_given(world, ret, err);
}

int kf_learn_change(struct kf_learn *learn, const struct kf_learn_world *world,
		    bool allow_sensitive, struct kf_learned *ret, struct kf_err *err)
{
	struct kf_learned learned = {.signal = learn->signal,
				     .abstract = learn->abstract,
				     .hosts = learn->hosts,
				     .nhosts = learn->nhosts};

	if (change_files(learn, world, allow_sensitive, &learned, err) < 0)
		return -1;
	for (size_t i = 0; i < learn->nports; i++)
		if (!world->open(world->ctx, &learn->ports[i]))
			learned.ports[learned.nports++] = learn->ports[i];
	*ret = learned;
	return 0;
}

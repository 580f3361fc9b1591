/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods need the guard.  It may be removed only when there are none: otherwise a container
 * that was started through it could neither be entered nor deleted, and one that has exited could
 * neither be started again nor, on CRI-O, removed.  Three places are looked at: the runtime's list,
 * exited containers included; the guard's own records, which exist whether the runtime runs or not;
 * and containerd's bundles, which name the guard.  Processes are not looked at: those of a node
 * within a container of this one look alike. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "cri/cri.h"
#include "node/handler.h"
#include "node/payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS	   "/run/kubefence/guard"
#define RECORD_MAX 65536
#define ID_MAX	   256 /* of containers */
/* All pods and containers of a node: what the runtime lists (cri/cri.c), several times. */
#define LIST_MAX   (64 * 1024 * 1024)

/* The pods that were found; their names live in the arena. */
struct users {
	const struct kf_node *node;
	struct kf_arena arena;
	struct kf_cri_list list;
	const char **v;
	size_t n, cap;
};

/* Whether the object has ended meanwhile: containers and processes come and go. */
static bool is_gone(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ESRCH;
}

/* Read up to @max - 1 bytes of file @name in @dir, with NUL; none if there is no such file. */
static int read_some(int dir, const char *name, char *buf, size_t max, size_t *ret_n,
		     struct kf_err *err)
{
	KF_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, max - 1);

	if (n < 0 && !is_gone(errno))
		return kf_fail_sys(err, "read '%s'", name);
	*ret_n = n > 0 ? (size_t)n : 0;
	buf[*ret_n] = '\0';
	return 0;
}

static int add_user(struct users *u, const char *name, struct kf_err *err)
{
	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->v[i], name) == 0)
			return 0;
	if (u->n == u->cap) {
		size_t cap = u->cap ? 2 * u->cap : 16;
		const char **v = reallocarray(u->v, cap, sizeof(*v));

		if (!v)
			return kf_fail_nomem(err, "list of pods");
		u->v = v;
		u->cap = cap;
	}
	u->v[u->n++] = name;
	return 0;
}

static const struct kf_cri_pod *find_pod(const struct users *u, const char *id)
{
	for (size_t i = 0; i < u->list.npods; i++)
		if (strcmp(u->list.pods[i].id, id) == 0)
			return &u->list.pods[i];
	return NULL;
}

/* Add container @id, which needs the guard; a pause container has its pod's ID. */
static int add_container(struct users *u, const char *id, struct kf_err *err)
{
	const struct kf_cri_pod *pod = find_pod(u, id);
	const char *name;

	for (size_t i = 0; i < u->list.ncontainers && !pod; i++)
		if (strcmp(u->list.containers[i].id, id) == 0)
			pod = find_pod(u, u->list.containers[i].pod);
	name = pod ? pod->name : kf_arena_printf(&u->arena, "container %.13s", id);
	return name ? add_user(u, name, err) : kf_fail_nomem(err, "list of pods");
}

/* The ID of the guard's container that entry @name of directory @dir belongs to; "" if it belongs
 * to none. */
typedef int judge(const struct users *u, int dir, const char *name, char id[static ID_MAX],
		  struct kf_err *err);

/* Whether file @name of directory @dir has the guard's path in it. */
static int names_guard(int dir, const char *name, bool *ret, struct kf_err *err)
{
	char buf[64 * 1024];
	size_t n;

	if (read_some(dir, name, buf, sizeof(buf), &n, err) < 0)
		return -1;
	*ret = memmem(buf, n, KF_NODE_GUARD, strlen(KF_NODE_GUARD)) != NULL;
	return 0;
}

/* Judge a bundle of containerd's: the shim leaves the runtime's path in it. */
static int judge_bundle(const struct users *u, int dir, const char *name, char id[static ID_MAX],
			struct kf_err *err)
{
	KF_CLOSE int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ours = false;

	(void)u;
	if (fd < 0)
		return is_gone(errno) ? 0 : kf_fail_sys(err, "open bundle '%s'", name);
	if (names_guard(fd, "runtime", &ours, err) < 0 ||
	    (!ours && names_guard(fd, "options.json", &ours, err) < 0))
		return -1;
	if (ours)
		(void)snprintf(id, ID_MAX, "%s", name);
	return 0;
}

/* Copy the value of @key in the guard's record @text; "" if it has none. */
static void record_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);
	const char *at = text;

	*ret = '\0';
	while (at && *at) {
		if (strncmp(at, key, n) == 0 && at[n] == ' ') {
			at += n + 1;
			(void)snprintf(ret, size, "%.*s", (int)strcspn(at, "\n"), at);
			return;
		}
		at = strchr(at, '\n');
		at += at != NULL;
	}
}

/* Judge a record of the guard's.  It counts until nothing is left to delete, neither the runtime's
 * state nor the bundle: then somebody else deleted the container. */
static int judge_record(const struct users *u, int dir, const char *name, char id[static ID_MAX],
			struct kf_err *err)
{
	const struct kf_host *host = &u->node->host;
	char text[RECORD_MAX], root[PATH_MAX], path[PATH_MAX], state[PATH_MAX + ID_MAX + 1];
	size_t n;

	if (read_some(dir, name, text, sizeof(text), &n, err) < 0)
		return -1;
	if (!n) /* deleted meanwhile, or just being written */
		return 0;
	record_value(text, "root", root, sizeof(root));
	record_value(text, "bundle", path, sizeof(path));
	record_value(text, "id", id, ID_MAX);
	if (path[0] != '/' || !*id) {
		(void)snprintf(id, ID_MAX, "%s", name);
		return 0;
	}
	(void)snprintf(state, sizeof(state), "%s/%s", *root ? root : "/run/runc", id);
	if (!kf_host_exists(host, path) && !kf_host_exists(host, state))
		*id = '\0';
	return 0;
}

/* Add the containers that the entries of @path belong to; a missing directory has none. */
static int look_at_entries(struct users *u, const char *path, judge *is, struct kf_err *err)
{
	struct dirent *de;
	DIR *dir;
	int fd, r = 0;

	if (kf_host_dir(&u->node->host, path, false, &fd, err) < 0)
		return is_gone(err->code) ? 0 : -1;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return kf_fail_sys(err, "read '%s'", path);
	}
	while (r == 0) {
		char id[ID_MAX] = "";

		errno = 0;
		de = readdir(dir);
		if (!de && errno)
			r = kf_fail_sys(err, "read '%s'", path);
		if (!de)
			break;
		if (de->d_name[0] != '.')
			r = is(u, dirfd(dir), de->d_name, id, err);
		if (r == 0 && *id)
			r = add_container(u, id, err);
	}
	(void)closedir(dir);
	return r < 0 ? kf_fail_wrap(err, "'%s'", path) : 0;
}

/* Whether a line of @text sets a key "state", in whatever table. */
static bool sets_state(const char *text)
{
	for (; text; text = strchr(text, '\n')) {
		text += strspn(text, " \t\r\n");
		text += *text == '"' || *text == '\'';
		if (strncmp(text, "state", 5) == 0 && strchr("\"' \t=", text[5]))
			return true;
	}
	return false;
}

/* The bytes of @text before its first table. */
static size_t size_before_tables(const char *text)
{
	const char *at = text;

	while (*at && at[strspn(at, " \t")] != '[') {
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return (size_t)(at - text);
}

/* The directory that the command line or the root file names for containerd's state, or NULL. */
static int configured_state(const struct kf_node *node, char **ret, struct kf_err *err)
{
	const char *told = node->distro->state;
	KF_FREE char *text = NULL;
	struct kf_toml toml;
	const char *set;
	size_t n;
	int r = 0;

	*ret = told ? strdup(told) : NULL;
	if (told)
		return *ret ? 0 : kf_fail_nomem(err, "state");
	if (kf_host_read(&node->host, node->distro->config, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	/* A file that cannot be parsed is no error here: uninstall may be run to repair it.  The
	 * state's key stands before all tables, and what is wrong mostly behind it. */
	if (kf_toml_parse(text, n, node->distro->config, &toml, err) < 0 &&
	    kf_toml_parse(text, size_before_tables(text), node->distro->config, &toml,
			  KF_ERR_IGNORED) < 0)
		return sets_state(text) ? -1 : 0;
	set = kf_toml_string(toml.root, KF_TOML_PATH("state"), "");
	if (*set && !(*ret = strdup(set)))
		r = kf_fail_nomem(err, "state");
	kf_toml_done(&toml);
	return r;
}

static int look_at_bundles(struct users *u, const char *state, size_t n, const char *tail,
			   struct kf_err *err)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%.*s%s/io.containerd.runtime.v2.task/k8s.io",
			     (int)n, state, tail) >= sizeof(path))
		return kf_fail(err, ENAMETOOLONG, "'%s'", state);
	return look_at_entries(u, path, judge_bundle, err);
}

static int all_bundles(struct users *u, struct kf_err *err)
{
	KF_FREE char *state = NULL;

	if (configured_state(u->node, &state, err) < 0)
		return -1;
	if (state)
		return look_at_bundles(u, state, strlen(state), "", err);
	/* The state is beside the socket or below its directory. */
	for (const char *const *s = u->node->distro->sockets; *s; s++) {
		size_t n = (size_t)(strrchr(*s, '/') - *s);

		if (look_at_bundles(u, *s, n, "", err) < 0 ||
		    look_at_bundles(u, *s, n, "/containerd", err) < 0)
			return -1;
	}
	return 0;
}

/* Whether @handler has a guard, or the file for one; @guards are the guards' files. */
static bool has_guard(const struct kf_node *node, char *const *guards, const char *handler)
{
	const struct kf_journal *j = &node->journal;

	for (size_t i = 0; i < j->nhandlers; i++)
		if (strcmp(j->handlers[i].name, handler) == 0)
			return true;
	for (; *guards; guards++) {
		const char *of = kf_node_guard_handler(*guards);

		if (of && strcmp(of, handler) == 0)
			return true;
	}
	return false;
}

/* Add the pods of the guard's handlers that have a container, whatever its state. */
static int add_listed(struct users *u, struct kf_err *err)
{
	const struct kf_host_runtime rt = kf_node_runtime(u->node);
	char **guards;
	int r = 0;

	if (kf_cri_list(&rt, &u->arena, &u->list, err) < 0 ||
	    kf_host_glob(&u->node->host, KF_NODE_GUARD "*", &guards, err) < 0)
		return -1;
	for (size_t i = 0; i < u->list.ncontainers && r == 0; i++) {
		const struct kf_cri_pod *pod = find_pod(u, u->list.containers[i].pod);

		if (pod && has_guard(u->node, guards, pod->handler))
			r = add_user(u, pod->name, err);
	}
	kf_host_list_free(guards);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Write the names as "a/b, c/d and 3 more". */
static void write_names(struct users *u, struct kf_in_use *ret)
{
	size_t at = 0, i;

	*ret = (struct kf_in_use){.n = (unsigned)u->n};
	if (u->n)
		qsort(u->v, u->n, sizeof(*u->v), by_name);
	for (i = 0; i < u->n; i++) {
		size_t room = i + 1 < u->n ? sizeof(" and 4294967295 more") : 1;

		if (at + 2 + strlen(u->v[i]) + room > sizeof(ret->names))
			break;
		at += (size_t)snprintf(ret->names + at, sizeof(ret->names) - at, "%s%s",
				       i ? ", " : "", u->v[i]);
	}
	if (i < u->n)
		(void)snprintf(ret->names + at, sizeof(ret->names) - at, "%s%zu%s",
			       i ? " and " : "", u->n - i, i ? " more" : " pods");
}

/* Add the containers that the guard's records and containerd's shims know. */
static int add_known(struct users *u, struct kf_err *err)
{
	return look_at_entries(u, RECORDS, judge_record, err) < 0 || all_bundles(u, err) < 0 ? -1
											     : 0;
}

static void users_done(struct users *u)
{
	free(u->v);
	kf_arena_done(&u->arena);
}

int kf_payload_in_use(const struct kf_node *node, struct kf_in_use *ret, struct kf_err *err)
{
	KF_CLEANUP(users_done) struct users u = {.node = node};

	kf_arena_init(&u.arena, LIST_MAX);
	if (add_listed(&u, err) < 0 || add_known(&u, err) < 0)
		return -1;
	write_names(&u, ret);
	return 0;
}

static bool is_asked_for(const struct kf_node *node, const char *handler)
{
	for (size_t i = 0; i < node->options->nhandlers; i++)
		if (strcmp(node->options->handlers[i], handler) == 0)
			return true;
	return false;
}

int kf_payload_outside(const struct kf_node *node, struct kf_in_use *ret, struct kf_err *err)
{
	KF_CLEANUP(users_done) struct users ours = {.node = node};
	KF_CLEANUP(users_done) struct users others = {.node = node};
	const struct kf_host_runtime rt = kf_node_runtime(node);

	kf_arena_init(&ours.arena, LIST_MAX);
	kf_arena_init(&others.arena, LIST_MAX);
	if (kf_cri_list(&rt, &ours.arena, &ours.list, err) < 0 || add_known(&ours, err) < 0)
		return -1;
	for (size_t i = 0; i < ours.list.ncontainers; i++) {
		const struct kf_cri_pod *pod = find_pod(&ours, ours.list.containers[i].pod);
		bool there = !pod || !is_asked_for(node, pod->handler);

		for (size_t k = 0; k < ours.n && !there; k++)
			there = strcmp(ours.v[k], pod->name) == 0;
		if (!there && add_user(&others, pod->name, err) < 0)
			return -1;
	}
	write_names(&others, ret);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Plays the kubelet and the runtime to the egress broker: a network namespace that is mounted, the
 * pod's resolv.conf and its Secrets in a directory like the kubelet's.  The guard finds the
 * broker's parent where it is on a node, in a mount namespace of this command's.  The container's
 * network leads nowhere, so the workers reach hosts from the network of this machine. */
#include "kubefence/try/egress.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/message.h"
#include "cli/print.h"
#include "denial/denial.h"
#include "egress/pod.h"
#include "egress/reason.h"
#include "egress/rules.h"
#include "egress/servers.h"
#include "egress/worker.h"
#include "kubefence/denials/denials.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BROKER	      "nono-egress"
#define NETNS	      "netns/" TRY_POD /* in the stage, as all below */
#define BROKER_DIR    "egress"
#define BROKER_LOG    BROKER_DIR "/connections.log"
#define POD_DIR	      "kubelet/pods" /* the guard knows a pod's directory by "/pods/UID/" */
#define RESOLV_CONF   "/etc/resolv.conf"
#define READY_SECONDS 60
#define REPORT_MAX    64 /* different refusals; more are counted */

bool try_egress_needed(const struct kf_compiled *profile)
{
	for (size_t i = 0; i < profile->nrules; i++)
		if (profile->rules[i].kind == KF_RULE_EGRESS)
			return true;
	return false;
}

/* ---- what a pod has ---- */

static int raise_loopback(struct kf_err *err)
{
	KF_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0
		       ? kf_fail_sys(err, "loopback of the container's network")
		       : 0;
}

/* A network namespace with a loopback that is up, kept by a mount. */
static int make_network(const struct try_stage *stage, struct kf_arena *arena, const char **ret,
			struct kf_err *err)
{
	const char *path = kf_arena_printf(arena, "%s/" NETNS, stage->dir);
	KF_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (!path)
		return kf_fail_nomem(err, "try");
	if (home < 0)
		return kf_fail_sys(err, "open /proc/self/ns/net");
	if (try_stage_file(stage, NETNS, "", err) < 0)
		return -1;
	if (unshare(CLONE_NEWNET) < 0)
		return kf_fail_sys(err, "network namespace");
	r = raise_loopback(err);
	if (r == 0 && mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
		r = kf_fail_sys(err, "mount the network namespace at '%s'", path);
	if (setns(home, CLONE_NEWNET) < 0)
		return kf_fail_sys(err, "return to this machine's network");
	*ret = path;
	return r;
}

int try_egress_servers(struct kf_arena *arena, const char **ret, unsigned *ret_n,
		       struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
	char *copy;

	if (fd < 0 && errno != ENOENT)
		return kf_fail_sys(err, "open '" RESOLV_CONF "'");
	if (fd >= 0 && kf_fd_slurp(fd, RESOLV_CONF, KF_LIMIT_CONFIG, &text, NULL, err) < 0)
		return -1;
	copy = kf_arena_strdup(arena, text ? text : "");
	if (!copy)
		return kf_fail_nomem(err, RESOLV_CONF);
	*ret_n = kf_egress_servers(copy, ret, KF_EGRESS_RESOLVERS);
	if (*ret_n)
		return 0;
	/* What asks for no host can be tried on a machine without a network. */
	kf_print_line(stderr, "kubefence: '" RESOLV_CONF "' of this machine names no server, so no "
			      "host will be found");
	ret[0] = "127.0.0.1";
	*ret_n = 1;
	return 0;
}

/* As the kubelet does for a pod with the node's DNS policy. */
static int give_resolvers(const struct try_stage *stage, struct try_container *c,
			  struct kf_arena *arena, struct kf_err *err)
{
	static const char *const options[] = {"rbind", "rprivate", "ro"};
	const char *name = kf_arena_printf(arena, POD_DIR "/%s/resolv.conf", c->id), *text = "";
	const char *servers[KF_EGRESS_RESOLVERS];
	unsigned n;

	if (try_egress_servers(arena, servers, &n, err) < 0)
		return -1;
	for (unsigned i = 0; text && i < n; i++)
		text = kf_arena_printf(arena, "%snameserver %s\n", text, servers[i]);
	if (!name || !text)
		return kf_fail_nomem(err, "try");
	if (try_stage_file(stage, name, text, err) < 0)
		return -1;
	c->mounts[c->nmounts] = (struct kf_view_mount){
		.destination = RESOLV_CONF,
		.type = "bind",
		.source = kf_arena_printf(arena, "%s/%s", stage->dir, name),
		.options = options,
		.noptions = KF_ARRAY_SIZE(options),
	};
	return c->mounts[c->nmounts++].source ? 0 : kf_fail_nomem(err, "try");
}

/* ---- keys ---- */

/* The directory that @secrets has for @name; NULL if there is none. */
static const char *find_secret(const struct kf_option_list *secrets, const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < secrets->n; i++)
		if (strncmp(secrets->v[i], name, n) == 0 && secrets->v[i][n] == '=')
			return secrets->v[i] + n + 1;
	return NULL;
}

/* That no --secret is meant for another profile. */
static int check_secrets(const struct kf_egress_rules *rules, const struct kf_option_list *secrets,
			 struct kf_err *err)
{
	for (size_t i = 0; i < secrets->n; i++) {
		const size_t n = strcspn(secrets->v[i], "=");
		bool known = false;

		for (unsigned k = 0; k < rules->nsecrets; k++)
			known |= strlen(rules->secrets[k]) == n &&
				 strncmp(rules->secrets[k], secrets->v[i], n) == 0;
		if (!known)
			return kf_fail(err, EINVAL,
				       "--secret '%s': profile '%s' has no credential with that "
				       "\"secret\"",
				       secrets->v[i], rules->profile);
	}
	return 0;
}

/* ---- hiding them: the container has this machine's files, and volumes of them ---- */

/* Cover @path in what the container has of @source at @at. */
static int hide_in(const char *path, const char *source, const char *at, struct try_container *c,
		   struct kf_arena *arena, struct kf_err *err)
{
	if (!kf_path_under(path, source))
		return 0;
	if (strcmp(path, source) == 0)
		return kf_fail(err, EINVAL,
			       "'%s' has keys of --secret, and the container would have it at '%s'",
			       path, at);
	c->masked[c->nmasked] = kf_arena_printf(arena, "%s%s", at[1] ? at : "",
						path + (source[1] ? strlen(source) : 0));
	return c->masked[c->nmasked++] ? 0 : kf_fail_nomem(err, "try");
}

/* Hide @path, a directory with keys, or a key that is a link there, wherever the container has
 * it. */
static int hide_path(const char *path, const char *rootfs, struct try_container *c,
		     struct kf_arena *arena, struct kf_err *err)
{
	KF_FREE char *real = realpath(path, NULL);
	KF_FREE char *root = realpath(rootfs, NULL);

	if (!real || !root)
		return kf_fail_sys(err, "'%s'", real ? rootfs : path);
	if (hide_in(real, root, "/", c, arena, err) < 0)
		return -1;
	for (size_t i = try_nbase_mounts; i < c->nmounts; i++)
		if (hide_in(real, c->mounts[i].source, c->mounts[i].destination, c, arena, err) < 0)
			return -1;
	return 0;
}

struct key_giver {
	const struct try_stage *stage;
	const struct kf_egress_rules *rules;
	const struct try_options *options;
	struct try_container *container;
	struct kf_arena *arena;
};

/* Copy one key for the broker, whose user could not read a file that is its owner's alone; and hide
 * it. */
static int give_key(const struct key_giver *g, const char *name, const char *dir, const char *key,
		    struct kf_err *err)
{
	const char *rootfs = g->options->rootfs;
	char from[PATH_MAX], to[PATH_MAX];

	if ((size_t)snprintf(from, sizeof(from), "%s/%s", dir, key) >= sizeof(from))
		return kf_fail(err, ENAMETOOLONG, "'%s'", dir);
	(void)snprintf(to, sizeof(to), POD_DIR "/%s/volumes/kubernetes.io~secret/%s/%s",
		       g->container->id, name, key);
	if (try_stage_copy(g->stage, from, to, 0644, err) < 0 && err->code != EEXIST)
		return -1;
	return hide_path(dir, rootfs, g->container, g->arena, err) < 0
		       ? -1
		       : hide_path(from, rootfs, g->container, g->arena, err);
}

int try_egress_secret(const struct try_options *o, const struct kf_egress_rules *rules,
		      const struct kf_egress_credential *credential, const char **ret,
		      struct kf_err *err)
{
	const char *name = rules->secrets[credential->dir];

	*ret = find_secret(&o->secrets, name);
	return *ret ? 0
		    : kf_fail(err, ENOENT,
			      "profile '%s' has a credential with the secret '%s': name a "
			      "directory that has the key, in a file '%s', with --secret %s=DIR",
			      rules->profile, name, credential->key, name);
}

static int give_credential(const struct key_giver *g, const struct kf_egress_route *route,
			   const struct kf_egress_credential *c, struct kf_err *err)
{
	const char *name = g->rules->secrets[c->dir], *dir;

	if (try_egress_secret(g->options, g->rules, c, &dir, err) < 0)
		return -1;
	return give_key(g, name, dir, c->key, err) < 0
		       ? kf_fail_wrap(err,
				      "--secret '%s=%s': the key '%s' of the profile's "
				      "route '%s'",
				      name, dir, c->key, route->path)
		       : 0;
}

/* The Secrets that the profile names, where the kubelet has a pod's. */
static int give_secrets(const struct key_giver *g, struct kf_err *err)
{
	struct try_container *c = g->container;
	size_t n = 0;

	for (const struct kf_egress_route *r = g->rules->routes; r; r = r->next)
		for (const struct kf_egress_credential *k = r->credentials; k; k = k->next)
			n++;
	/* Of each key its directory and itself, in the root file system and each volume. */
	c->masked = kf_arena_calloc(g->arena, 2 * n * (1 + c->nmounts) + 1, sizeof(*c->masked));
	if (!c->masked)
		return kf_fail_nomem(err, "try");
	for (const struct kf_egress_route *r = g->rules->routes; r; r = r->next)
		for (const struct kf_egress_credential *k = r->credentials; k; k = k->next)
			if (give_credential(g, r, k, err) < 0)
				return -1;
	return 0;
}

int try_egress_rules(const struct kf_compiled *profile, struct kf_egress_rules *ret,
		     struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(2 * KF_LIMIT_EGRESS_RULES);

	kf_egress_rules_whole(profile->text, profile->n, &text);
	return text.failed ? kf_fail_nomem(err, "egress rules")
			   : kf_egress_rules_parse(text.p, text.n, ret, err);
}

/* ---- the broker ---- */

/* The guard connects to the node's place, which is ours in this mount namespace. */
static int mount_place(const struct try_stage *stage, struct kf_err *err)
{
	char dir[PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%s/" BROKER_DIR, stage->dir);
	if (kf_mkdir_parents(KF_EGRESS_DIR, 0700, err) < 0 ||
	    kf_mkdir_at(AT_FDCWD, dir, 0700, NULL, err) < 0)
		return -1;
	return mount(dir, KF_EGRESS_DIR, NULL, MS_BIND, NULL) < 0
		       ? kf_fail_sys(err, "mount '%s' at '" KF_EGRESS_DIR "'", dir)
		       : 0;
}

static int find_broker(char ret[static PATH_MAX], struct kf_err *err)
{
	char self[PATH_MAX - sizeof("/" BROKER)];

	if (!kf_own_directory(self, sizeof(self)))
		return kf_fail_sys(err, "read /proc/self/exe");
	(void)snprintf(ret, PATH_MAX, "%s/" BROKER, self);
	return access(ret, X_OK) == 0
		       ? 0
		       : kf_fail_sys(
				 err,
				 "the profile names hosts, for which the egress broker '%s' is "
				 "needed; install it beside kubefence, from the same package or "
				 "archive",
				 ret);
}

static _Noreturn void exec_broker(const char *program, const char *ca, int ready)
{
	char number[16];
	const char *argv[] = {BROKER,	     "serve",	   "--text", "--log-level",	 "warn",
			      "--from-here", "--ready-fd", number,   ca ? "--ca" : NULL, ca,
			      NULL};

	/* The terminal's signals are the command's. */
	if (setpgid(0, 0) < 0 || fcntl(ready, F_SETFD, 0) < 0)
		_exit(KF_EXIT_FAILED);
	(void)snprintf(number, sizeof(number), "%d", ready);
	(void)execv(program, (char *const *)(uintptr_t)argv);
	(void)kf_command_fail("cannot execute '%s': %s", program, strerror(errno));
	_exit(KF_EXIT_FAILED);
}

/* It says so when it serves; its message is on standard error if it ends instead. */
static int await_broker(int ready, struct kf_err *err)
{
	struct pollfd fd = {.fd = ready, .events = POLLIN};
	char byte;
	int r;

	do
		r = poll(&fd, 1, READY_SECONDS * 1000);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return kf_fail(err, ETIMEDOUT, BROKER " did not begin to serve within %d s",
			       READY_SECONDS);
	return read(ready, &byte, 1) == 1
		       ? 0
		       : kf_fail(err, ECHILD,
				 BROKER " ended before it served; its message is above");
}

/* Routes are TLS, whose certificates the broker checks. */
static int check_ca(const struct kf_egress_rules *rules, const char *ca, struct kf_err *err)
{
	if (!ca && !rules->routes)
		return 0;
	return access(ca ? ca : KF_EGRESS_CA, R_OK) == 0
		       ? 0
		       : kf_fail_sys(err,
				     "the file with the authorities' certificates '%s'; name the "
				     "one of this machine with --ca",
				     ca ? ca : KF_EGRESS_CA);
}

int try_egress_check(const struct try_options *o, const struct kf_egress_rules *rules,
		     struct kf_err *err)
{
	return check_ca(rules, o->ca, err) < 0 ? -1 : check_secrets(rules, &o->secrets, err);
}

static int start_broker(const char *ca, struct try_egress *ret, struct kf_err *err)
{
	char program[PATH_MAX];
	pid_t parent = getpid();
	int pipe_fds[2], r;

	if (find_broker(program, err) < 0)
		return -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	ret->pid = fork();
	if (ret->pid == 0) {
		/* It ends when this command ends, however that happens. */
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
			_exit(KF_EXIT_FAILED);
		exec_broker(program, ca, pipe_fds[1]);
	}
	(void)close(pipe_fds[1]);
	r = ret->pid < 0 ? kf_fail_sys(err, "fork") : await_broker(pipe_fds[0], err);
	(void)close(pipe_fds[0]);
	return r;
}

int try_egress_start(const struct try_stage *stage, const struct try_options *o,
		     struct try_container *c, struct kf_arena *arena, struct try_egress *ret,
		     struct kf_err *err)
{
	struct kf_egress_rules rules;
	const struct key_giver giver = {stage, &rules, o, c, arena};
	int r;

	if (try_egress_rules(&o->compiled, &rules, err) < 0)
		return -1;
	r = try_egress_check(o, &rules, err);
	if (r == 0)
		r = give_secrets(&giver, err);
	kf_egress_rules_done(&rules);
	if (r < 0 || give_resolvers(stage, c, arena, err) < 0 ||
	    make_network(stage, arena, &c->netns, err) < 0 || mount_place(stage, err) < 0)
		return -1;
	return start_broker(o->ca, ret, err);
}

void try_egress_stop(struct try_egress *egress)
{
	if (egress->pid <= 0)
		return;
	(void)kill(egress->pid, SIGTERM);
	while (waitpid(egress->pid, NULL, 0) < 0 && errno == EINTR)
		;
	egress->pid = 0;
}

/* ---- what was refused ---- */

/* The broker's log; -1 if there was no broker. */
static int open_log(const struct try_stage *stage, int *ret_fd, struct kf_err *err)
{
	char log[PATH_MAX];

	(void)snprintf(log, sizeof(log), "%s/" BROKER_LOG, stage->dir);
	*ret_fd = open(log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 && errno != ENOENT ? kf_fail_sys(err, "open '%s'", log) : 0;
}

int try_egress_refused(const struct try_stage *stage,
		       void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx,
		       struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (open_log(stage, &fd, err) < 0)
		return -1;
	return fd < 0 ? 0 : kf_denials_egress_all(fd, refused, ctx, err);
}

/* Each refusal once. */
struct egress_report {
	struct kf_denial *v;
	size_t n, more;
};

static void keep_refusal(void *ctx, const struct kf_denial *denial)
{
	struct egress_report *r = ctx;
	struct kf_denial one = *denial;

	one.who = NULL; /* it is all about one container, and goes after this call */
	for (size_t i = 0; i < r->n; i++) {
		if (!kf_denial_same(&r->v[i], &one))
			continue;
		r->v[i].count++;
		return;
	}
	if (r->n == REPORT_MAX)
		r->more++;
	else
		r->v[r->n++] = one;
}

static void print_refusal(const struct kf_denial *d)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf rule = KF_BUF_INIT(KF_PRINT_MAX);
	const char *word = d->blockers + strlen("egress.");
	const struct kf_egress_reason_text *why = kf_egress_reason_of(word);
	char times[32] = "";

	if (d->count > 1)
		(void)snprintf(times, sizeof(times), " (%llu times)", (unsigned long long)d->count);
	kf_print_line(stderr, "refused: %s:%u: %s%s", d->path, d->port, why ? why->text : word,
		      times);
	if (kf_denial_rule(d, NULL, &rule) && !rule.failed)
		kf_print_line(stderr, "    would be allowed by %s", rule.p);
}

int try_egress_report(int fd, struct kf_err *err)
{
	struct egress_report r = {.v = calloc(REPORT_MAX, sizeof(*r.v))};
	int status;

	if (!r.v)
		return kf_fail_nomem(err, "what was refused");
	status = kf_denials_egress_all(fd, keep_refusal, &r, err);
	for (size_t i = 0; i < r.n; i++)
		print_refusal(&r.v[i]);
	if (r.more)
		kf_print_line(stderr, "refused: %zu more", r.more);
	free(r.v);
	return status;
}

int try_egress_report_stage(const struct try_stage *stage, struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (open_log(stage, &fd, err) < 0)
		return -1;
	return fd < 0 ? 0 : try_egress_report(fd, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* nono-egress serve: takes what the guard asks for on a unix socket, and tells people how it is
 * over HTTP.  What is done for a pod is in pods.c. */
#include "egress-node/serve.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/log.h"
#include "egress-node/confine.h"
#include "egress-node/netns.h"
#include "egress-node/pods.h"
#include "egress-node/trusted.h"
#include "egress/pod.h"
#include "egress/rules.h"
#include "egress/worker.h"
#include "observe/http.h"

#include <event2/event.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX    64 /* containers that are created at one time */
#define CLIENT_SECONDS 15
#define REFUSE_MAX     64
/* Sixteen directories, two listeners, a socket, a pipe and a namespace for each pod. */
#define FILES_MAX      (KF_PODS_MAX * 24)
/* Above what distributions, systemd and container runtimes give out; below 2^31, which some take
 * for negative. */
#define FIRST_UID      0x7fff0000u

struct serve_options {
	const char *dir, *worker, *ca, *listen;
	const char *refuse_v[REFUSE_MAX];
	const char *resolver_v[KF_TRUSTED_MAX];
	struct kf_option_list refuse, resolvers;
	unsigned connections, first_uid;
	enum kf_log_level level;
	unsigned ready;
	bool text, from_here;
};

struct server {
	struct event_base *base;
	struct kf_trail trail;
	struct kf_pods *pods;
	struct kf_http *http;
	struct event *accept, *ends[2];
	int listener;
	unsigned nclients;
};

/* One guard that waits. */
struct client {
	struct server *server;
	int fd;
	struct event *event;
	bool answered;
};

/* ---- the guard ---- */

static void free_client(struct client *c)
{
	kf_pods_forget(c->server->pods, c);
	if (c->event)
		event_free(c->event);
	(void)close(c->fd);
	c->server->nclients--;
	if (c->server->nclients == CLIENTS_MAX - 1)
		(void)event_add(c->server->accept, NULL);
	free(c);
}

static void answer_client(void *ctx, const char *word, const struct kf_err *err)
{
	struct client *c = ctx;
	char text[sizeof(err->msg) + 16];
	int n = err->code ? snprintf(text, sizeof(text), KF_EGRESS_ERROR " %s", err->msg)
			  : snprintf(text, sizeof(text), "%s", word);

	c->answered = true;
	(void)send(c->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* It closes when it has read that. */
	(void)shutdown(c->fd, SHUT_WR);
}

static unsigned take_fds(struct msghdr *msg, int *fds, unsigned max)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < max)
				fds[n++] = fd;
			else
				(void)close(fd);
		}
	}
	return n;
}

/* One packet: the whole request.  false if the client is to go. */
static bool read_request(struct client *c)
{
	static char text[KF_EGRESS_POD_MAX + 1];
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE((1 + KF_LIMIT_EGRESS_DIRS) * sizeof(int))];
	} control;
	int fds[1 + KF_LIMIT_EGRESS_DIRS];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct kf_err err;
	unsigned nfds;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	nfds = take_fds(&msg, fds, KF_ARRAY_SIZE(fds));
	if (n == 0 || c->answered || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		while (nfds)
			(void)close(fds[--nfds]);
		return false;
	}
	if (kf_pods_open(c->server->pods, text, (size_t)n, fds, nfds, answer_client, c, &err) < 0) {
		kf_log(KF_LOG_ERROR, "egress-refused", {"reason", err.msg});
		answer_client(c, "", &err);
	}
	return true;
}

static void on_client(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;

	(void)fd;
	if ((what & EV_TIMEOUT) || !read_request(c))
		free_client(c);
}

/* The socket's directory is root's; who has got to it in another way is not served. */
static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && peer.uid == 0;
}

static void on_accept(evutil_socket_t listener, short what, void *ctx)
{
	const struct timeval seconds = {.tv_sec = CLIENT_SECONDS};
	struct server *s = ctx;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c = fd < 0 || !is_root(fd) ? NULL : calloc(1, sizeof(*c));

	(void)what;
	if (!c) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	*c = (struct client){.server = s, .fd = fd};
	if (++s->nclients == CLIENTS_MAX)
		(void)event_del(s->accept);
	c->event = event_new(s->base, fd, EV_READ | EV_PERSIST, on_client, c);
	if (!c->event || event_add(c->event, &seconds) < 0)
		free_client(c);
}

static int listen_for_guard(struct server *s, const char *dir, struct kf_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", dir) >=
	    (int)sizeof(address.sun_path))
		return kf_fail(err, ENAMETOOLONG, "'%s/socket': too long for a socket", dir);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return kf_fail_sys(err, "socket");
	(void)unlink(address.sun_path);
	if (bind(s->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0600) < 0 || listen(s->listener, CLIENTS_MAX) < 0)
		return kf_fail_sys(err, "listen on '%s'", address.sun_path);
	s->accept = event_new(s->base, s->listener, EV_READ | EV_PERSIST, on_accept, s);
	return s->accept && event_add(s->accept, NULL) == 0 ? 0 : kf_fail_nomem(err, "socket");
}

/* ---- people ---- */

static const char *not_ready(void *ctx)
{
	(void)ctx;
	return NULL;
}

static void show_pods(void *ctx, struct kf_buf *out)
{
	const struct server *s = ctx;

	kf_buf_addf(out, "%u pods, %u with a worker\n", kf_pods_count(s->pods),
		    kf_pods_serving(s->pods));
}

static void show_metrics(void *ctx, struct kf_buf *out)
{
	const struct server *s = ctx;

	kf_trail_metrics(&s->trail, kf_pods_count(s->pods), kf_pods_serving(s->pods), out);
}

static void http_trouble(void *ctx, const struct kf_err *err)
{
	(void)ctx;
	kf_log(KF_LOG_WARN, "http", {"reason", err->msg});
}

/* ---- options ---- */

static int take_level(void *target, const char *arg, struct kf_err *err)
{
	return kf_log_parse_level(arg, target, err);
}

#define OPTION(name_, value_, kind_, member, help_)                            \
	{                                                                      \
		.name = (name_), .kind = KF_OPTION_##kind_, .value = (value_), \
		KF_OPTION_AT(struct serve_options, member), .help = (help_)    \
	}

static const struct kf_option table[] = {
	OPTION("dir", "DIR", PLACE, dir,
	       "the guard's socket, records of pods and the log of connections "
	       "(default: " KF_EGRESS_DIR ")"),
	OPTION("worker", "PATH", PLACE, worker, "program of a pod's worker (default: this one)"),
	OPTION("ca", "FILE", PLACE, ca,
	       "certificates of the authorities that upstreams are verified with "
	       "(default: " KF_EGRESS_CA ")"),
	OPTION("refuse", "RANGE=WORD", EACH, refuse,
	       "addresses that no name may lead to unless a profile has a range as narrow, such as "
	       "192.0.2.10/32=api-server; may be repeated.  The node's own are always among them"),
	OPTION("resolver", "ADDRESS", EACH, resolvers,
	       "name server that pods may have; may be repeated.  Those of this program's own "
	       "/etc/resolv.conf are always among them"),
	{
		.name = "connections",
		.kind = KF_OPTION_NUMBER,
		.value = "N",
		.min = 1,
		.max = 65536,
		KF_OPTION_AT(struct serve_options, connections),
		.help = "of one pod at most (default: 1024)",
	},
	{
		.name = "first-uid",
		.kind = KF_OPTION_NUMBER,
		.value = "UID",
		.min = 1,
		.max = UINT_MAX - KF_PODS_MAX,
		KF_OPTION_AT(struct serve_options, first_uid),
		.help = "workers run as this user and the 1023 above it (default: 2147418112)",
	},
	OPTION("listen", "ADDR:PORT", STRING, listen,
	       "serve /healthz, /readyz and /metrics over HTTP there"),
	{
		.name = "log-level",
		.kind = KF_OPTION_CALL,
		.value = KF_LOG_LEVELS,
		KF_OPTION_AT(struct serve_options, level),
		.call = take_level,
		.help = "(default: info)",
	},
	OPTION("from-here", NULL, SET, from_here,
	       "workers reach hosts from this program's own network, not from the pod's, and trust "
	       "the pod's name servers: for a container of who starts this program, whose network "
	       "leads nowhere, as that of 'kubefence try'"),
	{
		.name = "ready-fd",
		.kind = KF_OPTION_NUMBER,
		.value = "N",
		.min = 3,
		.max = INT_MAX,
		KF_OPTION_AT(struct serve_options, ready),
		.help = "write a line to this descriptor, and close it, when pods are served",
	},
	OPTION("text", NULL, SET, text, "log text to stderr instead of JSON lines to stdout"),
	{0},
};

/* "RANGE=WORD" as a line of rules has it, and checked by whoever reads those. */
static int read_refuse(char *const *texts, size_t n, struct kf_err *err)
{
	struct kf_buf rules = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES);
	struct kf_egress_rules parsed;
	int r;

	kf_buf_adds(&rules, KF_EGRESS_HEADER "name x\n");
	for (size_t i = 0; i < n; i++) {
		char *equals = strchr(texts[i], '=');

		if (equals)
			*equals = ' ';
		kf_buf_addf(&rules, "refuse %s\n", texts[i]);
	}
	kf_egress_rules_seal(&rules);
	r = rules.failed ? kf_fail_nomem(err, "--refuse")
			 : kf_egress_rules_parse(rules.p, rules.n, &parsed, err);
	if (r == 0)
		kf_egress_rules_done(&parsed);
	kf_buf_done(&rules);
	return r < 0 ? kf_fail_wrap(err, "--refuse") : 0;
}

static int check_resolvers(const struct kf_option_list *list, struct kf_err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (!kf_trusted_valid(list->v[i]))
			return kf_fail(
				err, EINVAL,
				"--resolver '%.64s' is not the address of a name server; one "
				"on the loopback would be the pod's own",
				list->v[i]);
	return 0;
}

/* A pod on a cluster is told where the API server is. */
static void refuse_api_server(struct serve_options *o)
{
	static char text[INET6_ADDRSTRLEN + 32];
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	struct in6_addr address;
	const bool six = host && inet_pton(AF_INET6, host, &address) == 1;

	if (!host || (!six && inet_pton(AF_INET, host, &address) != 1) || o->refuse.n == REFUSE_MAX)
		return;
	(void)snprintf(text, sizeof(text), "%s/%d=api-server", host, six ? 128 : 32);
	o->refuse.v[o->refuse.n++] = text;
}

/* ---- life ---- */

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)event_base_loopbreak(ctx);
}

/* One parent at a time: a new one waits until the old one, whose workers hold the pods' ports, has
 * gone. */
static int take_lock(const char *dir, struct kf_err *err)
{
	char path[PATH_MAX];
	int fd;

	if (kf_mkdir_parents(dir, 0700, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return kf_fail_sys(err, "lock '%s'", path);
	return 0; /* until the end */
}

static int start_server(struct server *s, struct serve_options *o, struct kf_err *err)
{
	static char pods[PATH_MAX], log[PATH_MAX];
	const struct kf_pods_options options = {
		.dir = pods,
		.worker = o->worker,
		.ca = o->ca,
		.refuse = o->refuse.v,
		.nrefuse = (unsigned)o->refuse.n,
		.resolvers = o->resolvers.v,
		.nresolvers = (unsigned)o->resolvers.n,
		.connections = o->connections,
		.first_uid = o->first_uid,
		.port = KF_EGRESS_PORT,
		.from_here = o->from_here,
	};
	const struct kf_http_source source = {.not_ready = not_ready,
					      .connection = show_pods,
					      .metrics = show_metrics,
					      .trouble = http_trouble,
					      .ctx = s};
	static const int signals[] = {SIGTERM, SIGINT};

	(void)snprintf(pods, sizeof(pods), "%s/pods", o->dir);
	(void)snprintf(log, sizeof(log), "%s/connections.log", o->dir);
	if (kf_netns_init(err) < 0 || take_lock(o->dir, err) < 0 ||
	    kf_trail_open(&s->trail, log, err) < 0)
		return -1;
	s->base = event_base_new();
	if (!s->base)
		return kf_fail_nomem(err, "event base");
	for (size_t i = 0; i < KF_ARRAY_SIZE(signals); i++) {
		s->ends[i] = evsignal_new(s->base, signals[i], on_end, s->base);
		if (!s->ends[i] || event_add(s->ends[i], NULL) < 0)
			return kf_fail_nomem(err, "signals");
	}
	if (kf_pods_new(s->base, &options, &s->trail, &s->pods, err) < 0 ||
	    (*o->listen && kf_http_listen(s->base, o->listen, &source, &s->http, err) < 0) ||
	    listen_for_guard(s, o->dir, err) < 0)
		return -1;
	/* From here on it takes what others say, and starts workers. */
	return kf_pods_confine(o->dir, o->worker, err) < 0 ? -1 : kf_pods_adopt(s->pods, err);
}

static void end_server(struct server *s)
{
	if (s->accept)
		event_free(s->accept);
	if (s->listener >= 0)
		(void)close(s->listener);
	kf_pods_free(s->pods);
	kf_http_free(s->http);
	for (size_t i = 0; i < KF_ARRAY_SIZE(s->ends); i++)
		if (s->ends[i])
			event_free(s->ends[i]);
	/* Clients that wait are cut off, and their guards refuse. */
	if (s->base)
		event_base_free(s->base);
}

static void log_ready(const struct server *s)
{
	char n[16];

	(void)snprintf(n, sizeof(n), "%u", kf_pods_count(s->pods));
	kf_log(KF_LOG_INFO, "egress-ready", {"pods", n});
}

/* Whoever started this program and waits for it is told. */
static int tell_ready(unsigned fd, struct kf_err *err)
{
	static const char line[] = "ready\n";
	const int r = fd ? kf_write_all((int)fd, line, sizeof(line) - 1, err) : 0;

	if (fd)
		(void)close((int)fd);
	return r;
}

static int run_serve(const struct kf_command *self, int argc, char **argv)
{
	const struct rlimit files = {FILES_MAX, FILES_MAX};
	struct server server = {.listener = -1};
	struct serve_options o = {
		.dir = KF_EGRESS_DIR,
		.worker = "/proc/self/exe",
		.ca = KF_EGRESS_CA,
		.listen = "",
		.connections = KF_EGRESS_CONNECTIONS,
		.first_uid = FIRST_UID,
		.level = KF_LOG_INFO,
	};
	struct kf_arguments arguments;
	struct kf_err err = {0};
	int status;

	o.refuse = (struct kf_option_list)KF_OPTION_LIST(o.refuse_v);
	o.resolvers = (struct kf_option_list)KF_OPTION_LIST(o.resolver_v);
	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	refuse_api_server(&o);
	if (read_refuse((char **)(uintptr_t)o.refuse.v, o.refuse.n, &err) < 0 ||
	    check_resolvers(&o.resolvers, &err) < 0)
		return kf_command_usage("%s", err.msg);
	kf_log_init(o.text ? KF_LOG_TEXT : KF_LOG_JSON, o.level, "nono-egress");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(077);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	status = start_server(&server, &o, &err);
	if (status == 0)
		status = tell_ready(o.ready, &err);
	if (status == 0) {
		log_ready(&server);
		status = event_base_dispatch(server.base);
		if (status < 0)
			(void)kf_fail(&err, EIO, "the event loop failed");
	}
	end_server(&server);
	if (status >= 0)
		return KF_EGRESS_EXIT_DONE;
	kf_log(KF_LOG_ERROR, "egress-failed", {"reason", err.msg});
	return KF_EGRESS_EXIT_FAILED;
}

const struct kf_command kf_serve_command = {
	.name = "serve",
	.summary = "the parent of a node's workers",
	.about = "Closes the network of pods whose profile names hosts, and starts a worker for "
		 "each.\n"
		 "One for each node, as root; docs/egress-pods.md has the rights that it needs.",
	.after =
		"Exit status: 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a wrong command\n"
		"line.",
	.options = table,
	.style = KF_OPTIONS_GNU,
	.run = run_serve,
};

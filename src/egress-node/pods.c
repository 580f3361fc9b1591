/* SPDX-License-Identifier: Apache-2.0 */
/* Closes pods and keeps a worker for each.  A pod is known by the inode of its network namespace;
 * it ends when that has gone from the place where the node keeps it.  On disk there is what a
 * restarted parent needs; while there is none, pods stay closed. */
#include "egress-node/pods.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "egress-node/child.h"
#include "egress-node/netns.h"
#include "egress-node/table.h"
#include "egress/rules.h"
#include "event/watch.h"

#include <event2/event.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTENERS     2
#define BACKLOG	      256
#define START_SECONDS 8	 /* the guard waits a little longer */
#define CHECK_SECONDS 10 /* for ends that no directory tells of */
#define RETRY_FIRST   1	 /* seconds; doubled each time ... */
#define RETRY_LAST    30
#define STEADY	      60 /* ... and forgotten when a worker has served so long */
#define QUIET_MS      20

struct waiter {
	struct waiter *next;
	kf_pods_answer *answer;
	void *ctx;
	const char *word;
};

struct kf_pod {
	struct kf_pod *next;
	struct kf_pods *pods;
	struct kf_egress_pod about; /* with its mark */
	unsigned slot;
	int netns, listeners[LISTENERS], secrets[KF_LIMIT_EGRESS_DIRS];
	unsigned nlisteners;
	bool closed; /* the table is there */
	bool serves, served, adopted;
	struct kf_pod_worker *worker;
	struct event *timer; /* of the start, or until the next one */
	unsigned retry;
	time_t since;
	struct waiter *waiters;
};

struct kf_pods {
	struct event_base *base;
	struct kf_pods_options options;
	struct kf_trail *trail;
	struct kf_pod *first;
	unsigned n;
	int dir;
	struct kf_watch *watch;
	struct event *check, *child;
	bool slots[KF_PODS_MAX];
};

static time_t monotonic_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* ---- what is on disk ---- */

static void record_name(const struct kf_pod *pod, char ret[static 32])
{
	(void)snprintf(ret, 32, "%" PRIu64, pod->about.inode);
}

static int write_record(const struct kf_pod *pod, struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_EGRESS_POD_MAX);
	char name[32];
	int r;

	record_name(pod, name);
	kf_egress_pod_format(&pod->about, &text);
	r = text.failed ? kf_fail_nomem(err, "record of a pod")
			: kf_file_replace(pod->pods->dir, name, text.p, text.n, 0600, err);
	kf_buf_done(&text);
	return r;
}

static void drop_record(const struct kf_pod *pod)
{
	char name[32];

	record_name(pod, name);
	(void)unlinkat(pod->pods->dir, name, 0);
}

/* ---- waiting ---- */

static void answer_waiters(struct kf_pod *pod, const struct kf_err *err)
{
	while (pod->waiters) {
		struct waiter *w = pod->waiters;

		pod->waiters = w->next;
		w->answer(w->ctx, w->word, err);
		free(w);
	}
}

static int add_waiter(struct kf_pod *pod, kf_pods_answer *answer, void *ctx, const char *word,
		      struct kf_err *err)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return kf_fail_nomem(err, "egress");
	*w = (struct waiter){pod->waiters, answer, ctx, word};
	pod->waiters = w;
	return 0;
}

void kf_pods_forget(struct kf_pods *pods, void *ctx)
{
	for (struct kf_pod *pod = pods->first; pod; pod = pod->next) {
		for (struct waiter **at = &pod->waiters; *at;) {
			struct waiter *w = *at;

			if (w->ctx != ctx) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			free(w);
		}
	}
}

/* ---- one pod ---- */

static void close_all(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			(void)close(kf_steal_fd(&fds[i]));
}

static void stop_worker(struct kf_pod *pod, bool alive)
{
	kf_pod_worker_end(KF_STEAL(pod->worker), alive);
	pod->serves = false;
	(void)event_del(pod->timer);
}

/* The pod's memory goes; what closes it stays in its namespace as long as that is there. */
static void free_pod(struct kf_pod *pod)
{
	struct kf_pods *pods = pod->pods;
	const struct kf_err gone = {.code = ECANCELED, .msg = "the pod has ended"};

	answer_waiters(pod, &gone);
	for (struct kf_pod **at = &pods->first; *at; at = &(*at)->next) {
		if (*at != pod)
			continue;
		*at = pod->next;
		pods->n--;
		pods->slots[pod->slot] = false;
		break;
	}
	if (pod->timer)
		stop_worker(pod, true);
	if (pod->timer)
		event_free(pod->timer);
	close_all(pod->listeners, pod->nlisteners);
	close_all(pod->secrets, pod->about.nsecrets);
	if (pod->netns >= 0)
		(void)close(pod->netns);
	kf_egress_pod_done(&pod->about);
	free(pod);
}

static void log_pod(enum kf_log_level level, const char *what, const struct kf_pod *pod,
		    const char *why)
{
	kf_log(level, what, {"pod", pod->about.name}, {"reason", why});
}

/* A listener on the loopback of @family, from the socket @fd. */
static int listen_loopback(int fd, int family, uint16_t port, struct kf_err *err)
{
	const struct sockaddr_in four = {.sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct sockaddr_in6 six = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
	const struct sockaddr *address = (const void *)&four;
	socklen_t n = sizeof(four);
	const int on = 1;

	if (family == AF_INET6) {
		address = (const void *)&six;
		n = sizeof(six);
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
			return kf_fail_sys(err, "IPV6_V6ONLY");
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, address, n) < 0 || listen(fd, BACKLOG) < 0)
		return kf_fail_sys(err, "listen on port %u of the pod's loopback", port);
	return 0;
}

/* A pod without IPv6 has no ::1. */
static int listen_six(struct kf_pod *pod, struct kf_err *err)
{
	static const struct kf_netns_socket want = {AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0};
	int fd;

	if (kf_netns_sockets(pod->netns, &want, 1, &fd, err) < 0)
		return err->code == EAFNOSUPPORT ? 0 : -1;
	if (listen_loopback(fd, AF_INET6, pod->pods->options.port, err) < 0) {
		(void)close(fd);
		return err->code == EADDRNOTAVAIL ? 0 : -1;
	}
	pod->listeners[pod->nlisteners++] = fd;
	return 0;
}

static int listen_four(struct kf_pod *pod, struct kf_err *err)
{
	static const struct kf_netns_socket want = {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0};
	int fd;

	if (kf_netns_sockets(pod->netns, &want, 1, &fd, err) < 0)
		return -1;
	if (listen_loopback(fd, AF_INET, pod->pods->options.port, err) < 0) {
		(void)close(fd);
		return -1;
	}
	pod->listeners[pod->nlisteners++] = fd;
	return 0;
}

static int close_pod(struct kf_pod *pod, struct kf_err *err)
{
	static const struct kf_netns_socket want = {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER};
	KF_CLOSE int netlink = -1;

	if (kf_netns_sockets(pod->netns, &want, 1, &netlink, err) < 0 ||
	    kf_table_install(netlink, pod->about.mark, err) < 0)
		return -1;
	pod->closed = true;
	return 0;
}

/* Addresses of this node's, which may be others tomorrow, and what the administrator named. */
static void refuse_node(const struct kf_pods_options *options, struct kf_buf *out)
{
	struct ifaddrs *all = NULL;

	for (unsigned i = 0; i < options->nrefuse; i++)
		kf_buf_addf(out, "refuse %s\n", options->refuse[i]);
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		const int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;
		const void *at =
			&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
		char text[INET6_ADDRSTRLEN];

		if ((family != AF_INET && family != AF_INET6) || (a->ifa_flags & IFF_LOOPBACK))
			continue;
		if (family == AF_INET)
			at = &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
		if (inet_ntop(family, at, text, sizeof(text)))
			kf_buf_addf(out, "refuse %s/%d node\n", text, family == AF_INET ? 32 : 128);
	}
	freeifaddrs(all);
}

/* The profile's rules and the node's. */
static int worker_rules(const struct kf_pod *pod, struct kf_buf *out, struct kf_err *err)
{
	struct kf_egress_rules parsed;
	size_t body;

	if (kf_egress_rules_check(pod->about.rules, pod->about.nrules, &body, err) < 0)
		return -1;
	kf_buf_add(out, pod->about.rules, body);
	refuse_node(&pod->pods->options, out);
	kf_egress_rules_seal(out);
	if (out->failed)
		return kf_fail(err, EFBIG, "the rules are too long");
	if (kf_egress_rules_parse(out->p, out->n, &parsed, err) < 0)
		return -1;
	if (parsed.nsecrets != pod->about.nsecrets || parsed.ndirs > parsed.nsecrets)
		(void)kf_fail(err, EINVAL, "the rules name %u secrets, %u directories came",
			      parsed.nsecrets, pod->about.nsecrets);
	else
		err = NULL;
	kf_egress_rules_done(&parsed);
	return err ? -1 : 0;
}

static void pod_serves(void *ctx);
static void pod_broken(void *ctx, const char *why);

/* A Secret of a pod with an fsGroup is that group's. */
static gid_t worker_group(const struct kf_pod *pod, uid_t uid)
{
	struct stat st;

	if (pod->about.nsecrets && fstat(pod->secrets[0], &st) == 0 && st.st_gid)
		return st.st_gid;
	return uid;
}

static void wait_seconds(struct kf_pod *pod, unsigned seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	(void)event_add(pod->timer, &t);
}

static int start_worker(struct kf_pod *pod, struct kf_err *err)
{
	const struct kf_pods_options *options = &pod->pods->options;
	const struct kf_pod_worker_events events = {pod_serves, pod_broken, pod};
	struct kf_buf rules = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES);
	const uid_t uid = options->first_uid + pod->slot;
	char resolver[KF_EGRESS_RESOLVERS * (INET6_ADDRSTRLEN + 1) + 1] = "";
	int r;

	for (unsigned i = 0; i < pod->about.nresolvers; i++)
		(void)snprintf(resolver + strlen(resolver), sizeof(resolver) - strlen(resolver),
			       "%s%s", i ? "," : "", pod->about.resolvers[i]);
	r = worker_rules(pod, &rules, err);
	if (r == 0)
		r = kf_pod_worker_start(pod->pods->base,
					&(const struct kf_pod_worker_options){
						.program = options->worker,
						.ca = options->ca,
						.pod = pod->about.name,
						.netns = pod->netns,
						.mark = pod->about.mark,
						.listeners = pod->listeners,
						.nlisteners = pod->nlisteners,
						.secrets = pod->secrets,
						.nsecrets = pod->about.nsecrets,
						.resolver = resolver,
						.rules = rules.p,
						.nrules = rules.n,
						.uid = uid,
						.gid = worker_group(pod, uid),
						.connections = options->connections,
					},
					pod->pods->trail, &events, &pod->worker, err);
	kf_buf_done(&rules);
	if (r == 0) {
		pod->since = monotonic_seconds();
		wait_seconds(pod, START_SECONDS);
	}
	return r;
}

/* All that a pod needs, as far as it is not there yet. */
static int start_pod(struct kf_pod *pod, struct kf_err *err)
{
	if (!pod->closed && close_pod(pod, err) < 0)
		return kf_fail_wrap(err, "close the pod's network");
	if (!pod->nlisteners && (listen_four(pod, err) < 0 || listen_six(pod, err) < 0)) {
		close_all(pod->listeners, pod->nlisteners);
		pod->nlisteners = 0;
		return -1;
	}
	return start_worker(pod, err);
}

/* A worker has ended, or could not be started. */
static void worker_failed(struct kf_pod *pod, const char *why)
{
	log_pod(KF_LOG_ERROR, "egress-worker-ended", pod, why);
	if (!pod->served && !pod->adopted) {
		struct kf_err err;

		(void)kf_fail(&err, EIO, "the pod's egress worker does not start: %s", why);
		answer_waiters(pod, &err);
		drop_record(pod);
		free_pod(pod);
		return;
	}
	if (pod->since && monotonic_seconds() - pod->since >= STEADY)
		pod->retry = 0;
	pod->retry = pod->retry ? (2 * pod->retry < RETRY_LAST ? 2 * pod->retry : RETRY_LAST)
				: RETRY_FIRST;
	wait_seconds(pod, pod->retry);
}

static void pod_serves(void *ctx)
{
	struct kf_pod *pod = ctx;

	(void)event_del(pod->timer);
	pod->serves = pod->served = true;
	kf_log(KF_LOG_INFO, "egress-serves", {"pod", pod->about.name});
	answer_waiters(pod, KF_ERR_IGNORED);
}

static void pod_broken(void *ctx, const char *why)
{
	struct kf_pod *pod = ctx;

	stop_worker(pod, true);
	worker_failed(pod, why);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_pod *pod = ctx;
	struct kf_err err;

	(void)fd;
	(void)what;
	if (pod->worker)
		pod_broken(pod, "it has not served in time");
	else if (start_pod(pod, &err) < 0)
		worker_failed(pod, err.msg);
}

/* ---- all pods ---- */

static bool still_there(const struct kf_egress_pod *about)
{
	struct stat st;

	if (stat(about->netns, &st) == 0)
		return (uint64_t)st.st_ino == about->inode;
	/* Only its absence is an end. */
	return errno != ENOENT && errno != ENOTDIR;
}

static void check_ends(struct kf_pods *pods)
{
	for (struct kf_pod *pod = pods->first, *next; pod; pod = next) {
		next = pod->next;
		if (still_there(&pod->about))
			continue;
		kf_log(KF_LOG_INFO, "egress-ended", {"pod", pod->about.name});
		drop_record(pod);
		free_pod(pod);
	}
}

static void on_change(void *ctx)
{
	check_ends(ctx);
}

static void on_check(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	check_ends(ctx);
}

static struct kf_pod *pod_of_worker(struct kf_pods *pods, pid_t pid)
{
	for (struct kf_pod *pod = pods->first; pod; pod = pod->next)
		if (pod->worker && kf_pod_worker_pid(pod->worker) == pid)
			return pod;
	return NULL;
}

/* A worker that is stopped serves as little as one that has ended. */
static void on_child(evutil_socket_t fd, short what, void *ctx)
{
	pid_t pid;
	int status;

	(void)fd;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		struct kf_pod *pod = pod_of_worker(ctx, pid);
		char why[64];

		if (!pod)
			continue;
		if (WIFSTOPPED(status)) {
			pod_broken(pod, "it was stopped");
			continue;
		}
		if (WIFSIGNALED(status))
			(void)snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
		else
			(void)snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
		stop_worker(pod, false);
		worker_failed(pod, why);
	}
}

static int watch_end(struct kf_pods *pods, const struct kf_egress_pod *about, struct kf_err *err)
{
	char dir[PATH_MAX];
	int n = (int)(kf_path_base(about->netns) - about->netns);

	if (n >= PATH_MAX)
		return kf_fail(err, ENAMETOOLONG, "netns: path too long");
	(void)snprintf(dir, sizeof(dir), "%.*s", n, about->netns);
	return kf_watch_add(pods->watch, dir, NULL, err);
}

/* A new pod of which nothing but memory exists; *about is taken. */
static struct kf_pod *add_pod(struct kf_pods *pods, struct kf_egress_pod *about, struct kf_err *err)
{
	struct kf_pod *pod;
	unsigned slot = 0;

	while (slot < KF_PODS_MAX && pods->slots[slot])
		slot++;
	pod = slot < KF_PODS_MAX ? calloc(1, sizeof(*pod)) : NULL;
	if (!pod) {
		if (slot == KF_PODS_MAX)
			(void)kf_fail(err, EBUSY, "more than %d pods with egress on one node",
				      KF_PODS_MAX);
		else
			(void)kf_fail_nomem(err, "egress");
		return NULL;
	}
	*pod = (struct kf_pod){.pods = pods, .slot = slot, .netns = -1, .next = pods->first};
	for (unsigned i = 0; i < KF_LIMIT_EGRESS_DIRS; i++)
		pod->secrets[i] = -1;
	pod->about = *about;
	*about = (struct kf_egress_pod){0};
	pods->slots[slot] = true;
	pods->first = pod;
	pods->n++;
	pod->timer = evtimer_new(pods->base, on_timer, pod);
	if (pod->timer)
		return pod;
	free_pod(pod);
	(void)kf_fail_nomem(err, "egress");
	return NULL;
}

static struct kf_pod *find_pod(struct kf_pods *pods, uint64_t inode)
{
	for (struct kf_pod *pod = pods->first; pod; pod = pod->next)
		if (pod->about.inode == inode)
			return pod;
	return NULL;
}

static bool same_rules(const struct kf_egress_pod *a, const struct kf_egress_pod *b)
{
	if (a->nrules != b->nrules || memcmp(a->rules, b->rules, a->nrules) != 0 ||
	    a->nsecrets != b->nsecrets)
		return false;
	for (unsigned i = 0; i < a->nsecrets; i++)
		if (strcmp(a->secrets[i], b->secrets[i]) != 0)
			return false;
	return true;
}

static int check_namespace(const struct kf_egress_pod *about, int fd, struct kf_err *err)
{
	struct stat st, path;

	if (kf_netns_check(fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0 || stat(about->netns, &path) < 0)
		return kf_fail_sys(err,
				   "network namespace '%.200s': nono-egress does not see it, and "
				   "would not see its end; mount its directory",
				   about->netns);
	if (st.st_ino != path.st_ino || st.st_dev != path.st_dev ||
	    (uint64_t)st.st_ino != about->inode)
		return kf_fail(err, ESTALE, "network namespace '%.200s' is another one by now",
			       about->netns);
	return 0;
}

/* Two containers of one pod share its network, hence its rules. */
static int open_again(struct kf_pod *pod, const struct kf_egress_pod *about, kf_pods_answer *answer,
		      void *ctx, struct kf_err *err)
{
	if (!same_rules(&pod->about, about))
		return kf_fail(
			err, EPERM,
			"the pod's network has other egress rules already; containers of one "
			"pod share it: give them one profile, and make the pod anew if the "
			"profile has changed");
	if (!pod->serves && (pod->worker || pod->served))
		return add_waiter(pod, answer, ctx, KF_EGRESS_AGAIN, err);
	answer(ctx, KF_EGRESS_AGAIN, KF_ERR_IGNORED);
	return 0;
}

static int new_mark(uint32_t *ret, struct kf_err *err)
{
	uint32_t mark = 0;

	/* Nobody in the pod may set marks; that nobody knows it either costs nothing. */
	while (!mark)
		if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark))
			return kf_fail_sys(err, "getrandom");
	*ret = mark;
	return 0;
}

/* The Secret's directory by its path, as a later parent will find it; @fd is what the guard has. */
static int open_secret(const char *path, int fd, int *ret, struct kf_err *err)
{
	KF_CLOSE int own = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, is;

	if (own < 0 || fstat(own, &is) < 0)
		return kf_fail_sys(err,
				   "the pod's Secret '%.200s': nono-egress does not see it; mount "
				   "the kubelet's directory",
				   path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != is.st_ino || st.st_dev != is.st_dev))
		return kf_fail(err, ESTALE, "the pod's Secret '%.200s' is another directory here",
			       path);
	*ret = kf_steal_fd(&own);
	return 0;
}

static int open_new(struct kf_pods *pods, struct kf_egress_pod *about, int *fds,
		    kf_pods_answer *answer, void *ctx, struct kf_err *err)
{
	struct kf_pod *pod;

	if (check_namespace(about, fds[0], err) < 0 || watch_end(pods, about, err) < 0 ||
	    new_mark(&about->mark, err) < 0)
		return -1;
	pod = add_pod(pods, about, err);
	if (!pod)
		return -1;
	pod->netns = kf_steal_fd(&fds[0]);
	for (unsigned i = 0; i < pod->about.nsecrets; i++)
		if (open_secret(pod->about.secrets[i], fds[1 + i], &pod->secrets[i], err) < 0) {
			free_pod(pod);
			return -1;
		}
	/* The record is first: who finds the pod closed knows why. */
	if (write_record(pod, err) < 0 || start_pod(pod, err) < 0 ||
	    add_waiter(pod, answer, ctx, KF_EGRESS_NEW, err) < 0) {
		drop_record(pod);
		free_pod(pod);
		return -1;
	}
	return 0;
}

int kf_pods_open(struct kf_pods *pods, const char *text, size_t n, int *fds, unsigned nfds,
		 kf_pods_answer *answer, void *ctx, struct kf_err *err)
{
	struct kf_egress_pod about;
	struct kf_pod *pod;
	int r;

	if (kf_egress_pod_parse(text, n, &about, err) < 0) {
		close_all(fds, nfds);
		return -1;
	}
	about.mark = 0;
	check_ends(pods);
	pod = find_pod(pods, about.inode);
	if (nfds != 1 + about.nsecrets)
		r = kf_fail(err, EINVAL, "%u descriptors came, not %u", nfds, 1 + about.nsecrets);
	else if (pod)
		r = open_again(pod, &about, answer, ctx, err);
	else
		r = open_new(pods, &about, fds, answer, ctx, err);
	close_all(fds, nfds);
	kf_egress_pod_done(&about);
	return r;
}

/* ---- after a restart ---- */

static int open_paths(struct kf_pod *pod, struct kf_err *err)
{
	pod->netns = open(pod->about.netns, O_RDONLY | O_CLOEXEC);
	if (pod->netns < 0)
		return kf_fail_sys(err, "open '%.200s'", pod->about.netns);
	if (check_namespace(&pod->about, pod->netns, err) < 0)
		return -1;
	for (unsigned i = 0; i < pod->about.nsecrets; i++)
		if (open_secret(pod->about.secrets[i], -1, &pod->secrets[i], err) < 0)
			return -1;
	return 0;
}

/* -1 and *err if the record is of no pod that there is. */
static int adopt_record(struct kf_pods *pods, const char *name, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_egress_pod about;
	struct kf_pod *pod;
	size_t n;

	if (kf_file_slurp(pods->dir, name, KF_EGRESS_POD_MAX, &text, &n, err) < 0 ||
	    kf_egress_pod_parse(text, n, &about, err) < 0)
		return -1;
	if (!about.mark || !still_there(&about)) {
		kf_egress_pod_done(&about);
		return kf_fail(err, ENOENT, "the pod has gone");
	}
	pod = add_pod(pods, &about, err);
	if (!pod) {
		kf_egress_pod_done(&about);
		return -1;
	}
	pod->adopted = true;
	if (open_paths(pod, err) < 0) {
		free_pod(pod);
		return -1;
	}
	if (watch_end(pods, &pod->about, err) < 0 || start_pod(pod, err) < 0)
		worker_failed(pod, err->msg);
	return 0;
}

int kf_pods_adopt(struct kf_pods *pods, struct kf_err *err)
{
	KF_CLOSE int copy = openat(pods->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return kf_fail_sys(err, "read '%s'", pods->options.dir);
	(void)kf_steal_fd(&copy);
	while ((e = readdir(d))) {
		struct kf_err why;

		if (*e->d_name == '.' || adopt_record(pods, e->d_name, &why) == 0)
			continue;
		kf_log(KF_LOG_WARN, "egress-forgotten", {"record", e->d_name}, {"reason", why.msg});
		(void)unlinkat(pods->dir, e->d_name, 0);
	}
	(void)closedir(d);
	return 0;
}

/* ---- ---- */

static int open_dir(struct kf_pods *pods, struct kf_err *err)
{
	if (kf_mkdir_parents(pods->options.dir, 0700, err) < 0)
		return -1;
	pods->dir = open(pods->options.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return pods->dir < 0 ? kf_fail_sys(err, "open '%s'", pods->options.dir) : 0;
}

int kf_pods_new(struct event_base *base, const struct kf_pods_options *options,
		struct kf_trail *trail, struct kf_pods **ret, struct kf_err *err)
{
	const struct timeval seconds = {.tv_sec = CHECK_SECONDS};
	struct kf_pods *pods = calloc(1, sizeof(*pods));

	if (!pods)
		return kf_fail_nomem(err, "egress");
	*pods = (struct kf_pods){.base = base, .options = *options, .trail = trail, .dir = -1};
	pods->check = event_new(base, -1, EV_PERSIST, on_check, pods);
	pods->child = evsignal_new(base, SIGCHLD, on_child, pods);
	if (!pods->check || !pods->child || event_add(pods->check, &seconds) < 0 ||
	    event_add(pods->child, NULL) < 0) {
		kf_pods_free(pods);
		return kf_fail_nomem(err, "egress");
	}
	if (open_dir(pods, err) < 0 ||
	    kf_watch_new(base, QUIET_MS, on_change, pods, &pods->watch, err) < 0) {
		kf_pods_free(pods);
		return -1;
	}
	*ret = pods;
	return 0;
}

void kf_pods_free(struct kf_pods *pods)
{
	if (!pods)
		return;
	while (pods->first)
		free_pod(pods->first);
	kf_watch_free(pods->watch);
	if (pods->check)
		event_free(pods->check);
	if (pods->child)
		event_free(pods->child);
	if (pods->dir >= 0)
		(void)close(pods->dir);
	free(pods);
}

unsigned kf_pods_count(const struct kf_pods *pods)
{
	return pods->n;
}

unsigned kf_pods_serving(const struct kf_pods *pods)
{
	unsigned n = 0;

	for (const struct kf_pod *pod = pods->first; pod; pod = pod->next)
		n += pod->serves;
	return n;
}

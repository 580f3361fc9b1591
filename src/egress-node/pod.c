/* SPDX-License-Identifier: Apache-2.0 */
/* One pod: it is closed, gets its listeners and a worker, and another worker when one ends.  What a
 * later parent needs to take it up is on disk. */
#include "egress-node/pods_int.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "egress-node/netns.h"
#include "egress-node/table.h"

#include <event2/event.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG	      256
#define START_SECONDS 8 /* the guard waits a little longer */
#define RETRY_FIRST   1 /* seconds; doubled each time ... */
#define RETRY_LAST    30
#define STEADY	      60 /* ... and forgotten when a worker has served so long */

static time_t monotonic_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void record_name(const struct kf_pod *pod, char ret[static 32])
{
	(void)snprintf(ret, 32, "%" PRIu64, pod->about.inode);
}

int kf_pod_write_record(const struct kf_pod *pod, struct kf_err *err)
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

void kf_pod_drop_record(const struct kf_pod *pod)
{
	char name[32];

	record_name(pod, name);
	(void)unlinkat(pod->pods->dir, name, 0);
}

static void answer_waiters(struct kf_pod *pod, const struct kf_err *err)
{
	while (pod->waiters) {
		struct kf_pod_waiter *w = pod->waiters;

		pod->waiters = w->next;
		w->answer(w->ctx, w->word, err);
		free(w);
	}
}

int kf_pod_add_waiter(struct kf_pod *pod, kf_pods_answer *answer, void *ctx, const char *word,
		      struct kf_err *err)
{
	struct kf_pod_waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return kf_fail_nomem(err, "egress");
	*w = (struct kf_pod_waiter){pod->waiters, answer, ctx, word};
	pod->waiters = w;
	return 0;
}

void kf_pod_close_all(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0)
			(void)close(kf_steal_fd(&fds[i]));
}

void kf_pod_stop_worker(struct kf_pod *pod, bool alive)
{
	kf_pod_worker_end(KF_STEAL(pod->worker), alive);
	pod->serves = false;
	(void)event_del(pod->timer);
}

/* The pod's memory goes; what closes it stays in its namespace as long as that is there. */
void kf_pod_free(struct kf_pod *pod)
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
		kf_pod_stop_worker(pod, true);
	if (pod->timer)
		event_free(pod->timer);
	kf_pod_close_all(pod->listeners, pod->nlisteners);
	kf_pod_close_all(pod->secrets, pod->about.nsecrets);
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
	const struct kf_pod_worker_events events = {pod_serves, kf_pod_broken, pod};
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
						.netns = options->from_here ? -1 : pod->netns,
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

int kf_pod_check_namespace(const struct kf_egress_pod *about, int fd, struct kf_err *err)
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

/* The Secret's directory by its path, as a later parent will find it; @fd is what the guard has. */
int kf_pod_open_secret(const char *path, int fd, int *ret, struct kf_err *err)
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

/* Open what an earlier parent had open. */
static int open_paths(struct kf_pod *pod, struct kf_err *err)
{
	KF_CLOSE int netns = -1;

	if (pod->netns < 0) {
		netns = open(pod->about.netns, O_RDONLY | O_CLOEXEC);
		if (netns < 0)
			return kf_fail_sys(err, "open '%.200s'", pod->about.netns);
		if (kf_pod_check_namespace(&pod->about, netns, err) < 0)
			return -1;
		pod->netns = kf_steal_fd(&netns);
	}
	for (unsigned i = 0; i < pod->about.nsecrets; i++)
		if (pod->secrets[i] < 0 &&
		    kf_pod_open_secret(pod->about.secrets[i], -1, &pod->secrets[i], err) < 0)
			return -1;
	return 0;
}

/* All that a pod needs, as far as it is not there yet. */
int kf_pod_start(struct kf_pod *pod, struct kf_err *err)
{
	if (open_paths(pod, err) < 0)
		return -1;
	if (!pod->closed && close_pod(pod, err) < 0)
		return kf_fail_wrap(err, "close the pod's network");
	if (!pod->nlisteners && (listen_four(pod, err) < 0 || listen_six(pod, err) < 0)) {
		kf_pod_close_all(pod->listeners, pod->nlisteners);
		pod->nlisteners = 0;
		return -1;
	}
	return start_worker(pod, err);
}

/* A worker has ended, or could not be started. */
void kf_pod_failed(struct kf_pod *pod, const char *why)
{
	log_pod(KF_LOG_ERROR, "egress-worker-ended", pod, why);
	if (!pod->served && !pod->adopted) {
		struct kf_err err;

		(void)kf_fail(&err, EIO, "the pod's egress worker does not start: %s", why);
		answer_waiters(pod, &err);
		kf_pod_drop_record(pod);
		kf_pod_free(pod);
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

void kf_pod_broken(void *ctx, const char *why)
{
	struct kf_pod *pod = ctx;

	kf_pod_stop_worker(pod, true);
	kf_pod_failed(pod, why);
}

void kf_pod_on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_pod *pod = ctx;
	struct kf_err err;

	(void)fd;
	(void)what;
	if (pod->worker)
		kf_pod_broken(pod, "it has not served in time");
	else if (kf_pod_start(pod, &err) < 0)
		kf_pod_failed(pod, err.msg);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* All pods that are closed and served.  A pod is known by the inode of its network namespace; it
 * ends when that has gone from the place where the node keeps it.  On disk there is what a
 * restarted parent needs; while there is none, pods stay closed. */
#include "egress-node/pods_int.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "egress-node/trusted.h"
#include "event/watch.h"

#include <event2/event.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_SECONDS 10 /* for ends that no directory tells of */
#define QUIET_MS      20

void kf_pods_forget(struct kf_pods *pods, void *ctx)
{
	for (struct kf_pod *pod = pods->first; pod; pod = pod->next) {
		for (struct kf_pod_waiter **at = &pod->waiters; *at;) {
			struct kf_pod_waiter *w = *at;

			if (w->ctx != ctx) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			free(w);
		}
	}
}

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
		kf_pod_drop_record(pod);
		kf_pod_free(pod);
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
			kf_pod_broken(pod, "it was stopped");
			continue;
		}
		if (WIFSIGNALED(status))
			(void)snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
		else
			(void)snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
		kf_pod_stop_worker(pod, false);
		kf_pod_failed(pod, why);
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
	pod->timer = evtimer_new(pods->base, kf_pod_on_timer, pod);
	if (pod->timer)
		return pod;
	kf_pod_free(pod);
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

static int keep_trusted(const struct kf_pods *pods, struct kf_egress_pod *about, struct kf_err *err)
{
	/* Who serves a container of its own has given it its name servers. */
	if (pods->options.from_here)
		return 0;
	return kf_trusted_keep(about, pods->options.resolvers, pods->options.nresolvers,
			       KF_TRUSTED_CONF, err);
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
		return kf_pod_add_waiter(pod, answer, ctx, KF_EGRESS_AGAIN, err);
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

static int open_new(struct kf_pods *pods, struct kf_egress_pod *about, int *fds,
		    kf_pods_answer *answer, void *ctx, struct kf_err *err)
{
	struct kf_pod *pod;

	if (kf_pod_check_namespace(about, fds[0], err) < 0 || keep_trusted(pods, about, err) < 0 ||
	    watch_end(pods, about, err) < 0 || new_mark(&about->mark, err) < 0)
		return -1;
	pod = add_pod(pods, about, err);
	if (!pod)
		return -1;
	pod->netns = kf_steal_fd(&fds[0]);
	for (unsigned i = 0; i < pod->about.nsecrets; i++)
		if (kf_pod_open_secret(pod->about.secrets[i], fds[1 + i], &pod->secrets[i], err) <
		    0) {
			kf_pod_free(pod);
			return -1;
		}
	/* The record is first: who finds the pod closed knows why. */
	if (kf_pod_write_record(pod, err) < 0 || kf_pod_start(pod, err) < 0 ||
	    kf_pod_add_waiter(pod, answer, ctx, KF_EGRESS_NEW, err) < 0) {
		kf_pod_drop_record(pod);
		kf_pod_free(pod);
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
		kf_pod_close_all(fds, nfds);
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
	kf_pod_close_all(fds, nfds);
	kf_egress_pod_done(&about);
	return r;
}

/* -1 and *err if the record is not taken up; *ret_void: it never will be. */
static int adopt_record(struct kf_pods *pods, const char *name, bool *ret_void, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_egress_pod about;
	struct kf_pod *pod;
	size_t n;

	*ret_void = false;
	if (kf_file_slurp(pods->dir, name, KF_EGRESS_POD_MAX, &text, &n, err) < 0)
		return -1;
	*ret_void = true;
	if (kf_egress_pod_parse(text, n, &about, err) < 0)
		return -1;
	if (!about.mark || !still_there(&about)) {
		kf_egress_pod_done(&about);
		return kf_fail(err, ENOENT, "the pod has gone");
	}
	*ret_void = false;
	/* A pod that asks others than before stays closed, and nobody serves it. */
	pod = keep_trusted(pods, &about, err) < 0 ? NULL : add_pod(pods, &about, err);
	if (!pod) {
		kf_egress_pod_done(&about);
		return -1;
	}
	/* What fails may be there in a moment: the kubelet's directories come after a boot. */
	pod->adopted = true;
	if (watch_end(pods, &pod->about, err) < 0 || kf_pod_start(pod, err) < 0)
		kf_pod_failed(pod, err->msg);
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
		bool is_void;

		if (*e->d_name == '.' || adopt_record(pods, e->d_name, &is_void, &why) == 0)
			continue;
		kf_log(KF_LOG_WARN, is_void ? "egress-forgotten" : "egress-not-taken-up",
		       {"record", e->d_name}, {"reason", why.msg});
		if (is_void)
			(void)unlinkat(pods->dir, e->d_name, 0);
	}
	(void)closedir(d);
	return 0;
}

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
		kf_pod_free(pods->first);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a worker (egress/worker.h has the agreement), makes the sockets that it asks for in the
 * pod's namespace, and passes its records on. */
#include "egress-node/child.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "egress-node/netns.h"
#include "egress/worker.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX   64
#define FIRST_FD   3
#define ASKS_AHEAD 8 /* answered in one turn, so that no pod keeps the others waiting */

struct kf_pod_worker {
	pid_t pid;
	int control, records; /* our ends */
	int netns;
	uint32_t mark;
	struct event *asked, *recorded;
	struct kf_pod_worker_events events;
	struct kf_trail *trail;
	char *pod;
	bool serves;
	char line[KF_TRAIL_LINE_MAX + 1]; /* a record that is not complete */
	size_t nline;
	bool skip; /* the rest of a line that is too long */
};

/* ---- sockets ---- */

static int make_sockets(const struct kf_pod_worker *w, uint32_t kind, unsigned n, int *ret,
			struct kf_err *err)
{
	static const struct kf_netns_socket kinds[KF_EGRESS_KINDS] = {
		[KF_EGRESS_TCP4] = {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP},
		[KF_EGRESS_TCP6] = {AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP},
		[KF_EGRESS_UDP4] = {AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP},
		[KF_EGRESS_UDP6] = {AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP},
	};
	struct kf_netns_socket want[KF_EGRESS_GIVEN_MAX];

	for (unsigned i = 0; i < n; i++)
		want[i] = kinds[kind];
	if (kf_netns_sockets(w->netns, want, n, ret, err) < 0)
		return -1;
	/* On the node's own network nobody asks for the mark, and it might be one of somebody's. */
	for (unsigned i = 0; i < n && w->netns >= 0; i++) {
		if (setsockopt(ret[i], SOL_SOCKET, SO_MARK, &w->mark, sizeof(w->mark)) == 0)
			continue;
		(void)kf_fail_sys(err, "mark a socket");
		while (n)
			(void)close(ret[--n]);
		return -1;
	}
	return 0;
}

static int send_sockets(const struct kf_pod_worker *w, const struct kf_egress_given *given,
			const int *fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(KF_EGRESS_GIVEN_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)given, .iov_len = sizeof(*given)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (given->count) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(given->count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(given->count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, given->count * sizeof(int));
	}
	return sendmsg(w->control, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Answer one request.  A worker that does not read its answers is broken: it asks for no more than
 * it takes. */
static int answer_ask(struct kf_pod_worker *w, const struct kf_egress_ask *ask)
{
	struct kf_egress_given given = {.kind = ask->kind};
	int fds[KF_EGRESS_GIVEN_MAX], r;
	unsigned n = ask->count < KF_EGRESS_GIVEN_MAX ? ask->count : KF_EGRESS_GIVEN_MAX;
	struct kf_err err;

	if (ask->kind >= KF_EGRESS_KINDS || !n)
		return -1;
	if (make_sockets(w, ask->kind, n, fds, &err) == 0)
		given.count = n;
	else
		given.error = (uint32_t)err.code;
	r = send_sockets(w, &given, fds);
	for (unsigned i = 0; i < given.count; i++)
		(void)close(fds[i]);
	return r;
}

static void break_worker(struct kf_pod_worker *w, const char *why)
{
	(void)event_del(w->asked);
	w->events.broken(w->events.ctx, why);
}

static void on_ask(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_pod_worker *w = ctx;

	(void)what;
	for (int i = 0; i < ASKS_AHEAD; i++) {
		struct kf_egress_ask ask;
		ssize_t n = recv(fd, &ask, sizeof(ask), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != sizeof(ask)) {
			break_worker(w, n ? "it asked in another form" : "it closed its socket");
			return;
		}
		if (answer_ask(w, &ask) < 0) {
			break_worker(w, "it does not take what it asks for");
			return;
		}
		if (!w->serves) {
			w->serves = true;
			w->events.serves(w->events.ctx);
		}
	}
}

/* ---- records ---- */

static void take_bytes(struct kf_pod_worker *w, const char *p, size_t n)
{
	while (n) {
		const char *end = memchr(p, '\n', n);
		const size_t m = end ? (size_t)(end - p) : n;

		if (m > sizeof(w->line) - w->nline)
			w->skip = true;
		if (!w->skip) {
			memcpy(w->line + w->nline, p, m);
			w->nline += m;
		}
		if (!end)
			return;
		kf_trail_record(w->trail, w->pod, w->line, w->skip ? 0 : w->nline);
		w->nline = 0;
		w->skip = false;
		p += m + 1;
		n -= m + 1;
	}
}

static void on_record(evutil_socket_t fd, short what, void *ctx)
{
	char bytes[8192];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)what;
	if (n > 0)
		take_bytes(ctx, bytes, (size_t)n);
	else if (n == 0)
		(void)event_del(((struct kf_pod_worker *)ctx)->recorded);
}

/* ---- start and end ---- */

/* The arguments, and which descriptors stay open. */
struct child_start {
	char *argv[ARGS_MAX];
	size_t n;
	char text[ARGS_MAX][16];
	int keep[ARGS_MAX];
	size_t nkeep;
	char ids[2][16], connections[16];
};

static void add_word(struct child_start *s, const char *word)
{
	if (s->n == ARGS_MAX - 1)
		abort(); /* there is room for as many directories as rules may have */
	s->argv[s->n++] = (char *)(uintptr_t)word;
}

static void add_fd(struct child_start *s, const char *option, int fd)
{
	char *text = s->text[s->nkeep];

	(void)snprintf(text, sizeof(s->text[0]), "%zu", FIRST_FD + s->nkeep);
	s->keep[s->nkeep++] = fd;
	add_word(s, option);
	add_word(s, text);
}

static void add_value(struct child_start *s, const char *option, const char *value)
{
	add_word(s, option);
	add_word(s, value);
}

static void add_number(struct child_start *s, const char *option, char text[16], unsigned n)
{
	(void)snprintf(text, 16, "%u", n);
	add_value(s, option, text);
}

static void fill_start(struct child_start *s, const struct kf_pod_worker_options *o, int rules,
		       int control, int records, int ca)
{
	add_value(s, "nono-egress", "worker");
	add_fd(s, "--rules", rules);
	add_fd(s, "--control", control);
	add_fd(s, "--records", records);
	for (unsigned i = 0; i < o->nlisteners; i++)
		add_fd(s, "--listen", o->listeners[i]);
	for (unsigned i = 0; i < o->nsecrets; i++)
		add_fd(s, "--secrets", o->secrets[i]);
	if (ca >= 0)
		add_fd(s, "--ca", ca);
	add_value(s, "--resolver", o->resolver);
	add_value(s, "--pod", o->pod);
	add_number(s, "--uid", s->ids[0], o->uid);
	add_number(s, "--gid", s->ids[1], o->gid);
	add_number(s, "--connections", s->connections, o->connections);
}

/* In the child: what it keeps gets the numbers from FIRST_FD on, all else goes with exec. */
static bool move_descriptors(const struct child_start *s)
{
	int high[ARGS_MAX];

	for (size_t i = 0; i < s->nkeep; i++) {
		high[i] = fcntl(s->keep[i], F_DUPFD_CLOEXEC, FIRST_FD + ARGS_MAX);
		if (high[i] < 0)
			return false;
	}
	for (size_t i = 0; i < s->nkeep; i++)
		if (dup2(high[i], (int)(FIRST_FD + i)) < 0)
			return false;
	return true;
}

/* In the child: nothing of the parent's comes along but what the worker is given. */
static _Noreturn void become_worker(const struct child_start *s,
				    const struct kf_pod_worker_options *o)
{
	static char *const environment[] = {NULL};
	const struct rlimit files = {2 * o->connections + 256, 2 * o->connections + 256};
	const struct rlimit none = {0, 0};
	sigset_t signals;

	(void)setpgid(0, 0);
	(void)sigemptyset(&signals);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (!move_descriptors(s))
		_exit(KF_EGRESS_EXIT_FAILED);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		_exit(KF_EGRESS_EXIT_FAILED);
	(void)execve(o->program, s->argv, environment);
	_exit(KF_EGRESS_EXIT_FAILED);
}

static int sealed_text(const char *text, size_t n, int *ret, struct kf_err *err)
{
	KF_CLOSE int fd = memfd_create("rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return kf_fail_sys(err, "memfd_create");
	if (kf_write_all(fd, text, n, err) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return kf_fail_sys(err, "seal the rules");
	*ret = kf_steal_fd(&fd);
	return 0;
}

static int fork_worker(struct kf_pod_worker *w, const struct kf_pod_worker_options *o, int control,
		       int records, struct kf_err *err)
{
	struct child_start start = {0};
	KF_CLOSE int rules = -1, ca = -1;

	if (sealed_text(o->rules, o->nrules, &rules, err) < 0)
		return -1;
	if (o->ca) {
		ca = open(o->ca, O_RDONLY | O_CLOEXEC);
		/* Only a worker with credentials needs them, and says so. */
		if (ca < 0 && errno != ENOENT)
			return kf_fail_sys(err, "open the authorities' certificates '%s'", o->ca);
	}
	fill_start(&start, o, rules, control, records, ca);
	w->pid = fork();
	if (w->pid < 0)
		return kf_fail_sys(err, "fork");
	if (w->pid == 0)
		become_worker(&start, o);
	return 0;
}

static int watch_worker(struct kf_pod_worker *w, struct event_base *base, struct kf_err *err)
{
	w->asked = event_new(base, w->control, EV_READ | EV_PERSIST, on_ask, w);
	w->recorded = event_new(base, w->records, EV_READ | EV_PERSIST, on_record, w);
	if (!w->asked || !w->recorded || event_add(w->asked, NULL) < 0 ||
	    event_add(w->recorded, NULL) < 0)
		return kf_fail_nomem(err, "worker");
	return 0;
}

int kf_pod_worker_start(struct event_base *base, const struct kf_pod_worker_options *options,
			struct kf_trail *trail, const struct kf_pod_worker_events *events,
			struct kf_pod_worker **ret, struct kf_err *err)
{
	struct kf_pod_worker *w = calloc(1, sizeof(*w));
	int control[2], records[2];

	if (!w)
		return kf_fail_nomem(err, "worker");
	*w = (struct kf_pod_worker){.control = -1,
				    .records = -1,
				    .netns = options->netns,
				    .mark = options->mark,
				    .events = *events,
				    .trail = trail,
				    .pod = strdup(options->pod)};
	if (!w->pod || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0) {
		kf_pod_worker_end(w, false);
		return kf_fail_sys(err, "socketpair");
	}
	w->control = control[0];
	if (pipe2(records, O_CLOEXEC | O_NONBLOCK) < 0) {
		(void)close(control[1]);
		kf_pod_worker_end(w, false);
		return kf_fail_sys(err, "pipe");
	}
	w->records = records[0];
	if (watch_worker(w, base, err) < 0 ||
	    fork_worker(w, options, control[1], records[1], err) < 0) {
		(void)close(control[1]);
		(void)close(records[1]);
		kf_pod_worker_end(w, false);
		return -1;
	}
	(void)close(control[1]);
	(void)close(records[1]);
	trail->started++;
	*ret = w;
	return 0;
}

pid_t kf_pod_worker_pid(const struct kf_pod_worker *worker)
{
	return worker->pid;
}

/* What it has still told. */
static void drain_records(struct kf_pod_worker *w)
{
	char bytes[8192];
	ssize_t n;

	while ((n = read(w->records, bytes, sizeof(bytes))) > 0)
		take_bytes(w, bytes, (size_t)n);
}

void kf_pod_worker_end(struct kf_pod_worker *worker, bool alive)
{
	if (!worker)
		return;
	if (alive && worker->pid > 0) {
		(void)kill(worker->pid, SIGKILL);
		while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (worker->pid > 0) {
		worker->trail->ended++;
		drain_records(worker);
	}
	if (worker->asked)
		event_free(worker->asked);
	if (worker->recorded)
		event_free(worker->recorded);
	if (worker->control >= 0)
		(void)close(worker->control);
	if (worker->records >= 0)
		(void)close(worker->records);
	free(worker->pod);
	free(worker);
}

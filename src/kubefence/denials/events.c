/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes Events about denials: few, each on the pod that it is about, with all that its
 * container was denied since the last one.  A process of its own writes them, since that may wait
 * for the API server, and the one that reads the audit log may not. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "kube/client.h"
#include "kubefence/agent/confine.h"
#include "kubefence/denials/denials.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Events of one container: so many at once, then one in so many milliseconds. */
static const struct kf_bucket_limit each = {.burst = 3, .rate = 1, .period = 60 * 1000};
#define TRIES	   3
#define PAUSE_MS   1000
/* What one Event tells, as lines of JSON: some thirty denials. */
#define LINES_MAX  (16 * 1024)
/* Containers that have denials waiting for their next Event. */
#define WAITING	   128
#define BODY_MAX   (4 * LINES_MAX) /* a line that stands in a string is at most twice as long */
#define ANNOTATION "nono.sh/denials"

/* One Event; it goes through the socket as far as its lines go, as one message. */
struct event_order {
	char namespace_[64], pod[254], uid[64], container[64], message[1024];
	uint64_t ms, count;
	unsigned number;
	size_t n;
	char lines[LINES_MAX];
};

/* What waits for the next Event of a container. */
struct kf_denials_waiting {
	struct kf_who *who;
	unsigned denials, untold; /* how many, and how many there was no room for */
	struct event_order order;
	struct kf_denials_waiting *next;
};

/* ---- the process that writes them ---- */

static void put_object(struct kf_buf *out, const struct event_order *o)
{
	kf_json_open(out, "involvedObject", '{');
	kf_json_put_string(out, "apiVersion", "v1");
	kf_json_put_string(out, "kind", "Pod");
	kf_json_put_string(out, "namespace", o->namespace_);
	kf_json_put_string(out, "name", o->pod);
	kf_json_put_string(out, "uid", o->uid);
	if (*o->container) {
		char path[128];

		(void)snprintf(path, sizeof(path), "spec.containers{%s}", o->container);
		kf_json_put_string(out, "fieldPath", path);
	}
	kf_json_close(out, '}');
}

static void put_event(struct kf_buf *out, const struct event_order *o)
{
	const time_t seconds = (time_t)(o->ms / 1000);
	char stamp[32] = "", name[320];
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	/* As kubelet's: the pod's name and something that no other Event has. */
	(void)snprintf(name, sizeof(name), "%.200s.%" PRIx64 "%04x", o->pod, o->ms,
		       o->number & 0xFFFF);
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "apiVersion", "v1");
	kf_json_put_string(out, "kind", "Event");
	kf_json_open(out, "metadata", '{');
	kf_json_put_string(out, "name", name);
	kf_json_put_string(out, "namespace", o->namespace_);
	/* For "kubectl nono logs" and "suggest" of those who may not read the feed's own log. */
	kf_json_open(out, "annotations", '{');
	kf_json_put_string(out, ANNOTATION, o->lines);
	kf_json_close(out, '}');
	kf_json_close(out, '}');
	put_object(out, o);
	kf_json_put_string(out, "type", "Warning");
	kf_json_put_string(out, "reason", "SandboxDenied");
	kf_json_put_string(out, "message", o->message);
	kf_json_put_number(out, "count", (long long)(o->count < INT32_MAX ? o->count : INT32_MAX));
	kf_json_put_string(out, "firstTimestamp", stamp);
	kf_json_put_string(out, "lastTimestamp", stamp);
	kf_json_open(out, "source", '{');
	kf_json_put_string(out, "component", "kubefence");
	kf_json_close(out, '}');
	kf_json_close(out, '}');
}

static int post_event(const struct kf_kube *kube, const struct event_order *o, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf body = KF_BUF_INIT(BODY_MAX);
	char path[160];
	const struct kf_kube_request request = {
		.method = "POST", .path = path, .content_type = "application/json"};
	struct kf_kube_request whole = request;

	(void)snprintf(path, sizeof(path), "/api/v1/namespaces/%.63s/events", o->namespace_);
	put_event(&body, o);
	if (body.failed)
		return kf_fail_nomem(err, "Event");
	whole.body = body.p;
	return kf_kube_do(kube, &whole, NULL, err);
}

static void write_events(const struct kf_kube *kube, int fd)
{
	static struct event_order order;
	struct kf_err err;

	while (read(fd, &order, sizeof(order)) >= (ssize_t)offsetof(struct event_order, lines)) {
		int r = -1;

		for (unsigned i = 0; r < 0 && i < TRIES; i++) {
			r = post_event(kube, &order, &err);
			/* It is there already, or the pod's namespace is gone. */
			if (r == 0 || err.code == EAGAIN || err.code == ENOENT)
				break;
			(void)poll(NULL, 0, PAUSE_MS);
		}
		if (r < 0)
			kf_log(KF_LOG_WARN, "event-not-written", {"error", err.msg},
			       {"pod", order.pod}, {"namespace", order.namespace_});
	}
}

int kf_denials_events_start(struct kf_denials_events *events, struct kf_err *err)
{
	struct kf_kube kube;
	int p[2];

	events->fd = -1;
	if (kf_kube_in_cluster(&kube, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return kf_fail_sys(err, "socketpair");
	(void)fcntl(p[1], F_SETFL, O_NONBLOCK);
	events->pid = fork();
	if (events->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0UL, 0UL, 0UL);
		(void)close(p[1]);
		if (kf_agent_confine_api(&kube, err) < 0)
			kf_log(KF_LOG_ERROR, "events-not-confined", {"error", err->msg});
		else
			write_events(&kube, p[0]);
		_exit(0);
	}
	(void)close(p[0]);
	if (events->pid < 0) {
		(void)close(p[1]);
		return kf_fail_sys(err, "fork");
	}
	events->fd = p[1];
	return 0;
}

/* ---- the process that tells it ---- */

static struct kf_denials_waiting *find_waiting(struct kf_denials_events *events, struct kf_who *who)
{
	struct kf_denials_waiting *w = events->waiting;

	while (w && w->who != who)
		w = w->next;
	if (w || events->nwaiting == WAITING || !(w = calloc(1, sizeof(*w))))
		return w;
	w->who = kf_who_ref(who);
	w->next = events->waiting;
	events->waiting = w;
	events->nwaiting++;
	return w;
}

static void free_waiting(struct kf_denials_events *events, struct kf_denials_waiting *w)
{
	kf_who_drop(events->owners, w->who);
	events->nwaiting--;
	free(w);
}

static void begin_order(struct event_order *o, const struct kf_denial *denial)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(BODY_MAX);
	const struct kf_who *who = denial->who;

	kf_denial_sentence(denial, &text);
	(void)snprintf(o->namespace_, sizeof(o->namespace_), "%s", who->namespace_);
	(void)snprintf(o->pod, sizeof(o->pod), "%s", who->pod);
	(void)snprintf(o->uid, sizeof(o->uid), "%s", who->uid);
	(void)snprintf(o->container, sizeof(o->container), "%s", who->container);
	(void)snprintf(o->message, sizeof(o->message), "%.800s", text.failed ? "" : text.p);
}

void kf_denials_events_tell(struct kf_denials_events *events, const struct kf_denial *denial)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(LINES_MAX);
	struct kf_who *who = denial->who;
	struct kf_denials_waiting *w;

	if (events->fd < 0 || !who || !*who->pod || !*who->namespace_)
		return;
	w = find_waiting(events, who);
	if (!w) {
		events->dropped++;
		return;
	}
	if (!w->denials)
		begin_order(&w->order, denial);
	w->denials++;
	w->order.ms = denial->ms;
	w->order.count += denial->count;
	kf_denial_json(denial, &line);
	if (line.failed || w->order.n + line.n >= sizeof(w->order.lines)) {
		w->untold++;
		return;
	}
	memcpy(w->order.lines + w->order.n, line.p, line.n + 1);
	w->order.n += line.n;
}

/* Hand it to the process that writes; false if that has no room now. */
static bool send_order(struct kf_denials_events *events, struct kf_denials_waiting *w)
{
	struct event_order *o = &w->order;
	const size_t n = strlen(o->message);
	struct kf_err err;

	if (w->denials > 1)
		(void)snprintf(o->message + n, sizeof(o->message) - n, "; and %u more",
			       w->denials - 1);
	/* Kubernetes takes 1024 bytes. */
	(void)snprintf(o->message + strlen(o->message), sizeof(o->message) - strlen(o->message),
		       "; kubectl nono logs %.100s tells more", w->who->pod);
	o->number = (unsigned)events->sent;
	if (kf_write_all(events->fd, o, offsetof(struct event_order, lines) + o->n + 1, &err) ==
	    0) {
		events->sent++;
		return true;
	}
	o->message[n] = '\0';
	if (err.code == EAGAIN)
		return false;
	events->dropped++;
	return true;
}

void kf_denials_events_tick(struct kf_denials_events *events, uint64_t now)
{
	struct kf_denials_waiting **at = &events->waiting, *w;

	while ((w = *at)) {
		struct kf_bucket before = w->who->events;

		if (kf_bucket_take(&w->who->events, &each, now) && send_order(events, w)) {
			*at = w->next;
			free_waiting(events, w);
			continue;
		}
		w->who->events = before;
		at = &w->next;
	}
}

void kf_denials_events_stop(struct kf_denials_events *events)
{
	while (events->waiting) {
		struct kf_denials_waiting *w = events->waiting;

		events->waiting = w->next;
		free_waiting(events, w);
	}
	if (events->fd < 0)
		return;
	(void)close(events->fd);
	(void)kill(events->pid, SIGKILL);
	(void)waitpid(events->pid, NULL, 0);
	events->fd = -1;
}

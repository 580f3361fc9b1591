/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes Events about denials: few, each on the pod that it is about.  A process of its own
 * writes them, since that may wait for the API server, and the one that reads the audit log may
 * not. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "kube/client.h"
#include "kubefence/agent/confine.h"
#include "kubefence/denials/denials.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* Events of one container: so many at once, then one in so many milliseconds. */
static const struct kf_bucket_limit each = {.burst = 3, .rate = 1, .period = 60 * 1000};
#define TRIES	 3
#define PAUSE_MS 1000
#define BODY_MAX 8192 /* an Event's message has 1 KiB */

/* What goes through the pipe; small enough to be written as a whole, or not at all. */
struct event_order {
	char namespace_[64], pod[254], uid[64], container[64], message[1024];
	uint64_t ms, count;
	unsigned number;
};
_Static_assert(sizeof(struct event_order) <= PIPE_BUF, "written at once");

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
	struct event_order order;
	struct kf_err err;

	while (read(fd, &order, sizeof(order)) == sizeof(order)) {
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

	*events = (struct kf_denials_events){.fd = -1};
	if (kf_kube_in_cluster(&kube, err) < 0)
		return -1;
	if (pipe2(p, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
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

void kf_denials_events_tell(struct kf_denials_events *events, const struct kf_denial *denial,
			    uint64_t now)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(BODY_MAX);
	struct kf_who *who = denial->who;
	struct event_order order = {.ms = denial->ms, .count = denial->count};

	if (events->fd < 0 || !who || !*who->pod || !*who->namespace_ ||
	    !kf_bucket_take(&who->events, &each, now))
		return;
	kf_denial_sentence(denial, &text);
	if (text.failed)
		return;
	(void)snprintf(order.namespace_, sizeof(order.namespace_), "%s", who->namespace_);
	(void)snprintf(order.pod, sizeof(order.pod), "%s", who->pod);
	(void)snprintf(order.uid, sizeof(order.uid), "%s", who->uid);
	(void)snprintf(order.container, sizeof(order.container), "%s", who->container);
	/* Kubernetes takes 1024 bytes. */
	(void)snprintf(order.message, sizeof(order.message),
		       "%.900s; kubectl nono logs %.60s tells more", text.p, who->pod);
	order.number = (unsigned)events->sent;
	/* As a whole, or not at all. */
	if (kf_write_all(events->fd, &order, sizeof(order), KF_ERR_IGNORED) == 0)
		events->sent++;
	else
		events->dropped++;
}

void kf_denials_events_stop(struct kf_denials_events *events)
{
	if (events->fd < 0)
		return;
	(void)close(events->fd);
	(void)kill(events->pid, SIGKILL);
	(void)waitpid(events->pid, NULL, 0);
	events->fd = -1;
}

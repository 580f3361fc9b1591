/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of "kubefence node agent".  It never blocks: work on the node and on the API
 * is done by children, one of each kind at a time, whose results are facts;
 * steer() looks at the facts and starts what is to be done next. */
#include "kubefence/agent.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "kubefence/command.h"
#include "kubefence/job.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PLUGIN_SECONDS	  2
#define SOON_SECONDS	  2 /* for what is expected to happen any moment */
#define API_BACKOFF_MAX	  30
#define NODE_BACKOFF	  10 /* a failed set-up may have restarted the runtime twice */
#define NODE_BACKOFF_MAX  300
#define NODE_QUIET	  600 /* this long without repairs, and the next one is immediate */
#define HANDLERS_SECONDS  120 /* for the kubelet to list the handlers */
#define UNINSTALL_SECONDS 5
#define END_MS		  800

struct agent {
	const struct kf_agent_options *options;
	struct event_base *base;
	struct kf_host host;
	struct event *signals[2], *api_timer, *node_timer, *plugin_timer, *check_timer, *end_timer;
	struct kf_dir_watch *watch;
	struct kf_plugin_query *query;
	struct kf_job node_job, api_job;

	struct kf_facts facts;
	char handlers[KF_MARKS_HANDLERS][64];
	size_t nhandlers;
	kf_digest fingerprint;

	enum kf_work next; /* to be done on the node */
	struct kf_work_order order;
	/* The Node object says that we are not ready, or could not be told: only then is
	 * the node touched. */
	bool claimed;
	unsigned node_backoff;
	time_t repaired;

	struct kf_api_order sent;
	struct kf_marks published;
	bool is_published, api_due, api_failing;
	unsigned api_backoff;
	time_t missing_since;

	bool stopping;
	int status;
	bool was_ready;
	char ready_message[320];
	time_t ready_written;
};

static void steer(struct agent *a);

static time_t monotonic(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void after(struct event *timer, unsigned seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	(void)event_add(timer, &t);
}

/* ---- the Node object ---- */

static void urge_api(struct agent *a)
{
	a->api_due = true;
	(void)event_del(a->api_timer);
}

static void on_api_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	a->api_due = true;
	steer(a);
}

/* The phase changes to one in which the node is touched. */
static void claim(struct agent *a, enum kf_phase phase, enum kf_work work, const char *detail)
{
	a->facts.phase = phase;
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", detail);
	a->next = work;
	a->claimed = false;
	urge_api(a);
}

static void take_view(struct agent *a, const struct kf_node_view *view)
{
	enum kf_phase phase = a->facts.phase;

	a->facts.served = view->served;
	if (view->served != KF_SERVED_MISSING || phase != KF_PHASE_DONE)
		a->missing_since = 0;
	else if (!a->missing_since)
		a->missing_since = monotonic();
	a->facts.late = a->missing_since && monotonic() - a->missing_since > HANDLERS_SECONDS;

	if (view->uninstall && phase != KF_PHASE_UNINSTALLING && phase != KF_PHASE_GONE) {
		kf_log(KF_LOG_INFO, "uninstall-requested", {"node", a->options->node_name});
		claim(a, KF_PHASE_UNINSTALLING, KF_WORK_UNINSTALL, "the node is being cleaned up");
	} else if ((phase == KF_PHASE_UNINSTALLING && !view->uninstall) ||
		   (phase == KF_PHASE_GONE && view->cancelled)) {
		kf_log(KF_LOG_INFO, "uninstall-cancelled", {"node", a->options->node_name});
		claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
	}
}

static void api_failed(struct agent *a, const char *error)
{
	if (!a->api_failing)
		kf_log(KF_LOG_WARN, "api-unavailable", {"error", error});
	a->api_failing = true;
	a->api_backoff = a->api_backoff ? a->api_backoff * 2 : 1;
	if (a->api_backoff > API_BACKOFF_MAX)
		a->api_backoff = API_BACKOFF_MAX;
	after(a->api_timer, a->api_backoff);
}

static void on_api(void *ctx, const void *result)
{
	const struct kf_api_result *r = result;
	struct agent *a = ctx;
	bool same_phase = a->sent.facts.phase == a->facts.phase;

	if (!r || !r->ok) {
		api_failed(a, r ? r->error : "the request ended without a result");
	} else {
		if (a->api_failing)
			kf_log(KF_LOG_INFO, "api-available");
		a->api_failing = false;
		a->api_backoff = 0;
		if (!a->is_published || !kf_marks_equal(&a->published, &r->marks))
			kf_log(KF_LOG_INFO, "published",
			       {"ready", r->marks.ready ? "true" : "false"},
			       {"reason", r->marks.reason}, {"message", r->marks.message});
		a->published = r->marks;
		a->is_published = true;
		take_view(a, &r->view);
		after(a->api_timer,
		      a->missing_since && !a->facts.late ? SOON_SECONDS : a->options->period);
	}
	/* What was sent before the phase changed says nothing about this one. */
	if (same_phase && a->sent.facts.phase == a->facts.phase)
		a->claimed = true;
	steer(a);
}

static void api_work(void *ctx, void *result)
{
	const struct agent *a = ctx;

	kf_api_do(&a->sent, result);
}

static void start_api(struct agent *a)
{
	struct kf_err err;

	a->api_due = false;
	a->sent = (struct kf_api_order){.node_name = a->options->node_name,
					.facts = a->facts,
					.taint = a->options->taint,
					.nhandlers = a->nhandlers};
	memcpy(a->sent.handlers, a->handlers, sizeof(a->handlers));
	if (kf_job_start(&a->api_job, a->base, sizeof(struct kf_api_result), api_work, on_api, a,
			 &err) < 0)
		api_failed(a, err.msg);
}

/* ---- the node ---- */

static void on_node_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	if (a->facts.phase == KF_PHASE_UNINSTALLING)
		a->next = KF_WORK_UNINSTALL;
	else if (a->facts.phase == KF_PHASE_FAILED)
		claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
	steer(a);
}

static void want_check(struct agent *a)
{
	if (a->facts.phase == KF_PHASE_DONE && a->next == KF_WORK_NONE)
		a->next = KF_WORK_CHECK;
	steer(a);
}

static void on_check_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	want_check(ctx);
}

static void on_change(void *ctx)
{
	want_check(ctx);
}

static void node_failed(struct agent *a, const char *message)
{
	a->facts.phase = KF_PHASE_FAILED;
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", message);
	kf_log(KF_LOG_ERROR, "set-up-failed", {"error", message});
	a->node_backoff = a->node_backoff ? a->node_backoff * 2 : NODE_BACKOFF;
	if (a->node_backoff > NODE_BACKOFF_MAX)
		a->node_backoff = NODE_BACKOFF_MAX;
	after(a->node_timer, a->node_backoff);
}

static void take_node(struct agent *a, const struct kf_work_result *r)
{
	a->facts.runtime = r->runtime;
	a->facts.abi = r->abi;
	a->facts.phase = KF_PHASE_DONE;
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", r->message);
	memcpy(a->fingerprint, r->fingerprint, sizeof(kf_digest));
	memcpy(a->handlers, r->handlers, sizeof(a->handlers));
	a->nhandlers = r->nhandlers;
	a->facts.guarded[0] = '\0';
	for (size_t i = 0, n = 0; i < r->nhandlers && n < sizeof(a->facts.guarded); i++)
		n += (size_t)snprintf(a->facts.guarded + n, sizeof(a->facts.guarded) - n, "%s%s",
				      i ? " " : "", r->handlers[i]);
	for (size_t i = 0; i < KF_ARRAY_SIZE(r->watch); i++)
		if (r->watch[i][0])
			kf_dir_watch_add(a->watch, &a->host, r->watch[i]);
	after(a->check_timer, r->runtime ? a->options->period : SOON_SECONDS);
}

static void installed(struct agent *a, const struct kf_work_result *r)
{
	if (!r->ok) {
		node_failed(a, r->message);
		return;
	}
	a->facts.served = KF_SERVED_MISSING; /* until the Node object was read again */
	take_node(a, r);
	kf_log(KF_LOG_INFO, "set-up-done");
	urge_api(a);
}

/* Others that change what we installed may do so again and again: they get at most
 * every second repair at once. */
static void drifted(struct agent *a, const char *message)
{
	time_t now = monotonic();
	bool at_once = !a->repaired || now - a->repaired > NODE_QUIET;

	kf_log(KF_LOG_WARN, "changed-by-others", {"reason", message});
	a->repaired = now;
	if (at_once) {
		a->node_backoff = 0;
		claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, message);
	} else {
		node_failed(a, message);
	}
}

static void checked(struct agent *a, const struct kf_work_result *r)
{
	if (r->ok)
		take_node(a, r);
	else if (r->drift)
		drifted(a, r->message);
	else
		node_failed(a, r->message);
}

static void uninstalled(struct agent *a, const struct kf_work_result *r)
{
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", r->message);
	if (r->ok) {
		kf_log(KF_LOG_INFO, "uninstalled");
		a->facts.phase = KF_PHASE_GONE;
	} else {
		kf_log(KF_LOG_INFO, "not-uninstalled-yet", {"reason", r->message});
		after(a->node_timer, UNINSTALL_SECONDS);
	}
}

static void on_node(void *ctx, const void *result)
{
	static const struct kf_work_result died = {.abi = -1, .message = "the work was killed"};
	const struct kf_work_result *r = result ? result : &died;
	struct agent *a = ctx;

	if (a->stopping) {
		(void)event_base_loopbreak(a->base);
		return;
	}
	/* A request to uninstall may have come meanwhile; then its work is next. */
	if (a->order.work == KF_WORK_UNINSTALL && a->facts.phase == KF_PHASE_UNINSTALLING)
		uninstalled(a, r);
	else if (a->order.work == KF_WORK_INSTALL && a->facts.phase == KF_PHASE_STARTING)
		installed(a, r);
	else if (a->order.work == KF_WORK_CHECK && a->facts.phase == KF_PHASE_DONE)
		checked(a, r);
	steer(a);
}

static void node_work(void *ctx, void *result)
{
	const struct agent *a = ctx;

	kf_work_do(&a->order, result);
}

static void start_node(struct agent *a)
{
	struct kf_err err;

	a->order = (struct kf_work_order){.options = a->options, .work = a->next};
	memcpy(a->order.fingerprint, a->fingerprint, sizeof(kf_digest));
	a->next = KF_WORK_NONE;
	if (kf_job_start(&a->node_job, a->base, sizeof(struct kf_work_result), node_work, on_node,
			 a, &err) < 0)
		node_failed(a, err.msg);
}

/* ---- the plugin ---- */

static void on_plugin(void *ctx, bool connected, const char *why)
{
	struct agent *a = ctx;

	a->query = NULL;
	if (connected != a->facts.plugin)
		kf_log(KF_LOG_INFO, connected ? "plugin-connected" : "plugin-disconnected",
		       {"reason", connected ? NULL : why});
	a->facts.plugin = connected;
	(void)snprintf(a->facts.plugin_why, sizeof(a->facts.plugin_why), "%s", why);
	steer(a);
}

static void on_plugin_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	after(a->plugin_timer, PLUGIN_SECONDS);
	if (!a->query)
		a->query = kf_plugin_ask(a->base, &a->host, on_plugin, a);
}

/* ---- all together ---- */

static void finish(struct agent *a, int status)
{
	a->stopping = true;
	a->status = status;
	kf_job_stop(&a->api_job);
	/* What is being done to the node gets the time that there is; if that is too
	 * little, the journal tells the next agent. */
	if (a->node_job.pid && status == KF_EXIT_OK && !a->options->once) {
		const struct timeval t = {.tv_usec = END_MS * 1000};

		(void)event_add(a->end_timer, &t);
	} else {
		(void)event_base_loopbreak(a->base);
	}
}

static void tell_probes(struct agent *a, const struct kf_marks *want)
{
	time_t now = monotonic();
	struct kf_err err;

	if (!a->options->ready_file || (a->ready_written && a->was_ready == want->ready &&
					strcmp(a->ready_message, want->message) == 0 &&
					now - a->ready_written < (time_t)a->options->period))
		return;
	if (kf_ready_write(a->options->ready_file, want->ready, a->options->period, want->message,
			   &err) < 0) {
		kf_log(KF_LOG_ERROR, "no-ready-file", {"error", err.msg});
		return;
	}
	a->was_ready = want->ready;
	(void)snprintf(a->ready_message, sizeof(a->ready_message), "%s", want->message);
	a->ready_written = now;
}

static void steer(struct agent *a)
{
	struct kf_marks want;
	bool news;

	if (a->stopping)
		return;
	kf_marks_of(&a->facts, a->options->taint, &want);
	tell_probes(a, &want);
	news = !a->is_published || !kf_marks_equal(&want, &a->published);
	if (!a->api_job.pid && (a->api_due || (news && !a->api_failing)))
		start_api(a);
	if (!a->node_job.pid && a->next != KF_WORK_NONE && (a->next == KF_WORK_CHECK || a->claimed))
		start_node(a);
	if (a->options->once && !a->api_job.pid && a->is_published && !news &&
	    (want.ready || a->facts.phase == KF_PHASE_FAILED))
		finish(a, want.ready ? KF_EXIT_OK : KF_EXIT_FAILED);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)what;
	kf_log(KF_LOG_INFO, "stopping", {"reason", sig == SIGTERM ? "SIGTERM" : "SIGINT"});
	finish(a, KF_EXIT_OK);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	a->status = a->stopping ? a->status : KF_EXIT_FAILED;
	(void)event_base_loopbreak(a->base);
}

static int set_up(struct agent *a, struct kf_err *err)
{
	const struct {
		struct event **timer;
		event_callback_fn fn;
	} timers[] = {
		{&a->api_timer, on_api_timer},
		{&a->node_timer, on_node_timer},
		{&a->plugin_timer, on_plugin_timer},
		{&a->check_timer, on_check_timer},
		{&a->end_timer, on_end},
	};
	const int signals[] = {SIGTERM, SIGINT};

	if (kf_host_open(a->options->node.host_root, &a->host, err) < 0)
		return -1;
	a->base = event_base_new();
	if (!a->base)
		return kf_fail_nomem(err, "event loop");
	for (size_t i = 0; i < KF_ARRAY_SIZE(timers); i++)
		if (!(*timers[i].timer = evtimer_new(a->base, timers[i].fn, a)))
			return kf_fail_nomem(err, "timer");
	for (size_t i = 0; i < KF_ARRAY_SIZE(signals); i++) {
		a->signals[i] = evsignal_new(a->base, signals[i], on_signal, a);
		if (!a->signals[i] || event_add(a->signals[i], NULL) < 0)
			return kf_fail(err, ENOMEM, "cannot wait for signals");
	}
	a->watch = kf_dir_watch_new(a->base, on_change, a);
	if (!a->watch)
		return kf_fail_sys(err, "inotify (see fs.inotify.max_user_instances)");
	return 0;
}

static void tear_down(struct agent *a)
{
	struct event *events[] = {a->signals[0],   a->signals[1],  a->api_timer, a->node_timer,
				  a->plugin_timer, a->check_timer, a->end_timer};

	kf_job_stop(&a->node_job);
	kf_job_stop(&a->api_job);
	kf_plugin_query_free(a->query);
	kf_dir_watch_free(a->watch);
	for (size_t i = 0; i < KF_ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	if (a->base)
		event_base_free(a->base);
	kf_host_done(&a->host);
}

int kf_agent_run(const struct kf_agent_options *options, struct kf_err *err)
{
	struct agent a = {.options = options,
			  .facts = {.abi = -1},
			  .host = {.fd = -1},
			  .next = KF_WORK_INSTALL,
			  .status = KF_EXIT_FAILED};
	int r = set_up(&a, err);

	if (r == 0) {
		kf_log(KF_LOG_INFO, "started", {"version", KF_VERSION},
		       {"node", options->node_name});
		if (options->once)
			after(a.end_timer, 2 * options->node.timeout + HANDLERS_SECONDS);
		on_plugin_timer(-1, 0, &a);
		steer(&a);
		(void)event_base_dispatch(a.base);
	}
	tear_down(&a);
	return r < 0 ? kf_command_fail("node agent: %s", err->msg) : a.status;
}

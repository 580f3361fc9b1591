/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of "kubefence node agent".  It never blocks: work on the node and on the API
 * is done by jobs, one of each kind at a time, whose results are facts;
 * look_around() looks at the facts and starts what is to be done next. */
#include "kubefence/agent/state.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "event/job.h"
#include "event/ready.h"
#include "event/watch.h"
#include "kubefence/agent/confine.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ONCE_SECONDS   120 /* for cluster and plugin, beside the work on the node */
#define PLUGIN_SECONDS 2
#define END_MS	       800
#define SETTLE_MS      1000 /* others change a node in bursts: one look for each */

/* The kinds of jobs. */
enum { NODE_JOB, API_JOB, PLUGIN_JOB };

struct agent {
	struct kf_agent_state s;
	struct event_base *base;
	struct kf_host host;
	struct event *signals[2], *api_timer, *node_timer, *plugin_timer, *check_timer, *end_timer;
	struct kf_watch *watch;
	struct kf_jobs jobs;
	struct event *jobs_ended;
	struct kf_job node_job, api_job, plugin_job;

	bool stopping;
	int status;
	bool was_ready;
	char ready_message[400]; /* "REASON: MESSAGE" */
	time_t ready_written;
};

static void look_around(struct agent *a);

static time_t now_monotonic(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void set_timer(struct event *timer, unsigned seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	(void)event_add(timer, &t);
}

/* What the last step wished for. */
static void set_timers(struct agent *a)
{
	struct kf_agent_timers *t = &a->s.timers;

	if (a->s.api_due)
		(void)event_del(a->api_timer);
	else if (t->api)
		set_timer(a->api_timer, t->api);
	if (t->node)
		set_timer(a->node_timer, t->node);
	if (t->check)
		set_timer(a->check_timer, t->check);
	*t = (struct kf_agent_timers){0};
}

/* ---- the plugin ---- */

static void on_plugin(void *ctx, const void *result)
{
	struct agent *a = ctx;
	struct kf_facts *facts = &a->s.facts;
	char why[sizeof(facts->plugin_why)];
	bool connected = kf_agent_plugin_judge(result, why, sizeof(why));

	if (connected != facts->plugin)
		kf_log(KF_LOG_INFO, connected ? "plugin-connected" : "plugin-disconnected",
		       {"reason", connected ? NULL : why});
	facts->plugin = connected;
	facts->rejected[0] = '\0';
	if (result)
		(void)kf_agent_plugin_said(result, "rejected profiles", facts->rejected,
					   sizeof(facts->rejected));
	(void)snprintf(facts->plugin_why, sizeof(facts->plugin_why), "%s", why);
	look_around(a);
}

static void on_plugin_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;
	struct kf_err err;

	(void)fd;
	(void)what;
	set_timer(a->plugin_timer, PLUGIN_SECONDS);
	if (!a->plugin_job.running && kf_job_start(&a->jobs, PLUGIN_JOB, NULL, &a->plugin_job,
						   a->base, on_plugin, a, &err) < 0)
		kf_log(KF_LOG_ERROR, "plugin-not-asked", {"error", err.msg});
}

/* ---- the Node object ---- */

static void on_api(void *ctx, const void *result)
{
	struct agent *a = ctx;

	kf_agent_take_api(&a->s, result, "the request ended without a result", now_monotonic());
	look_around(a);
}

static void start_api(struct agent *a)
{
	struct kf_err err;

	kf_agent_order_api(&a->s);
	if (kf_job_start(&a->jobs, API_JOB, &a->s.sent, &a->api_job, a->base, on_api, a, &err) < 0)
		kf_agent_take_api(&a->s, NULL, err.msg, now_monotonic());
}

static void on_api_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	kf_agent_urge(&a->s);
	look_around(a);
}

/* ---- the node ---- */

/* If there is one.  By descriptor, for the path is the host's. */
static void watch_directory(struct agent *a, const char *path)
{
	KF_CLOSE int at = -1;
	struct kf_err err;
	char self[64];

	if (kf_host_fd(&a->host, path, O_PATH | O_DIRECTORY, &at, &err) < 0)
		return;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	if (kf_watch_add(a->watch, self, NULL, &err) < 0)
		kf_log(KF_LOG_WARN, "not-watching", {"path", path}, {"error", err.msg});
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
	if (kf_agent_take_node(&a->s, r, now_monotonic()))
		for (size_t i = 0; i < KF_ARRAY_SIZE(r->watch); i++)
			if (r->watch[i][0])
				watch_directory(a, r->watch[i]);
	look_around(a);
}

static void start_node(struct agent *a)
{
	struct kf_err err;

	kf_agent_order_node(&a->s);
	if (kf_job_start(&a->jobs, NODE_JOB, &a->s.order, &a->node_job, a->base, on_node, a, &err) <
	    0)
		kf_agent_node_failed(&a->s, err.msg);
}

static void on_node_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	kf_agent_retry_node(&a->s);
	look_around(a);
}

static void on_change(void *ctx)
{
	struct agent *a = ctx;

	kf_agent_want_check(&a->s);
	look_around(a);
}

static void on_check_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	on_change(ctx);
}

/* ---- all together ---- */

static void finish_agent(struct agent *a, int status)
{
	a->stopping = true;
	a->status = status;
	kf_job_drop(&a->api_job);
	/* What is being done to the node gets the time that there is; if that is too
	 * little, the journal tells the next agent. */
	if (a->node_job.running && status == KF_EXIT_OK && !a->s.options->once) {
		const struct timeval t = {.tv_usec = END_MS * 1000};

		(void)event_add(a->end_timer, &t);
	} else {
		(void)event_base_loopbreak(a->base);
	}
}

static void tell_probes(struct agent *a, const struct kf_marks *want)
{
	char message[sizeof(a->ready_message)];
	time_t now = now_monotonic();
	struct kf_err err;

	(void)snprintf(message, sizeof(message), "%s: %s", want->reason, want->message);
	if (!a->s.options->ready_file || (a->ready_written && a->was_ready == want->ready &&
					  strcmp(a->ready_message, message) == 0 &&
					  now - a->ready_written < (time_t)a->s.options->period))
		return;
	if (kf_ready_write(a->s.options->ready_file, want->ready, a->s.options->period, message,
			   &err) < 0) {
		kf_log(KF_LOG_ERROR, "no-ready-file", {"error", err.msg});
		return;
	}
	a->was_ready = want->ready;
	(void)snprintf(a->ready_message, sizeof(a->ready_message), "%s", message);
	a->ready_written = now;
}

/* Look at what is known and start what is to be done next. */
static void look_around(struct agent *a)
{
	struct kf_marks want;
	bool news;

	if (a->stopping)
		return;
	set_timers(a);
	kf_marks_of(&a->s.facts, a->s.options->taint, &want);
	tell_probes(a, &want);
	news = !a->s.is_published || !kf_marks_equal(&want, &a->s.published);
	if (!a->api_job.running && (a->s.api_due || (news && !a->s.api_failing)))
		start_api(a);
	if (!a->node_job.running && a->s.next != KF_WORK_NONE &&
	    (a->s.next == KF_WORK_CHECK || a->s.claimed))
		start_node(a);
	set_timers(a); /* of what could not be started */
	if (a->s.options->once && !a->api_job.running && a->s.is_published && !news &&
	    (want.ready || a->s.facts.phase == KF_PHASE_FAILED))
		finish_agent(a, want.ready ? KF_EXIT_OK : KF_EXIT_FAILED);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)what;
	kf_log(KF_LOG_INFO, "stopping", {"reason", sig == SIGTERM ? "SIGTERM" : "SIGINT"});
	finish_agent(a, KF_EXIT_OK);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	a->status = a->stopping ? a->status : KF_EXIT_FAILED;
	(void)event_base_loopbreak(a->base);
}

/* We may not start another: whoever started us does. */
static void on_jobs_ended(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	(void)fd;
	(void)what;
	kf_log(KF_LOG_ERROR, "not-working", {"error", "the process that starts jobs has ended"});
	a->status = KF_EXIT_FAILED;
	(void)event_base_loopbreak(a->base);
}

static void node_job(const void *ctx, const void *order, void *result)
{
	kf_agent_work_do(ctx, order, result);
}

static void api_job(const void *ctx, const void *order, void *result)
{
	kf_agent_api_do(ctx, order, result);
}

static void plugin_job(const void *ctx, const void *order, void *result)
{
	const struct kf_agent_options *options = ctx;
	struct kf_host host;

	(void)order;
	if (kf_host_open(options->node.host_root, &host, KF_ERR_IGNORED) == 0)
		kf_agent_plugin_do(&host, result);
}

static const struct kf_job_kind kinds[] = {
	[NODE_JOB] = {sizeof(struct kf_work_order), sizeof(struct kf_work_result), node_job},
	[API_JOB] = {sizeof(struct kf_api_order), sizeof(struct kf_api_result), api_job},
	[PLUGIN_JOB] = {0, sizeof(struct kf_plugin_result), plugin_job},
};

/* Stage 1 is the command line.  Stage 2: the process that starts jobs, which keeps our rights;
 * then what the loop needs open.  Stage 3: confined; only then are jobs ordered. */
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

	if (kf_jobs_start(kinds, KF_ARRAY_SIZE(kinds), a->s.options, &a->jobs, err) < 0 ||
	    kf_host_open(a->s.options->node.host_root, &a->host, err) < 0)
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
	if (kf_watch_new(a->base, SETTLE_MS, on_change, a, &a->watch, err) < 0)
		return -1;
	a->jobs_ended = event_new(a->base, a->jobs.starter.fd, EV_READ, on_jobs_ended, a);
	if (!a->jobs_ended || event_add(a->jobs_ended, NULL) < 0)
		return kf_fail_nomem(err, "jobs");
	return kf_agent_confine_loop(a->s.options, err);
}

static void tear_down(struct agent *a)
{
	struct event *events[] = {a->signals[0],   a->signals[1],  a->api_timer, a->node_timer,
				  a->plugin_timer, a->check_timer, a->end_timer, a->jobs_ended};

	kf_job_drop(&a->node_job);
	kf_job_drop(&a->api_job);
	kf_job_drop(&a->plugin_job);
	kf_jobs_stop(&a->jobs);
	kf_watch_free(a->watch);
	for (size_t i = 0; i < KF_ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	if (a->base)
		event_base_free(a->base);
	kf_host_done(&a->host);
}

int kf_agent_run(const struct kf_agent_options *options, struct kf_err *err)
{
	struct agent a = {
		.s = {.options = options, .facts = {.abi = -1}, .next = KF_WORK_INSTALL},
		.host = {.fd = -1},
		.jobs.starter.fd = -1,
		.status = KF_EXIT_FAILED,
	};
	int r = set_up(&a, err);

	if (r == 0) {
		kf_log(KF_LOG_INFO, "started", {"version", KF_VERSION},
		       {"node", options->node_name});
		if (options->once)
			set_timer(a.end_timer, 2 * options->node.timeout + ONCE_SECONDS);
		on_plugin_timer(-1, 0, &a);
		look_around(&a);
		(void)event_base_dispatch(a.base);
	}
	tear_down(&a);
	return r < 0 ? kf_command_fail("%s", err->msg) : a.status;
}

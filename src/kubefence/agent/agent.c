/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of "kubefence node agent".  It never blocks: work on the node and on the API
 * is done by jobs, one of each kind at a time, whose results are facts;
 * kf_agent_steer() looks at the facts and starts what is to be done next. */
#include "kubefence/agent/loop.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "event/ready.h"
#include "kubefence/agent/confine.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ONCE_SECONDS   120 /* for cluster and plugin, beside the work on the node */
#define PLUGIN_SECONDS 2
#define END_MS	       800
#define SETTLE_MS      1000 /* others change a node in bursts: one look for each */

time_t kf_agent_clock(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

void kf_agent_after(struct event *timer, unsigned seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	(void)event_add(timer, &t);
}

/* ---- the plugin ---- */

static void on_plugin(void *ctx, const void *result)
{
	struct kf_agent *a = ctx;
	char why[sizeof(a->facts.plugin_why)];
	bool connected = kf_plugin_judge(result, why, sizeof(why));

	if (connected != a->facts.plugin)
		kf_log(KF_LOG_INFO, connected ? "plugin-connected" : "plugin-disconnected",
		       {"reason", connected ? NULL : why});
	a->facts.plugin = connected;
	(void)snprintf(a->facts.plugin_why, sizeof(a->facts.plugin_why), "%s", why);
	kf_agent_steer(a);
}

static void on_plugin_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_agent *a = ctx;
	struct kf_err err;

	(void)fd;
	(void)what;
	kf_agent_after(a->plugin_timer, PLUGIN_SECONDS);
	if (!a->plugin_job.running && kf_job_start(&a->jobs, KF_AGENT_PLUGIN_JOB, NULL,
						   &a->plugin_job, a->base, on_plugin, a, &err) < 0)
		kf_log(KF_LOG_ERROR, "plugin-not-asked", {"error", err.msg});
}

/* ---- all together ---- */

static void finish(struct kf_agent *a, int status)
{
	a->stopping = true;
	a->status = status;
	kf_job_drop(&a->api_job);
	/* What is being done to the node gets the time that there is; if that is too
	 * little, the journal tells the next agent. */
	if (a->node_job.running && status == KF_EXIT_OK && !a->options->once) {
		const struct timeval t = {.tv_usec = END_MS * 1000};

		(void)event_add(a->end_timer, &t);
	} else {
		(void)event_base_loopbreak(a->base);
	}
}

static void tell_probes(struct kf_agent *a, const struct kf_marks *want)
{
	char message[sizeof(a->ready_message)];
	time_t now = kf_agent_clock();
	struct kf_err err;

	(void)snprintf(message, sizeof(message), "%s: %s", want->reason, want->message);
	if (!a->options->ready_file || (a->ready_written && a->was_ready == want->ready &&
					strcmp(a->ready_message, message) == 0 &&
					now - a->ready_written < (time_t)a->options->period))
		return;
	if (kf_ready_write(a->options->ready_file, want->ready, a->options->period, message, &err) <
	    0) {
		kf_log(KF_LOG_ERROR, "no-ready-file", {"error", err.msg});
		return;
	}
	a->was_ready = want->ready;
	(void)snprintf(a->ready_message, sizeof(a->ready_message), "%s", message);
	a->ready_written = now;
}

void kf_agent_steer(struct kf_agent *a)
{
	struct kf_marks want;
	bool news;

	if (a->stopping)
		return;
	kf_marks_of(&a->facts, a->options->taint, &want);
	tell_probes(a, &want);
	news = !a->is_published || !kf_marks_equal(&want, &a->published);
	if (!a->api_job.running && (a->api_due || (news && !a->api_failing)))
		kf_agent_start_api(a);
	if (!a->node_job.running && a->next != KF_WORK_NONE &&
	    (a->next == KF_WORK_CHECK || a->claimed))
		kf_agent_start_node(a);
	if (a->options->once && !a->api_job.running && a->is_published && !news &&
	    (want.ready || a->facts.phase == KF_PHASE_FAILED))
		finish(a, want.ready ? KF_EXIT_OK : KF_EXIT_FAILED);
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct kf_agent *a = ctx;

	(void)what;
	kf_log(KF_LOG_INFO, "stopping", {"reason", sig == SIGTERM ? "SIGTERM" : "SIGINT"});
	finish(a, KF_EXIT_OK);
}

static void on_end(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_agent *a = ctx;

	(void)fd;
	(void)what;
	a->status = a->stopping ? a->status : KF_EXIT_FAILED;
	(void)event_base_loopbreak(a->base);
}

/* We may not start another: whoever started us does. */
static void on_jobs_ended(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_agent *a = ctx;

	(void)fd;
	(void)what;
	kf_log(KF_LOG_ERROR, "not-working", {"error", "the process that starts jobs has ended"});
	a->status = KF_EXIT_FAILED;
	(void)event_base_loopbreak(a->base);
}

static void node_job(const void *ctx, const void *order, void *result)
{
	kf_work_do(ctx, order, result);
}

static void api_job(const void *ctx, const void *order, void *result)
{
	kf_api_do(ctx, order, result);
}

static void plugin_job(const void *ctx, const void *order, void *result)
{
	const struct kf_agent_options *options = ctx;
	struct kf_host host;

	(void)order;
	if (kf_host_open(options->node.host_root, &host, NULL) == 0)
		kf_plugin_do(&host, result);
}

static const struct kf_job_kind kinds[] = {
	[KF_AGENT_NODE_JOB] = {sizeof(struct kf_work_order), sizeof(struct kf_work_result),
			       node_job},
	[KF_AGENT_API_JOB] = {sizeof(struct kf_api_order), sizeof(struct kf_api_result), api_job},
	[KF_AGENT_PLUGIN_JOB] = {0, sizeof(struct kf_plugin_result), plugin_job},
};

/* Stage 1 is the command line.  Stage 2: the process that starts jobs, which keeps our rights;
 * then what the loop needs open.  Stage 3: confined; only then are jobs ordered. */
static int set_up(struct kf_agent *a, struct kf_err *err)
{
	const struct {
		struct event **timer;
		event_callback_fn fn;
	} timers[] = {
		{&a->api_timer, kf_agent_on_api_timer},
		{&a->node_timer, kf_agent_on_node_timer},
		{&a->plugin_timer, on_plugin_timer},
		{&a->check_timer, kf_agent_on_check_timer},
		{&a->end_timer, on_end},
	};
	const int signals[] = {SIGTERM, SIGINT};

	if (kf_jobs_start(kinds, KF_ARRAY_SIZE(kinds), a->options, &a->jobs, err) < 0 ||
	    kf_host_open(a->options->node.host_root, &a->host, err) < 0)
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
	if (kf_watch_new(a->base, SETTLE_MS, kf_agent_on_change, a, &a->watch, err) < 0)
		return -1;
	a->jobs_ended = event_new(a->base, a->jobs.fd, EV_READ, on_jobs_ended, a);
	if (!a->jobs_ended || event_add(a->jobs_ended, NULL) < 0)
		return kf_fail_nomem(err, "jobs");
	return kf_agent_confine_loop(a->options, err);
}

static void tear_down(struct kf_agent *a)
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
	struct kf_agent a = {.options = options,
			     .facts = {.abi = -1},
			     .host = {.fd = -1},
			     .jobs = {.fd = -1},
			     .next = KF_WORK_INSTALL,
			     .status = KF_EXIT_FAILED};
	int r = set_up(&a, err);

	if (r == 0) {
		kf_log(KF_LOG_INFO, "started", {"version", KF_VERSION},
		       {"node", options->node_name});
		if (options->once)
			kf_agent_after(a.end_timer, 2 * options->node.timeout + ONCE_SECONDS);
		on_plugin_timer(-1, 0, &a);
		kf_agent_steer(&a);
		(void)event_base_dispatch(a.base);
	}
	tear_down(&a);
	return r < 0 ? kf_command_fail("%s", err->msg) : a.status;
}

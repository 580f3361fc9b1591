/* SPDX-License-Identifier: Apache-2.0 */
/* The agent and its Node object: when it is written, and what is read from it. */
#include "base/cleanup.h"
#include "base/log.h"
#include "kubefence/agent/loop.h"

#include <stdio.h>
#include <string.h>

#define API_BACKOFF_MAX	 30
#define HANDLERS_SECONDS 120 /* for the kubelet to list the handlers */

void kf_agent_urge(struct kf_agent *a)
{
	a->api_due = true;
	(void)event_del(a->api_timer);
}

void kf_agent_on_api_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_agent *a = ctx;

	(void)fd;
	(void)what;
	a->api_due = true;
	kf_agent_steer(a);
}

/* The phase changes to one in which the node is touched. */
void kf_agent_claim(struct kf_agent *a, enum kf_phase phase, enum kf_work work, const char *detail)
{
	a->facts.phase = phase;
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", detail);
	a->next = work;
	a->claimed = false;
	kf_agent_urge(a);
}

static void take_view(struct kf_agent *a, const struct kf_node_view *view)
{
	enum kf_phase phase = a->facts.phase;

	a->facts.served = view->served;
	if (view->served != KF_SERVED_MISSING || phase != KF_PHASE_DONE)
		a->missing_since = 0;
	else if (!a->missing_since)
		a->missing_since = kf_agent_clock();
	a->facts.late = a->missing_since && kf_agent_clock() - a->missing_since > HANDLERS_SECONDS;

	if (view->uninstall && phase != KF_PHASE_UNINSTALLING && phase != KF_PHASE_GONE) {
		kf_log(KF_LOG_INFO, "uninstall-requested", {"node", a->options->node_name});
		kf_agent_claim(a, KF_PHASE_UNINSTALLING, KF_WORK_UNINSTALL,
			       "asked to by the annotation " KF_ANNOTATION
			       "; the node is being cleaned up");
	} else if ((phase == KF_PHASE_UNINSTALLING && !view->uninstall) ||
		   (phase == KF_PHASE_GONE && view->cancelled)) {
		kf_log(KF_LOG_INFO, "uninstall-cancelled", {"node", a->options->node_name});
		kf_agent_claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
	}
}

static void api_failed(struct kf_agent *a, const char *error)
{
	if (!a->api_failing)
		kf_log(KF_LOG_WARN, "api-unavailable", {"error", error});
	a->api_failing = true;
	a->api_backoff = a->api_backoff ? a->api_backoff * 2 : 1;
	if (a->api_backoff > API_BACKOFF_MAX)
		a->api_backoff = API_BACKOFF_MAX;
	kf_agent_after(a->api_timer, a->api_backoff);
}

/* It comes from a process that talks to others. */
static bool terminated(const struct kf_api_result *r)
{
	return memchr(r->error, '\0', sizeof(r->error)) &&
	       memchr(r->marks.reason, '\0', sizeof(r->marks.reason)) &&
	       memchr(r->marks.message, '\0', sizeof(r->marks.message));
}

static void on_api(void *ctx, const void *result)
{
	const struct kf_api_result *r = result && terminated(result) ? result : NULL;
	struct kf_agent *a = ctx;
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
		kf_agent_after(a->api_timer, a->missing_since && !a->facts.late
						     ? KF_AGENT_SOON
						     : a->options->period);
	}
	/* What was sent before the phase changed says nothing about this one. */
	if (same_phase && a->sent.facts.phase == a->facts.phase)
		a->claimed = true;
	kf_agent_steer(a);
}

void kf_agent_start_api(struct kf_agent *a)
{
	struct kf_err err;

	a->api_due = false;
	a->sent = (struct kf_api_order){
		.facts = a->facts, .taint = a->options->taint, .nhandlers = a->nhandlers};
	memcpy(a->sent.handlers, a->handlers, sizeof(a->handlers));
	if (kf_job_start(&a->jobs, KF_AGENT_API_JOB, &a->sent, &a->api_job, a->base, on_api, a,
			 &err) < 0)
		api_failed(a, err.msg);
}

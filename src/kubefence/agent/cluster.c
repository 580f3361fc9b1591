/* SPDX-License-Identifier: Apache-2.0 */
/* The agent and its Node object: when it is written, and what is read from it. */
#include "base/cleanup.h"
#include "base/log.h"
#include "kubefence/agent/state.h"

#include <stdio.h>
#include <string.h>

#define API_BACKOFF_MAX	 30
#define HANDLERS_SECONDS 120 /* for the kubelet to list the handlers */

void kf_agent_urge(struct kf_agent_state *s)
{
	s->api_due = true;
}

/* The phase changes to one in which the node is touched. */
void kf_agent_claim(struct kf_agent_state *s, enum kf_phase phase, enum kf_work work,
		    const char *detail)
{
	s->facts.phase = phase;
	if (detail != s->facts.detail)
		(void)snprintf(s->facts.detail, sizeof(s->facts.detail), "%s", detail);
	s->next = work;
	s->claimed = false;
	kf_agent_urge(s);
}

static void take_view(struct kf_agent_state *s, const struct kf_node_view *view, time_t now)
{
	enum kf_phase phase = s->facts.phase;

	s->facts.served = view->served;
	if (view->served != KF_SERVED_MISSING || phase != KF_PHASE_DONE)
		s->missing_since = 0;
	else if (!s->missing_since)
		s->missing_since = now;
	s->facts.late = s->missing_since && now - s->missing_since > HANDLERS_SECONDS;

	if (view->uninstall && phase != KF_PHASE_UNINSTALLING && phase != KF_PHASE_GONE) {
		kf_log(KF_LOG_INFO, "uninstall-requested", {"node", s->options->node_name});
		kf_agent_claim(s, KF_PHASE_UNINSTALLING, KF_WORK_UNINSTALL,
			       "asked to by the annotation " KF_ANNOTATION
			       "; the node is being cleaned up");
	} else if ((phase == KF_PHASE_UNINSTALLING && !view->uninstall) ||
		   (phase == KF_PHASE_GONE && view->cancelled)) {
		kf_log(KF_LOG_INFO, "uninstall-cancelled", {"node", s->options->node_name});
		kf_agent_claim(s, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
	}
}

static void api_failed(struct kf_agent_state *s, const char *error)
{
	if (!s->api_failing)
		kf_log(KF_LOG_WARN, "api-unavailable", {"error", error});
	s->api_failing = true;
	s->api_backoff = s->api_backoff ? s->api_backoff * 2 : 1;
	if (s->api_backoff > API_BACKOFF_MAX)
		s->api_backoff = API_BACKOFF_MAX;
	s->timers.api = s->api_backoff;
}

/* It comes from a process that talks to others. */
static bool is_terminated(const struct kf_api_result *r)
{
	return memchr(r->error, '\0', sizeof(r->error)) &&
	       memchr(r->marks.reason, '\0', sizeof(r->marks.reason)) &&
	       memchr(r->marks.message, '\0', sizeof(r->marks.message));
}

static void take_published(struct kf_agent_state *s, const struct kf_api_result *r, time_t now)
{
	if (s->api_failing)
		kf_log(KF_LOG_INFO, "api-available");
	s->api_failing = false;
	s->api_backoff = 0;
	if (!s->is_published || !kf_marks_equal(&s->published, &r->marks))
		kf_log(KF_LOG_INFO, "published", {"ready", r->marks.ready ? "true" : "false"},
		       {"reason", r->marks.reason}, {"message", r->marks.message});
	s->published = r->marks;
	s->is_published = true;
	take_view(s, &r->view, now);
	s->timers.api = s->missing_since && !s->facts.late ? KF_AGENT_SOON : s->options->period;
}

void kf_agent_take_api(struct kf_agent_state *s, const struct kf_api_result *result,
		       const char *error, time_t now)
{
	const struct kf_api_result *r = result && is_terminated(result) ? result : NULL;
	bool same_phase = s->sent.facts.phase == s->facts.phase;

	if (!r || !r->ok)
		api_failed(s, r ? r->error : error);
	else
		take_published(s, r, now);
	/* What was sent before the phase changed says nothing about this one. */
	if (same_phase && s->sent.facts.phase == s->facts.phase)
		s->claimed = true;
}

void kf_agent_order_api(struct kf_agent_state *s)
{
	s->api_due = false;
	s->sent = (struct kf_api_order){
		.facts = s->facts, .taint = s->options->taint, .nhandlers = s->nhandlers};
	memcpy(s->sent.handlers, s->handlers, sizeof(s->handlers));
}

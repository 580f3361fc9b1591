/* SPDX-License-Identifier: Apache-2.0 */
/* The agent and its node: what follows from what was done there. */
#include "base/cleanup.h"
#include "base/log.h"
#include "kubefence/agent/state.h"

#include <stdio.h>
#include <string.h>

#define NODE_BACKOFF	  10 /* a failed set-up may have restarted the runtime twice */
#define NODE_BACKOFF_MAX  300
#define NODE_QUIET	  600 /* this long without repairs, and the next one is immediate */
#define UNINSTALL_SECONDS 5

void kf_agent_retry_node(struct kf_agent_state *s)
{
	/* The request may be over, with nobody having told us yet: the Node object is read first.
	 * Else what is removed now would be installed again, and the runtime restarted for each. */
	if (s->facts.phase == KF_PHASE_UNINSTALLING)
		kf_agent_claim(s, KF_PHASE_UNINSTALLING, KF_WORK_UNINSTALL, s->facts.detail);
	else if (s->facts.phase == KF_PHASE_FAILED)
		kf_agent_claim(s, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
}

void kf_agent_want_check(struct kf_agent_state *s)
{
	if (s->facts.phase == KF_PHASE_DONE && s->next == KF_WORK_NONE)
		s->next = KF_WORK_CHECK;
}

void kf_agent_node_failed(struct kf_agent_state *s, const char *message)
{
	s->facts.phase = KF_PHASE_FAILED;
	(void)snprintf(s->facts.detail, sizeof(s->facts.detail), "%s", message);
	kf_log(KF_LOG_ERROR, "set-up-failed", {"error", message});
	s->node_backoff = s->node_backoff ? s->node_backoff * 2 : NODE_BACKOFF;
	if (s->node_backoff > NODE_BACKOFF_MAX)
		s->node_backoff = NODE_BACKOFF_MAX;
	s->timers.node = s->node_backoff;
}

static void take_node(struct kf_agent_state *s, const struct kf_work_result *r)
{
	s->facts.runtime = r->runtime;
	s->facts.abi = r->abi;
	s->facts.phase = KF_PHASE_DONE;
	(void)snprintf(s->facts.detail, sizeof(s->facts.detail), "%s", r->message);
	memcpy(s->fingerprint, r->fingerprint, sizeof(kf_digest));
	memcpy(s->handlers, r->handlers, sizeof(s->handlers));
	s->nhandlers = r->nhandlers;
	s->facts.guarded[0] = '\0';
	for (size_t i = 0, n = 0; i < r->nhandlers && n < sizeof(s->facts.guarded); i++)
		n += (size_t)snprintf(s->facts.guarded + n, sizeof(s->facts.guarded) - n, "%s%s",
				      i ? " " : "", r->handlers[i]);
	s->timers.check = r->runtime ? s->options->period : KF_AGENT_SOON;
}

static void take_installed(struct kf_agent_state *s, const struct kf_work_result *r)
{
	if (!r->ok) {
		kf_agent_node_failed(s, r->message);
		return;
	}
	s->facts.served = KF_SERVED_MISSING; /* until the Node object was read again */
	take_node(s, r);
	kf_log(KF_LOG_INFO, "set-up-done");
	kf_agent_urge(s);
}

/* Others that change what we installed may do so again and again: they get at most
 * every second repair at once. */
static void take_drift(struct kf_agent_state *s, const char *message, time_t now)
{
	bool at_once = !s->repaired || now - s->repaired > NODE_QUIET;

	kf_log(KF_LOG_WARN, "changed-by-others", {"reason", message});
	s->repaired = now;
	if (at_once) {
		s->node_backoff = 0;
		kf_agent_claim(s, KF_PHASE_STARTING, KF_WORK_INSTALL, message);
	} else {
		kf_agent_node_failed(s, message);
	}
}

static void take_checked(struct kf_agent_state *s, const struct kf_work_result *r, time_t now)
{
	if (r->ok)
		take_node(s, r);
	else if (r->drift)
		take_drift(s, r->message, now);
	else
		kf_agent_node_failed(s, r->message);
}

static void take_uninstalled(struct kf_agent_state *s, const struct kf_work_result *r)
{
	(void)snprintf(s->facts.detail, sizeof(s->facts.detail), "%s", r->message);
	if (r->ok) {
		kf_log(KF_LOG_INFO, "uninstalled");
		s->facts.phase = KF_PHASE_GONE;
	} else {
		kf_log(KF_LOG_INFO, "not-uninstalled-yet", {"reason", r->message});
		s->timers.node = UNINSTALL_SECONDS;
	}
}

bool kf_agent_take_node(struct kf_agent_state *s, const struct kf_work_result *r, time_t now)
{
	/* A request to uninstall may have come meanwhile; then its work is next. */
	if (s->order.work == KF_WORK_UNINSTALL && s->facts.phase == KF_PHASE_UNINSTALLING)
		take_uninstalled(s, r);
	else if (s->order.work == KF_WORK_INSTALL && s->facts.phase == KF_PHASE_STARTING)
		take_installed(s, r);
	else if (s->order.work == KF_WORK_CHECK && s->facts.phase == KF_PHASE_DONE)
		take_checked(s, r, now);
	else
		return false;
	return s->facts.phase == KF_PHASE_DONE;
}

void kf_agent_order_node(struct kf_agent_state *s)
{
	s->order = (struct kf_work_order){.work = s->next};
	memcpy(s->order.fingerprint, s->fingerprint, sizeof(kf_digest));
	s->next = KF_WORK_NONE;
}

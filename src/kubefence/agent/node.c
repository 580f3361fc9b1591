/* SPDX-License-Identifier: Apache-2.0 */
/* The agent and its node: what follows from what was done there. */
#include "base/cleanup.h"
#include "base/log.h"
#include "kubefence/agent/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NODE_BACKOFF	  10 /* a failed set-up may have restarted the runtime twice */
#define NODE_BACKOFF_MAX  300
#define NODE_QUIET	  600 /* this long without repairs, and the next one is immediate */
#define UNINSTALL_SECONDS 5

void kf_agent_on_node_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_agent *a = ctx;

	(void)fd;
	(void)what;
	if (a->facts.phase == KF_PHASE_UNINSTALLING)
		a->next = KF_WORK_UNINSTALL;
	else if (a->facts.phase == KF_PHASE_FAILED)
		kf_agent_claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, "");
	kf_agent_steer(a);
}

static void want_check(struct kf_agent *a)
{
	if (a->facts.phase == KF_PHASE_DONE && a->next == KF_WORK_NONE)
		a->next = KF_WORK_CHECK;
	kf_agent_steer(a);
}

void kf_agent_on_check_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	want_check(ctx);
}

void kf_agent_on_change(void *ctx)
{
	want_check(ctx);
}

static void node_failed(struct kf_agent *a, const char *message)
{
	a->facts.phase = KF_PHASE_FAILED;
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", message);
	kf_log(KF_LOG_ERROR, "set-up-failed", {"error", message});
	a->node_backoff = a->node_backoff ? a->node_backoff * 2 : NODE_BACKOFF;
	if (a->node_backoff > NODE_BACKOFF_MAX)
		a->node_backoff = NODE_BACKOFF_MAX;
	kf_agent_after(a->node_timer, a->node_backoff);
}

/* If there is one.  By descriptor, for the path is the host's. */
static void watch_directory(struct kf_agent *a, const char *path)
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

static void take_node(struct kf_agent *a, const struct kf_work_result *r)
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
			watch_directory(a, r->watch[i]);
	kf_agent_after(a->check_timer, r->runtime ? a->options->period : KF_AGENT_SOON);
}

static void installed(struct kf_agent *a, const struct kf_work_result *r)
{
	if (!r->ok) {
		node_failed(a, r->message);
		return;
	}
	a->facts.served = KF_SERVED_MISSING; /* until the Node object was read again */
	take_node(a, r);
	kf_log(KF_LOG_INFO, "set-up-done");
	kf_agent_urge(a);
}

/* Others that change what we installed may do so again and again: they get at most
 * every second repair at once. */
static void drifted(struct kf_agent *a, const char *message)
{
	time_t now = kf_agent_clock();
	bool at_once = !a->repaired || now - a->repaired > NODE_QUIET;

	kf_log(KF_LOG_WARN, "changed-by-others", {"reason", message});
	a->repaired = now;
	if (at_once) {
		a->node_backoff = 0;
		kf_agent_claim(a, KF_PHASE_STARTING, KF_WORK_INSTALL, message);
	} else {
		node_failed(a, message);
	}
}

static void checked(struct kf_agent *a, const struct kf_work_result *r)
{
	if (r->ok)
		take_node(a, r);
	else if (r->drift)
		drifted(a, r->message);
	else
		node_failed(a, r->message);
}

static void uninstalled(struct kf_agent *a, const struct kf_work_result *r)
{
	(void)snprintf(a->facts.detail, sizeof(a->facts.detail), "%s", r->message);
	if (r->ok) {
		kf_log(KF_LOG_INFO, "uninstalled");
		a->facts.phase = KF_PHASE_GONE;
	} else {
		kf_log(KF_LOG_INFO, "not-uninstalled-yet", {"reason", r->message});
		kf_agent_after(a->node_timer, UNINSTALL_SECONDS);
	}
}

static void on_node(void *ctx, const void *result)
{
	static const struct kf_work_result died = {.abi = -1, .message = "the work was killed"};
	const struct kf_work_result *r = result ? result : &died;
	struct kf_agent *a = ctx;

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
	kf_agent_steer(a);
}

void kf_agent_start_node(struct kf_agent *a)
{
	struct kf_err err;

	a->order = (struct kf_work_order){.work = a->next};
	memcpy(a->order.fingerprint, a->fingerprint, sizeof(kf_digest));
	a->next = KF_WORK_NONE;
	if (kf_job_start(&a->jobs, KF_AGENT_NODE_JOB, &a->order, &a->node_job, a->base, on_node, a,
			 &err) < 0)
		node_failed(a, err.msg);
}

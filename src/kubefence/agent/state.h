/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows, and what follows from each thing that it hears.  Nothing here waits, asks
 * or starts anything: the loop (agent.c) has the timers and the jobs, and does what is wished for.
 */
#ifndef KF_KUBEFENCE_AGENT_STATE_H
#define KF_KUBEFENCE_AGENT_STATE_H

#include "kubefence/agent/agent.h"

#include <time.h>

#define KF_AGENT_SOON 2 /* seconds, for what is expected to happen any moment */

/* A timer that is to run out in so many seconds; 0: as it is. */
struct kf_agent_timers {
	unsigned api, node, check;
};

struct kf_agent_state {
	const struct kf_agent_options *options;
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

	struct kf_agent_timers timers; /* the loop sets them, and clears this */
};

/* ---- the Node object (cluster.c) ---- */

/* It is to be read and written, as soon as possible. */
void kf_agent_urge(struct kf_agent_state *s);
/* The phase changes to one in which the node is touched, once the Node object says so. */
void kf_agent_claim(struct kf_agent_state *s, enum kf_phase phase, enum kf_work work,
		    const char *detail);
/* What is to be said now, into s->sent. */
void kf_agent_order_api(struct kf_agent_state *s);
/* What came of it at @now; NULL: nothing, and @error says why. */
void kf_agent_take_api(struct kf_agent_state *s, const struct kf_api_result *result,
		       const char *error, time_t now);

/* ---- the node (node.c) ---- */

/* What is to be done now, into s->order. */
void kf_agent_order_node(struct kf_agent_state *s);
/* What came of it at @now.  True: the node is as it should be, and result->watch is current. */
bool kf_agent_take_node(struct kf_agent_state *s, const struct kf_work_result *result, time_t now);
/* It could not even be tried. */
void kf_agent_node_failed(struct kf_agent_state *s, const char *message);
/* The time of its timer has come: what failed or is not finished is due again. */
void kf_agent_retry_node(struct kf_agent_state *s);
/* Somebody changed a file, or the time has come to look. */
void kf_agent_want_check(struct kf_agent_state *s);

#endif

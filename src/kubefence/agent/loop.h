/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_AGENT_LOOP_H
#define KF_KUBEFENCE_AGENT_LOOP_H

#include "event/job.h"
#include "event/watch.h"
#include "kubefence/agent/agent.h"

#include <event2/event.h>
#include <time.h>

/* Between the parts of the agent's loop (agent.c, agent_cluster.c, agent_node.c). */

#define KF_AGENT_SOON 2 /* seconds, for what is expected to happen any moment */

struct kf_agent {
	const struct kf_agent_options *options;
	struct event_base *base;
	struct kf_host host;
	struct event *signals[2], *api_timer, *node_timer, *plugin_timer, *check_timer, *end_timer;
	struct kf_watch *watch;
	struct kf_jobs jobs;
	struct event *jobs_ended;
	struct kf_job node_job, api_job, plugin_job;

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
	char ready_message[400]; /* "REASON: MESSAGE" */
	time_t ready_written;
};

/* The kinds of jobs, in the order of agent.c's table. */
enum { KF_AGENT_NODE_JOB, KF_AGENT_API_JOB, KF_AGENT_PLUGIN_JOB };

/* Look at the facts and start what is to be done next. */
void kf_agent_steer(struct kf_agent *a);
time_t kf_agent_clock(void);
void kf_agent_after(struct event *timer, unsigned seconds);

/* agent_cluster.c: the Node object is to be read and written, as soon as possible. */
void kf_agent_urge(struct kf_agent *a);
/* The phase changes to one in which the node is touched, once the Node object says so. */
void kf_agent_claim(struct kf_agent *a, enum kf_phase phase, enum kf_work work, const char *detail);
void kf_agent_start_api(struct kf_agent *a);
void kf_agent_on_api_timer(evutil_socket_t fd, short what, void *ctx);

/* agent_node.c: do a->next. */
void kf_agent_start_node(struct kf_agent *a);
void kf_agent_on_node_timer(evutil_socket_t fd, short what, void *ctx);
void kf_agent_on_check_timer(evutil_socket_t fd, short what, void *ctx);
/* Somebody changed a file. */
void kf_agent_on_change(void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One worker: started, given sockets, its records taken, its end seen. */
#ifndef KF_EGRESS_NODE_CHILD_H
#define KF_EGRESS_NODE_CHILD_H

#include "base/err.h"
#include "base/limits.h"
#include "egress-node/trail.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct kf_pod_worker;

struct kf_pod_worker_options {
	const char *program, *ca, *pod;
	int netns;     /* of its sockets, borrowed while the worker lives; -1: this process's own */
	uint32_t mark; /* of these; not set on those of this process's namespace */
	const int *listeners;
	unsigned nlisteners;
	const int *secrets;
	unsigned nsecrets;
	const char *resolver; /* ADDRESS,ADDRESS */
	const char *rules;
	size_t nrules;
	uid_t uid;
	gid_t gid;
	unsigned connections;
};

/* Called when the worker has asked for the first time: it is confined and serves; and when it must
 * be ended, since it breaks what was agreed on. */
struct kf_pod_worker_events {
	void (*serves)(void *ctx);
	void (*broken)(void *ctx, const char *why);
	void *ctx;
};

/* Start one; @events is copied, @options is not needed afterwards but for the namespace. */
int kf_pod_worker_start(struct event_base *base, const struct kf_pod_worker_options *options,
			struct kf_trail *trail, const struct kf_pod_worker_events *events,
			struct kf_pod_worker **ret, struct kf_err *err);
pid_t kf_pod_worker_pid(const struct kf_pod_worker *worker);
/* Kill it, if it is still there (@alive), and wait for that.  NULL is fine. */
void kf_pod_worker_end(struct kf_pod_worker *worker, bool alive);

#endif

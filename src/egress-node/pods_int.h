/* SPDX-License-Identifier: Apache-2.0 */
/* Between the file about one pod (pod.c) and the one about all (pods.c). */
#ifndef KF_EGRESS_NODE_PODS_INT_H
#define KF_EGRESS_NODE_PODS_INT_H

#include "egress-node/child.h"
#include "egress-node/pods.h"
#include "egress/rules.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define KF_POD_LISTENERS 2 /* 127.0.0.1 and ::1 */

struct kf_watch;

struct kf_pod_waiter {
	struct kf_pod_waiter *next;
	kf_pods_answer *answer;
	void *ctx;
	const char *word;
};

struct kf_pod {
	struct kf_pod *next;
	struct kf_pods *pods;
	struct kf_egress_pod about; /* with its mark */
	unsigned slot;
	int netns, listeners[KF_POD_LISTENERS], secrets[KF_LIMIT_EGRESS_DIRS];
	unsigned nlisteners;
	bool closed; /* the table is there */
	bool serves, served, adopted;
	struct kf_pod_worker *worker;
	struct event *timer; /* of the start, or until the next one */
	unsigned retry;
	time_t since;
	struct kf_pod_waiter *waiters;
};

struct kf_pods {
	struct event_base *base;
	struct kf_pods_options options;
	struct kf_trail *trail;
	struct kf_pod *first;
	unsigned n;
	int dir;
	struct kf_watch *watch;
	struct event *check, *child;
	bool slots[KF_PODS_MAX];
};

/* Keep what a later parent needs; remove it. */
int kf_pod_write_record(const struct kf_pod *pod, struct kf_err *err);
void kf_pod_drop_record(const struct kf_pod *pod);

/* @answer is called when the pod serves, or never will. */
int kf_pod_add_waiter(struct kf_pod *pod, kf_pods_answer *answer, void *ctx, const char *word,
		      struct kf_err *err);

/* Whether the namespace @fd is the one that *about says. */
int kf_pod_check_namespace(const struct kf_egress_pod *about, int fd, struct kf_err *err);
/* Open the Secret's directory by its path, as a later parent will find it; @fd: the same directory
 * as the guard has it, or -1. */
int kf_pod_open_secret(const char *path, int fd, int *ret, struct kf_err *err);

/* All that a pod needs, as far as it is not there yet. */
int kf_pod_start(struct kf_pod *pod, struct kf_err *err);
void kf_pod_stop_worker(struct kf_pod *pod, bool alive);
/* A worker does not serve any more, or has ended, or could not be started: try again, or tell those
 * who wait for a new pod and free it. */
void kf_pod_broken(void *ctx, const char *why);
void kf_pod_failed(struct kf_pod *pod, const char *why);
/* The timer of the start, or of the next one. */
void kf_pod_on_timer(int fd, short what, void *ctx);

/* Close the @n descriptors at @fds, of which those that are -1 are closed already. */
void kf_pod_close_all(int *fds, unsigned n);
/* Take the pod from its list and free it; what closes it stays in its namespace as long as that is
 * there. */
void kf_pod_free(struct kf_pod *pod);

#endif

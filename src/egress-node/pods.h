/* SPDX-License-Identifier: Apache-2.0 */
/* The pods that have a worker, from the guard's first word about them to their end. */
#ifndef KF_EGRESS_NODE_PODS_H
#define KF_EGRESS_NODE_PODS_H

#include "base/err.h"
#include "egress-node/trail.h"
#include "egress/pod.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct event;
struct event_base;

#define KF_PODS_MAX 1024 /* a kubelet runs 110 unless told otherwise, 500 at most in practice */

/* What a worker is started with, and where. */
struct kf_pods_options {
	const char *dir;	   /* for records of pods, KF_EGRESS_DIR/pods */
	const char *worker;	   /* the program */
	const char *ca;		   /* certificates, PEM */
	const char *const *refuse; /* "RANGE WORD", each a line of the rules */
	unsigned nrefuse;
	const char *const *resolvers; /* addresses of name servers that pods may have */
	unsigned nresolvers;
	unsigned connections; /* of one pod */
	uid_t first_uid;      /* each worker has its own, from this one on */
	uint16_t port;
	bool from_here; /* workers reach hosts from this process's network, not from the pod's */
};

struct kf_pods;
struct kf_pod;

/* Called when a pod that was asked for serves (@err->code is 0), or never will. */
typedef void kf_pods_answer(void *ctx, const char *word, const struct kf_err *err);

int kf_pods_new(struct event_base *base, const struct kf_pods_options *options,
		struct kf_trail *trail, struct kf_pods **ret, struct kf_err *err);
/* End all workers; the pods stay closed, and their records stay for the next parent. */
void kf_pods_free(struct kf_pods *pods);

/* Take up the pods of an earlier parent.  Those that are no more are forgotten; what is wrong with
 * one of them is logged and tried again. */
int kf_pods_adopt(struct kf_pods *pods, struct kf_err *err);

/* Close the pod that the @n bytes at @text are about and serve it.  @fds, which are taken: its
 * network namespace and directories.  -1 and *err if that cannot be; else @answer is called, now or
 * later, with @ctx, unless kf_pods_forget() takes that back. */
int kf_pods_open(struct kf_pods *pods, const char *text, size_t n, int *fds, unsigned nfds,
		 kf_pods_answer *answer, void *ctx, struct kf_err *err);
void kf_pods_forget(struct kf_pods *pods, void *ctx);

unsigned kf_pods_count(const struct kf_pods *pods);
/* How many of them have a worker that serves. */
unsigned kf_pods_serving(const struct kf_pods *pods);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_DENIALS_DENIALS_H
#define KF_KUBEFENCE_DENIALS_DENIALS_H

#include "base/buf.h"
#include "base/err.h"
#include "config/denials.h"
#include "denial/denial.h"
#include "kubefence/options.h"

#include <stdbool.h>

/* kubefence denials: what sandboxes of this node refuse. */

#define KF_GUARD_RECORDS "/run/kubefence/guard"

/* The egress broker's log (egress-node/serve.c). */
#define KF_EGRESS_LOG	 "/run/kubefence/egress/connections.log"
#define KF_EGRESS_LINES	 (64 * 1024) /* a piece of it and one line, which has 2 KiB */

struct kf_denials_options {
	const char *dir;    /* KF_DENIALS_DIR */
	const char *listen; /* for metrics; NULL: none */
	bool events;	    /* tell the pods' Kubernetes Events */
	enum kf_output output;
	unsigned window; /* seconds */
};

/* Read the audit log until the program is told to end.  Returns an exit code. */
int kf_denials_run(const struct kf_denials_options *options, struct kf_err *err);

/* The process that writes Events, and what is told to it. */
struct kf_denials_waiting;
struct kf_denials_events {
	int fd; /* -1: there is none */
	int pid;
	struct kf_who_table *owners;
	struct kf_denials_waiting *waiting; /* for their containers' next Events */
	size_t nwaiting;
	uint64_t sent, dropped;
};
/* Start it; to be called before this process gives up its rights. */
int kf_denials_events_start(struct kf_denials_events *events, struct kf_err *err);
/* Keep @denial for its container's next Event. */
void kf_denials_events_tell(struct kf_denials_events *events, const struct kf_denial *denial);
/* To be called once a second: ask for the Events that there may be now.  Never waits. */
void kf_denials_events_tick(struct kf_denials_events *events, uint64_t now);
void kf_denials_events_stop(struct kf_denials_events *events);

/* The file of the last denials. */
struct kf_denials_file {
	int dirfd, fd;
	size_t n;
};
int kf_denials_file_open(const char *dir, struct kf_denials_file *ret, struct kf_err *err);
int kf_denials_file_add(struct kf_denials_file *file, const char *text, size_t n,
			struct kf_err *err);
void kf_denials_file_close(struct kf_denials_file *file);

/* The egress broker's log of connections, from its end on. */
struct kf_denials_egress {
	int fd; /* -1: there is none yet */
	bool begun;
	struct kf_buf rest; /* a line that is not complete */
};
/* Call @refused for each line that came since the last call and is about a refusal, at most some
 * hundred. */
void kf_denials_egress_read(struct kf_denials_egress *egress, struct kf_who_table *owners,
			    void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx);
void kf_denials_egress_close(struct kf_denials_egress *egress);
/* Call @refused for each refusal in the log that is open at @fd, from where that is; nobody writes
 * it any more. */
int kf_denials_egress_all(int fd, void (*refused)(void *ctx, const struct kf_denial *denial),
			  void *ctx, struct kf_err *err);

#endif

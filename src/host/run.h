/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_HOST_RUN_H
#define KF_HOST_RUN_H

#include "host/host.h"

/* A line of a runtime's log, with its time and level, and the end of our message around it. */
#define KF_RUN_WHY 448

/* What a program of the host's said and how it ended. */
struct kf_run {
	int status; /* exit code, or 128 + signal */
	char *out;  /* standard output, NUL-terminated */
	size_t n;
	char why[KF_RUN_WHY]; /* the last line of its standard error, for messages */
};

/* Run @argv (argv[0] is absolute on the host; NULL-terminated; no shell) in a
 * chroot of the host's root with a plain environment, and wait.  It and what it
 * started are killed after @timeout_ms or when it says more than @max bytes;
 * that is an error, as is not being able to start it.  An exit code is not. */
int kf_run_host(const struct kf_host *host, const char *const *argv, unsigned timeout_ms,
		size_t max, struct kf_run *ret, struct kf_err *err);
/* The same with one more environment @variable ("NAME=VALUE"; NULL = none). */
int kf_run_host_with(const struct kf_host *host, const char *variable, const char *const *argv,
		     unsigned timeout_ms, size_t max, struct kf_run *ret, struct kf_err *err);
void kf_run_done(struct kf_run *run);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Running programs of the host. */
#ifndef KF_HOST_RUN_H
#define KF_HOST_RUN_H

#include "host/host.h"

/* Room for a line of a runtime's log with its time and level: the rest of an error's message is for
 * our own text. */
#define KF_RUN_WHY 448

/* The output of a host's program, and how it ended. */
struct kf_run {
	int status; /* exit code, or 128 + signal */
	char *out;  /* standard output, NUL-terminated */
	size_t n;
	char why[KF_RUN_WHY]; /* the last line of its standard error, for messages */
};

/* Run @argv (argv[0] is absolute on the host; NULL-terminated; no shell) in a chroot of the host's
 * root with a plain environment, and wait.  The program and its children are killed after
 * @timeout_ms, or if the output is longer than @max bytes; that is an error, and so is a program
 * that cannot be started.  An exit code is not an error. */
int kf_run_host(const struct kf_host *host, const char *const *argv, unsigned timeout_ms,
		size_t max, struct kf_run *ret, struct kf_err *err);
/* The same with one more environment @variable ("NAME=VALUE"; NULL = none). */
int kf_run_host_with(const struct kf_host *host, const char *variable, const char *const *argv,
		     unsigned timeout_ms, size_t max, struct kf_run *ret, struct kf_err *err);
void kf_run_done(struct kf_run *run);

#endif

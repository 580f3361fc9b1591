/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes the guard has had started in which containers, for whoever finds such a process
 * in the kernel's audit log. */
#ifndef KF_CONFIG_STARTED_H
#define KF_CONFIG_STARTED_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* One slot for each process ID modulo KF_STARTED_SLOTS: the last processes that entered containers.
 * No lock, no list that grows, and nothing to be cleaned up.  A container's first process is in the
 * container's record as well, for as long as the container is there. */
#define KF_STARTED_FILE	 "/run/kubefence/started"
#define KF_STARTED_SLOTS 4096
#define KF_STARTED_SIZE	 1024

/* The names that Kubernetes gave the container, "" if the guard was not told any. */
struct kf_started {
	pid_t pid; /* as the node's root sees it */
	const char *id, *namespace_, *pod, *uid, *container, *profile;
};

/* Note that @started has entered its container.  What is too long for a slot is an error. */
int kf_started_write(const char *file, const struct kf_started *started, struct kf_err *err);

/* What is noted about @pid in the file @fd, which strings in @text then hold; false if nothing. */
bool kf_started_read(int fd, pid_t pid, char text[static KF_STARTED_SIZE], struct kf_started *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Watching what the processes of a container use, by seccomp's user notification: on each kernel,
 * without tracing, and whatever a sandbox then says to the call. */
#ifndef KF_KUBEFENCE_LEARN_WATCH_H
#define KF_KUBEFENCE_LEARN_WATCH_H

#include "learn/learn.h"
#include "seccomp/seccomp.h"

#include <sys/types.h>

struct learn_watch {
	pid_t pid; /* the watcher's; 0: none */
	int lines; /* what it has seen, when it has ended */
	int over;  /* closed when the container has ended */
	char socket[108];
};

/* Start the watcher, which listens at @dir/watch.sock. */
int learn_watch_start(const char *dir, struct learn_watch *ret, struct kf_err *err);
/* The policy with which a container tells it of its calls, borrowed from @watch and static data. */
void learn_watch_policy(const struct learn_watch *watch, struct kf_seccomp *ret);
/* Wait until it has seen the end of all processes, and read what they used. */
int learn_watch_finish(struct learn_watch *watch, struct kf_learn *learn, struct kf_err *err);

#endif

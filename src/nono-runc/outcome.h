/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_OUTCOME_H
#define KF_NONO_RUNC_OUTCOME_H

#include "base/err.h"

/* Whether the launcher could start the program.  The launcher holds the writing end of a pipe,
 * which execve(2) closes; if it cannot start the program, it writes the reason first. */

/* For "create": a pipe with a name beside the domain file of container @id, for the "start" that
 * comes later; its descriptor, for the launcher, in *ret_write.  @label: see kf_launch_label().
 * If a container of the same key exists already, that keeps its own, and *ret_write is stderr. */
int kf_outcome_create(const char *root, const char *id, const char *label, int *ret_write,
		      struct kf_err *err);
/* For "start": the reading end in *ret_read, -1 for a container that was created without. */
int kf_outcome_open(const char *root, const char *id, int *ret_read, struct kf_err *err);
/* The container has gone. */
void kf_outcome_drop(const char *root, const char *id);

/* For a process that is started at once: both ends. */
int kf_outcome_pipe(int *ret_read, int *ret_write, struct kf_err *err);
/* For one that the runtime waits for, its caller looking on: our stderr in *ret_write. */
int kf_outcome_stderr(int *ret_write, struct kf_err *err);

/* Wait until the launcher has told, KF_OUTCOME_WAIT seconds at most: what takes longer has not
 * failed, and is inside the sandbox or on its way there.  -1 and the launcher's reason in *err
 * if the program could not be started. */
#define KF_OUTCOME_WAIT 10
int kf_outcome_read(int fd, struct kf_err *err);

#endif

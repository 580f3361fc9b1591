/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_STARTED_H
#define KF_NONO_RUNC_STARTED_H

#include "base/arena.h"
#include "nono-runc/cmdline.h"

/* Note which process has been started in which container (config/started.h): the kernel's audit
 * log knows a sandbox by the process that entered it.  This is for those who watch; a start never
 * fails because it cannot be noted. */

/* Where the runtime of @cmd, a "create", writes the ID of the first process: absolute, "" if it is
 * not told to. */
const char *kf_started_pid_file(const struct kf_cmdline *cmd, struct kf_arena *arena);
/* For "start": the process exists and is about to run its program. */
void kf_started_first(const struct kf_cmdline *cmd);
/* For "exec" and "run" behind which the runtime has come back: the process runs. */
void kf_started_later(const struct kf_cmdline *cmd);

#endif

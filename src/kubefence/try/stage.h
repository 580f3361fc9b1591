/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_TRY_STAGE_H
#define KF_KUBEFENCE_TRY_STAGE_H

#include "base/err.h"

#include <sys/types.h>

/* The place of one "kubefence try": a tmpfs in a mount namespace of its own, so that nothing is
 * left behind, however the command ends. */
#define TRY_PID_FILE "pid" /* in it: of the container's first process */

struct try_stage {
	char dir[64]; /* mount point; outside of the namespace an empty directory in /tmp */
	pid_t owner;  /* who removes it */
};

/* Enter a private mount namespace and mount the stage.  Needs root. */
int try_stage_init(struct try_stage *stage, struct kf_err *err);
void try_stage_done(struct try_stage *stage);

/* Make @dir/rootfs: an overlay over @lower, which is not changed. */
int try_stage_rootfs(const struct try_stage *stage, const char *lower, struct kf_err *err);

/* Copy the file @from to the stage as @to (relative; its directory is made). */
int try_stage_copy(const struct try_stage *stage, const char *from, const char *to, mode_t mode,
		   struct kf_err *err);

/* Copy program @name from the directory of our own executable to the stage as
 * @to (relative), mode 0755. */
int try_stage_program(const struct try_stage *stage, const char *name, const char *to,
		      struct kf_err *err);

/* Write text file @name (relative; its directory is made). */
int try_stage_file(const struct try_stage *stage, const char *name, const char *text,
		   struct kf_err *err);

#endif

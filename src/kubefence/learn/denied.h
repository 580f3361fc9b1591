/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's audit log says was denied to one container, from before it starts until after
 * it has ended. */
#ifndef KF_KUBEFENCE_LEARN_DENIED_H
#define KF_KUBEFENCE_LEARN_DENIED_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct learn_denied {
	pid_t pid;	   /* the process that reads the log */
	int control, text; /* it ends with the first; what it found */
};

/* Begin to read, before the container starts. */
int learn_denied_start(struct learn_denied *ret, struct kf_err *err);
/* The denials, as lines of JSON, of the sandbox that the process entered whose number is in the
 * file @pid_file; once it has ended.  *ret_lost: records were lost meanwhile, of whomever. */
int learn_denied_finish(struct learn_denied *denied, const char *pid_file, struct kf_buf *out,
			bool *ret_lost, struct kf_err *err);

#endif

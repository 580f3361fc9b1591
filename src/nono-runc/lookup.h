/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_LOOKUP_H
#define KF_NONO_RUNC_LOOKUP_H

#include "base/err.h"
#include "oci/view.h"

/* Fail, with the launcher's words, if @program (args[0] as the workload has it) certainly cannot be
 * started in the container @oci whose root directory is @rootfs: so that "create" fails, as it
 * does with the runtime alone.  What only the finished container can tell - a mount or a hook may
 * bring the program - is left to the launcher. */
int kf_lookup_program(struct kf_oci *oci, const char *program, int rootfs, struct kf_err *err);

#endif

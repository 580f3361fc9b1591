/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_PROOF_H
#define KF_SANDBOX_PROOF_H

#include "base/err.h"

#include <stdbool.h>

/* That this process is inside the sandbox, shown without believing any system call's return
 * value: by what the kernel writes into memory about it, and by what worked before and does not
 * any more. */
#define KF_PROOF_REFUSED 2

struct kf_proof {
	int status;	  /* /proc/self/status */
	unsigned filters; /* seccomp programs before */
	bool waits;	  /* they were counted */
	bool works[KF_PROOF_REFUSED];
};

/* Before the sandbox is entered.  @filter: a seccomp program is going to be added before
 * kf_proof_end().  @writable: the policy may let this process write /proc/self; that it cannot
 * rename anything there is shown all the same. */
int kf_proof_begin(struct kf_proof *proof, bool filter, bool writable, struct kf_err *err);
/* Inside.  Whatever is not as it must be is an error. */
int kf_proof_end(const struct kf_proof *proof, struct kf_err *err);

#endif

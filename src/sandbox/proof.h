/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_PROOF_H
#define KF_SANDBOX_PROOF_H

#include "base/err.h"

#include <stdbool.h>

/* The proof that this process is inside the sandbox.  It does not depend on a system call's return
 * value, which a filter could fake, but on what the kernel writes into memory about the process,
 * and on actions that worked before and do not any more. */
#define KF_PROOF_REFUSED 2

struct kf_proof {
	int status;	  /* /proc/self/status */
	unsigned filters; /* seccomp programs before */
	bool waits;	  /* whether @filters was read */
	bool works[KF_PROOF_REFUSED];
};

/* To be called before the sandbox is entered.  @filter: a seccomp program will be added before
 * kf_proof_end().  @writable: the policy may let this process write /proc/self; it still must not
 * be able to rename anything there. */
int kf_proof_begin(struct kf_proof *proof, bool filter, bool writable, struct kf_err *err);
/* To be called inside.  Anything that is not as it must be is an error. */
int kf_proof_end(const struct kf_proof *proof, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_LAUNCHER_H
#define KF_SECCOMP_LAUNCHER_H

#include "seccomp/seccomp.h"

/* What the launcher calls between its own first instruction and the workload's, for
 * where a policy of the pod's is in force by then and could answer in the kernel's place. */

enum kf_launcher_use {
	KF_CALL_NEEDED,	  /* fails without it, or takes every answer for the truth */
	KF_CALL_OPTIONAL, /* knows EPERM and ENOSYS for a refusal, and does without */
};

struct kf_launcher_call {
	const char *name;
	enum kf_launcher_use use;
	const char *place; /* FILE:FUNCTION below src/, or "libc" */
};

/* All of them on this machine's architecture; constant data. */
const struct kf_launcher_call *kf_launcher_calls(size_t *ret_n);

/* Names of those calls that @policy could answer, for some arguments, in a way that stops
 * or deceives the launcher: by anything but letting them pass; an optional one may also
 * fail with EPERM or ENOSYS.  Which arguments a rule is about is not looked at: any rule
 * counts, and the default action unless a rule without arguments decides.  Separated by
 * ", ", in @arena; "" if there is none, NULL when out of memory. */
const char *kf_seccomp_launcher_denied(const struct kf_seccomp *policy, struct kf_arena *arena);

#endif

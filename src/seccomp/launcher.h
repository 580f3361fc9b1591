/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_LAUNCHER_H
#define KF_SECCOMP_LAUNCHER_H

#include "seccomp/seccomp.h"

/* The system calls that the launcher makes between its first instruction and the workload's: a
 * policy of the pod's may be in force by then, and could answer in the kernel's place. */

enum kf_launcher_use {
	KF_CALL_NEEDED,	  /* fails without it, or believes every answer */
	KF_CALL_OPTIONAL, /* goes on after EPERM or ENOSYS */
};

struct kf_launcher_call {
	const char *name;
	enum kf_launcher_use use;
	const char *place; /* FILE:FUNCTION below src/, or "libc" */
};

/* All of them on this machine's architecture; constant data. */
const struct kf_launcher_call *kf_seccomp_launcher_calls(size_t *ret_n);

/* Names of the calls that @policy could answer in a way that stops or deceives the launcher,
 * whatever their arguments: by anything but letting them pass, or, if the call is optional, with
 * EPERM or ENOSYS.  The arguments of rules are not looked at: each rule counts, and so does the
 * default action unless a rule without arguments decides.  Separated by ", ", in @arena; "" if
 * there is none, NULL when out of memory. */
const char *kf_seccomp_launcher_denied(const struct kf_seccomp *policy, struct kf_arena *arena);

#endif

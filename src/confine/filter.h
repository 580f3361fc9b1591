/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's seccomp program, from the lists of calls of its parts. */
#ifndef KF_CONFINE_FILTER_H
#define KF_CONFINE_FILTER_H

#include "base/calls.h"
#include "base/err.h"

#include <linux/filter.h>

#define KF_CONFINE_PROGRAM_MAX 1024
#define KF_CONFINE_CALLS_MAX   256

/* Write into @prog, which has room for KF_CONFINE_PROGRAM_MAX instructions, the program that allows
 * what @calls name and refuses everything else with @refuse (a SECCOMP_RET_ value).  Calls of
 * another architecture end the process.  Returns the length, or 0 if the program is too long. */
size_t kf_confine_program(const struct kf_calls *const *calls, size_t n, uint32_t refuse,
			  struct sock_filter *prog);

/* Install it; no_new_privs is set.  In a debug build a refused call is named on standard error. */
int kf_confine_filter(const struct kf_calls *const *calls, size_t n, struct kf_err *err);

#endif

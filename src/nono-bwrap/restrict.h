/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BWRAP_RESTRICT_H
#define KF_BWRAP_RESTRICT_H

#include "base/err.h"
#include "nono-bwrap/options.h"

/* Give up the capabilities that @b names, or all where bubblewrap's program would have none. */
int kf_bwrap_drop_caps(const struct kf_bwrap *b, struct kf_err *err);

/* Refuse the system calls that a namespace would have made harmless; no_new_privs must be set. */
int kf_bwrap_filter_calls(const struct kf_bwrap *b, struct kf_err *err);

/* Install the seccomp programs of the command line.  execve(2) is under them. */
int kf_bwrap_add_filters(const struct kf_bwrap *b, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_KERNEL_H
#define KF_DENIAL_KERNEL_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* The kernel's audit log. */

/* A socket that receives what is logged, beside whoever else does.  Needs CAP_AUDIT_READ and
 * the node's network namespace: elsewhere nothing ever arrives. */
int kf_audit_open(int *ret_fd, struct kf_err *err);
/* The system calls for reading it. */
extern const struct kf_calls kf_audit_calls;

/* Called for each record, whose text is NUL-terminated. */
typedef void kf_audit_fn(void *ctx, unsigned type, const char *text);
/* Read what has arrived, at most some hundred records.  1 if there may be more, 0 if not; -1 on
 * failure.  *ret_overrun: some were lost, because they were not read in time. */
int kf_audit_read(int fd, kf_audit_fn *fn, void *ctx, bool *ret_overrun, struct kf_err *err);

#define KF_AUDIT_LOCKED 2 /* on, until the next boot */

struct kf_audit_status {
	uint32_t enabled; /* 0 off, 1 on, KF_AUDIT_LOCKED */
	uint32_t pid;	  /* of the audit daemon; 0: none */
	uint32_t backlog_limit, lost;
};
/* Needs CAP_AUDIT_CONTROL. */
int kf_audit_status(struct kf_audit_status *ret, struct kf_err *err);
/* Turn the log on, or off; needs CAP_AUDIT_CONTROL.  If it is on already, nothing is changed: then
 * somebody else has set it up.  *ret_changed tells. */
int kf_audit_turn(bool on, bool *ret_changed, struct kf_err *err);

#endif

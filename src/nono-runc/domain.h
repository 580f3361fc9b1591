/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_DOMAIN_H
#define KF_NONO_RUNC_DOMAIN_H

#include "base/err.h"
#include "nono-runc/program.h"

#include <stddef.h>

/* The containers' domain files (sandbox/domain.h), named like their records. */
#define KF_DOMAIN_DIR "/run/kubefence/domain"

/* Make the domain file of a container that is about to be created, locked until its first
 * process has decided: its descriptor, for the launcher, in *ret_fd.  If a container of the same
 * key exists already, its file stays: the runtime is going to refuse this one. */
int kf_domain_create(const char *root, const char *id, const char *policy, size_t npolicy,
		     const struct kf_program *program, int *ret_fd, struct kf_err *err);

/* The domain file of a container that a process is to enter, for reading, in *ret_fd.  Waits
 * until the first process has decided, KF_DOMAIN_WAIT seconds at most. */
#define KF_DOMAIN_WAIT 10
int kf_domain_enter(const char *root, const char *id, int *ret_fd, struct kf_err *err);

/* The container has gone. */
void kf_domain_drop(const char *root, const char *id);

#endif

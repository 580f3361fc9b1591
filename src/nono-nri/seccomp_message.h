/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_SECCOMP_MESSAGE_H
#define KF_NONO_NRI_SECCOMP_MESSAGE_H

#include "base/arena.h"
#include "policy/seccomp.h"

#include <nri/nri.h>

/* Seccomp policies to and from NRI's message.  Strings are borrowed in both
 * directions; everything else lives in @arena.  -1 when memory runs out. */
int kf_seccomp_from_message(const Nri__LinuxSeccomp *msg, struct kf_arena *arena,
			    struct kf_seccomp *ret);
int kf_seccomp_to_message(const struct kf_seccomp *policy, struct kf_arena *arena,
			  Nri__LinuxSeccomp *ret);

#endif

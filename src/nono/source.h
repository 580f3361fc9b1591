/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_SOURCE_H
#define KF_NONO_SOURCE_H

#include "base/err.h"
#include "flat/flat.h"
#include "sandbox/domain.h"

#include <stdint.h>

/* Where the launcher itself came from. */
struct kf_nono_self {
	char *dir;   /* of the executable, "" if it has none (memfd) */
	int exec_fd; /* descriptor it was executed through, -1 if by a path */
};

int kf_nono_self_find(struct kf_nono_self *ret, struct kf_err *err);

/* The policy @profile: from @policy_fd if that is >= 0, else from the file
 * profiles/PROFILE beside the launcher, else the built-in - the latter only if
 * there is no such directory.  Nothing else is ever consulted.  The descriptor may be one of a
 * domain file: *ret_domain is that then, else all zero. */
int kf_nono_source_policy(const struct kf_nono_self *self, const char *profile, int policy_fd,
			  struct kf_policy *ret, struct kf_domain *ret_domain, struct kf_err *err);

/* The policy that this container's first process got, and *ret_start what its variables stand
 * for, as the guard has put them beside the launcher: lines "uid N" and "NAME=/PATH".  1 if there
 * is none. */
int kf_nono_source_in_force(const struct kf_nono_self *self, struct kf_policy *ret,
			    char **ret_start, struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which name servers a pod's worker may ask.  A pod's owner chooses the pod's (dnsConfig), and
 * whoever answers a question about a name decides which address that name leads to. */
#ifndef KF_EGRESS_NODE_TRUSTED_H
#define KF_EGRESS_NODE_TRUSTED_H

#include "base/err.h"
#include "egress/pod.h"

#include <stdbool.h>

#define KF_TRUSTED_CONF "/etc/resolv.conf"
#define KF_TRUSTED_MAX	64

/* Whether @text is the address of a name server that can be trusted: none of the pod's own. */
bool kf_trusted_valid(const char *text);

/* Leave @pod those of its name servers that are among the @n of @named or in the resolv.conf at
 * @conf, which may not be there.  -1 and *err if none is left. */
int kf_trusted_keep(struct kf_egress_pod *pod, const char *const *named, unsigned n,
		    const char *conf, struct kf_err *err);

#endif

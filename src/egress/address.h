/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a name may lead to. */
#ifndef KF_EGRESS_ADDRESS_H
#define KF_EGRESS_ADDRESS_H

#include "egress/rules.h"

#include <sys/socket.h>

/* Whether the broker may dial @address, of AF_INET or AF_INET6.  If not, *ret_what says in a word
 * what it is ("private", "metadata"); a text that lives as long as @rules. */
bool kf_egress_address_ok(const struct kf_egress_rules *rules, const struct sockaddr *address,
			  const char **ret_what);

#endif

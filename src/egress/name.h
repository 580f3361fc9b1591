/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts, as the pod, the rules and a TLS hello write them. */
#ifndef KF_EGRESS_NAME_H
#define KF_EGRESS_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define KF_EGRESS_NAME_MAX 253

enum kf_egress_name_form {
	KF_EGRESS_NAME_BAD,	/* no host's name */
	KF_EGRESS_NAME_HOST,	/* labels of letters, digits, '-' and '_', the last not a number */
	KF_EGRESS_NAME_ADDRESS, /* an address as inet_ntop() writes it */
	KF_EGRESS_NAME_NUMBER, /* something that a resolver takes for an address: 2130706433, 0x7f.1
				*/
};

/* What the @n bytes at @s are.  *ret has the name in lower case without the dot at its end, an IPv6
 * address without brackets, unless it is BAD or a NUMBER. */
enum kf_egress_name_form kf_egress_name_read(const char *s, size_t n,
					     char ret[static KF_EGRESS_NAME_MAX + 1]);

#endif

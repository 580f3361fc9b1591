/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS ClientHello with which a tunnel begins, and the host that it names. */
#ifndef KF_EGRESS_HELLO_H
#define KF_EGRESS_HELLO_H

#include "egress/name.h"
#include "egress/reason.h"

#include <stdint.h>
#include <sys/types.h>

/* Records and headers of a hello as long as TLS' largest record; real ones have 2 KiB at most. */
#define KF_EGRESS_HELLO_MAX (16 * 1024 + 1024)

/* Read a hello from the @n bytes at @p.  Returns how many bytes it has, with the frames of its
 * records, and the name in @ret, "" if it has none; 0 if more must come; -1 and *ret_reason if the
 * tunnel is to be refused. */
ssize_t kf_egress_hello_read(const uint8_t *p, size_t n, char ret[static KF_EGRESS_NAME_MAX + 1],
			     enum kf_egress_reason *ret_reason);

enum kf_egress_hello_next {
	KF_EGRESS_HELLO_MORE,  /* not enough bytes to tell */
	KF_EGRESS_HELLO_OTHER, /* something else: there is no other hello in this tunnel */
	KF_EGRESS_HELLO_AGAIN, /* another hello, which a server asked for; it may name another host
				*/
	KF_EGRESS_HELLO_WRONG, /* not TLS */
};

/* What follows a hello.  *ret_skip is how many bytes lie before it. */
enum kf_egress_hello_next kf_egress_hello_next(const uint8_t *p, size_t n, size_t *ret_skip);

#endif

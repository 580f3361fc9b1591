/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to name servers and what they answer (RFC 1035): addresses of one name. */
#ifndef KF_EGRESS_DNS_H
#define KF_EGRESS_DNS_H

#include "egress/name.h"

#include <stdint.h>
#include <sys/socket.h>

#define KF_EGRESS_DNS_QUERY_MAX	    512
#define KF_EGRESS_DNS_ANSWER_MAX    4096
#define KF_EGRESS_DNS_ADDRESSES_MAX 16

/* A message with one question for @name's addresses of @family (AF_INET, AF_INET6).  Returns its
 * length. */
size_t kf_egress_dns_query(uint16_t id, const char *name, int family,
			   uint8_t ret[static KF_EGRESS_DNS_QUERY_MAX]);

enum kf_egress_dns_result {
	KF_EGRESS_DNS_FOUND,   /* maybe no address */
	KF_EGRESS_DNS_OTHER,   /* no answer to this question: it is ignored */
	KF_EGRESS_DNS_CUT,     /* ask again by TCP */
	KF_EGRESS_DNS_MISSING, /* there is no such name */
	KF_EGRESS_DNS_FAULT,   /* the server cannot tell, or its answer cannot be read */
};

struct kf_egress_dns_answer {
	unsigned n, ttl;				    /* seconds */
	uint8_t addresses[KF_EGRESS_DNS_ADDRESSES_MAX][16]; /* the first 4 bytes for AF_INET */
};

/* Read the message of @n bytes that came for a query with these values. */
enum kf_egress_dns_result kf_egress_dns_read(const uint8_t *p, size_t n, uint16_t id,
					     const char *name, int family,
					     struct kf_egress_dns_answer *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* TLS to the upstreams of routes. */
#ifndef KF_NONO_EGRESS_WORKER_TLS_H
#define KF_NONO_EGRESS_WORKER_TLS_H

#include "base/err.h"

struct ssl_st;
struct kf_worker_tls;

/* @ca_fd: certificates of the authorities in PEM, read again and again: a descriptor that stays
 * open.  OpenSSL is initialised with the first session only: most pods have no route. */
int kf_worker_tls_new(int ca_fd, struct kf_worker_tls **ret, struct kf_err *err);
void kf_worker_tls_free(struct kf_worker_tls *tls);
/* A client's session with @host on the socket @fd, which stays the caller's, to be begun.  The
 * server needs a certificate for that name. */
int kf_worker_tls_session(struct kf_worker_tls *tls, const char *host, int fd, struct ssl_st **ret,
			  struct kf_err *err);
/* Why the certificate of @ssl is not trusted; "" if that is not what went wrong. */
const char *kf_worker_tls_distrust(const struct ssl_st *ssl);

#endif

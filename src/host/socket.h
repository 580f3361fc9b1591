/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a program serves a socket of the host's. */
#ifndef KF_HOST_SOCKET_H
#define KF_HOST_SOCKET_H

#include "host/host.h"

/* Whether a process has the stream socket @path bound.  Nothing is sent and no connection is
 * made, so nobody on the other side notices.  False for a file that was left behind. */
bool kf_socket_served(const struct kf_host *host, const char *path);
/* The same for up to @seconds; an error that says what is there instead. */
int kf_socket_wait(const struct kf_host *host, const char *path, unsigned seconds,
		   struct kf_err *err);

#endif

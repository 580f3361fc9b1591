/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a program serves a socket of the host's. */
#ifndef KF_HOST_SOCKET_H
#define KF_HOST_SOCKET_H

#include "host/host.h"

/* Whether a process has bound the stream socket @path.  Nothing is sent and no connection is made,
 * so the process does not notice.  False for a file that was left behind. */
bool kf_socket_served(const struct kf_host *host, const char *path);
/* Wait up to @seconds for that; the error says what is there instead. */
int kf_socket_wait(const struct kf_host *host, const char *path, unsigned seconds,
		   struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A network of a command's own, from which nothing leads out but the sockets that others made. */
#ifndef KF_NONO_EGRESS_CLOSED_H
#define KF_NONO_EGRESS_CLOSED_H

#include "base/err.h"

/* Put this process into a new network namespace, with a loopback that is up and nothing else; one
 * that is not root into a user namespace as well, in which it stays who it is.  It, and what it
 * executes, has no capability that leads back.  An error says what this machine does not let it
 * do. */
int kf_closed_enter(struct kf_err *err);

/* Send descriptor @fd over the socket @channel, and receive it; -1 with *err if the other side has
 * ended. */
int kf_closed_send(int channel, int fd, struct kf_err *err);
int kf_closed_receive(int channel, int *ret_fd, struct kf_err *err);

#endif

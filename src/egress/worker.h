/* SPDX-License-Identifier: Apache-2.0 */
/* What the process that serves one pod and the one that starts it agree on: arguments, descriptors,
 * the messages by which sockets are asked for, records, exit codes. */
#ifndef KF_EGRESS_WORKER_H
#define KF_EGRESS_WORKER_H

#include <stdint.h>

/* How a worker is started:
 *
 *     nono-egress worker --rules FD --control FD --records FD --listen FD [--listen FD]
 *         [--secrets FD]... --resolver ADDRESS[,ADDRESS] [--ca FD] --pod NAMESPACE/NAME/UID
 *         [--uid N --gid N] [--connections N]
 *
 * --rules     a sealed memfd, or a file, with the rules (egress/rules.h)
 * --control   one end of a SOCK_SEQPACKET pair, see below; when it ends, the worker ends
 * --records   a pipe, or a file: JSON lines, see below.  The worker never waits for it: what does
 *             not fit is counted, and the next record says so
 * --listen    listening TCP sockets on the loopback of the pod's network namespace (127.0.0.1, and
 *             ::1 where there is IPv6), non-blocking.  What is accepted there is the pod's
 * --secrets   the directories that "credential" lines name, in the order of their indexes, opened
 *             with O_PATH or O_RDONLY.  The worker's user and group must be able to read what is
 *             in them: the kubelet's files are root's, 0644 unless the pod says another
 *             defaultMode.  They are read at each request, so that a rotation is seen
 * --resolver  name servers, which answer on port 53 by UDP and TCP: the pod's
 * --ca        certificates of the authorities (PEM) that upstreams of routes are verified with;
 *             needed if there is a route
 * --pod       for the records
 * --uid, --gid  the user that the worker becomes, with no further group.  It gives up its
 *             capabilities and confines itself in any case
 * --connections  how many connections of the pod are open at most (KF_EGRESS_CONNECTIONS)
 *
 * The worker's first request on the control socket says that it is confined and serves.
 *
 * Descriptors that no option names are closed, but for 0, 1 and 2: standard error is the log.
 * Environment and working directory do not matter. */

#define KF_EGRESS_CONNECTIONS 1024
/* Where Debian and many others have the certificates of the authorities. */
#define KF_EGRESS_CA	      "/etc/ssl/certs/ca-certificates.crt"

/* The worker makes no socket: the filter of its system calls has no socket(2).  It asks, and is
 * given sockets that are made in the pod's network namespace, marked so that the rules there let
 * them out, non-blocking, close-on-exec, not bound, not connected.
 *
 * Request, worker -> parent:  struct kf_egress_ask.  One packet is one request; several may be
 *                             under way, answers come in the requests' order.
 * Answer, parent -> worker:   struct kf_egress_given, with @count descriptors by SCM_RIGHTS, at
 *                             most KF_EGRESS_GIVEN_MAX.  @count may be less than was asked for; 0
 *                             says that it cannot be done, @error why (an errno value).
 *
 * The worker keeps a supply of each kind ahead and asks when half of it is used, so that a
 * connection of the pod's does not wait for the parent. */
enum kf_egress_kind {
	KF_EGRESS_TCP4,
	KF_EGRESS_TCP6,
	KF_EGRESS_UDP4, /* to name servers */
	KF_EGRESS_UDP6,
	KF_EGRESS_KINDS
};

#define KF_EGRESS_GIVEN_MAX 16

struct kf_egress_ask {
	uint32_t kind; /* enum kf_egress_kind */
	uint32_t count;
};

struct kf_egress_given {
	uint32_t kind;
	uint32_t count; /* descriptors that come with the packet */
	uint32_t error; /* if there are none */
};

/* Records: one line for each connection through a tunnel, each request that the broker saw, and
 * each refusal, written when it is over:
 *
 *   {"time":1764355000,"pod":"NAMESPACE/NAME/UID","profile":"claude-code","name":"example.com",
 *    "port":443,"address":"192.0.2.1","route":"/x","sent":517,"received":4096,"verdict":"allowed",
 *    "reason":""}
 *
 * time      seconds since 1970
 * name      the host as the pod named it; "" if the request could not be read
 * address   dialled, or refused; "" if it came to neither
 * route     the credential route; left out if there is none
 * sent, received  bytes of the pod's and of the host's, as far as the broker passed them on
 * verdict   "allowed"; "refused": a rule, named by @reason; "failed": the network, the upstream, or
 *           the pod's own mistake in HTTP
 * reason    one of the words of egress/reason.h; "" if allowed
 *
 * A record that follows lost ones has "lost": how many.  No record has a path, a header or a
 * secret. */

/* How the worker ends. */
enum {
	KF_EGRESS_EXIT_DONE =
		0, /* SIGTERM, or the control socket's end: no egress without a parent */
	KF_EGRESS_EXIT_FAILED =
		1, /* it could not begin, or cannot go on: standard error says why */
	KF_EGRESS_EXIT_USAGE = 2,
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A pod whose only way out is the broker: what the guard tells the broker's parent when it creates
 * a container, and what the parent keeps on disk to take the pod up again after its own restart. */
#ifndef KF_EGRESS_POD_H
#define KF_EGRESS_POD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

#include <stddef.h>
#include <stdint.h>

/* Where both meet.  Only root reaches it. */
#define KF_EGRESS_DIR	     "/run/kubefence/egress"
#define KF_EGRESS_SOCKET     KF_EGRESS_DIR "/socket"

/* The text, one packet of a SOCK_SEQPACKET socket and one file on disk:
 *
 *     egress-pod 1
 *     pod NAMESPACE/NAME/UID
 *     netns PATH                  of its network namespace, as the node sees it
 *     inode N                     of that
 *     mark N                      the parent's own, only on disk: of the worker's sockets
 *     resolver ADDRESS            the pod's name servers
 *     secret PATH                 the directory of a volume, in the order of the rules' secrets
 *     rules
 *     nono-egress 1 ...           egress/rules.h, to the end
 *
 * With the packet come descriptors (SCM_RIGHTS): the network namespace, then the directories.  The
 * answer is one of the words below, the last with a reason behind a space. */
#define KF_EGRESS_POD_HEADER "egress-pod 1\n"
#define KF_EGRESS_POD_MAX    (KF_LIMIT_EGRESS_RULES + 64 * 1024)
#define KF_EGRESS_NEW	     "new"   /* the pod is closed from now on, and its worker serves */
#define KF_EGRESS_AGAIN	     "again" /* it was already, by the same rules */
#define KF_EGRESS_ERROR	     "error"

#define KF_EGRESS_RESOLVERS  3 /* as many as resolvers read */

struct kf_egress_pod {
	const char *name, *netns;
	uint64_t inode;
	uint32_t mark; /* 0: none yet */
	const char *resolvers[KF_EGRESS_RESOLVERS];
	unsigned nresolvers;
	const char *secrets[KF_LIMIT_EGRESS_DIRS];
	unsigned nsecrets;
	const char *rules; /* sealed text */
	size_t nrules;
	char *text; /* owned; what the strings point into */
};

void kf_egress_pod_format(const struct kf_egress_pod *pod, struct kf_buf *out);
/* Read the @n bytes at @text (copied).  The rules are not read.  -1 and *err if it is not that. */
int kf_egress_pod_parse(const char *text, size_t n, struct kf_egress_pod *ret, struct kf_err *err);
void kf_egress_pod_done(struct kf_egress_pod *pod);

#endif

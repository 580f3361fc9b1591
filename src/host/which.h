/* SPDX-License-Identifier: Apache-2.0 */
/* Which container runtime serves a node. */
#ifndef KF_HOST_WHICH_H
#define KF_HOST_WHICH_H

#include "host/distro.h"

struct kf_which_question {
	const char *distribution;      /* "NAME" or "NAME=DIR" of its data; NULL = find out */
	const char *containerd_config; /* of plain containerd; NULL = what its unit says */
};

struct kf_which {
	const struct kf_distro *distro; /* of this node, in the arena */
	const char *place;		/* where it lies, if not where it usually does; else NULL */
	const char *why;		/* what decided, a few words */
	bool runs;			/* something that runs has decided, not what is installed */
};

/* Decide from what runs on @host: the kubelet's endpoint, units and their processes, sockets that
 * are served; if nothing runs, from what is installed.  If that is not clear, the error names the
 * candidates and the option that decides.  The answer lives in @arena. */
int kf_which(const struct kf_host *host, const struct kf_which_question *question,
	     struct kf_arena *arena, struct kf_which *ret, struct kf_err *err);
/* The distribution @name at @place (as kf_which tells it; NULL or "" = the usual one). */
int kf_which_at(const char *name, const char *place, struct kf_arena *arena,
		const struct kf_distro **ret, struct kf_err *err);

#endif

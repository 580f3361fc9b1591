/* SPDX-License-Identifier: Apache-2.0 */
/* Which refusals are in the log already.  A kubelet tries a refused container again every few
 * seconds, for as long as its pod exists. */
#ifndef KF_NONO_NRI_REFUSALS_H
#define KF_NONO_NRI_REFUSALS_H

#include "base/sha256.h"

#include <stdbool.h>
#include <stdint.h>

/* As many as are remembered; the one that was not repeated for the longest is forgotten. */
#define KF_REFUSALS_MAX 256

struct kf_refusal {
	char key[KF_SHA256_HEX + 1]; /* of pod, container and reason */
	char id[72];		     /* the last container that it was about */
	uint64_t said, seen;	     /* microseconds; 0: unused */
	unsigned times;		     /* since it was said */
};

struct kf_refusals {
	struct kf_refusal v[KF_REFUSALS_MAX];
};

/* Whether the refusal of container @name of pod @uid, this time called @id, for @reason is to be
 * told: it is new, or was told more than an hour ago.  *ret_times: how often it has happened since
 * it was told, this time included; *ret_first: none of these is remembered.  @now: microseconds,
 * never 0. */
bool kf_refusals_tell(struct kf_refusals *refusals, const char *uid, const char *name,
		      const char *id, const char *reason, uint64_t now, unsigned *ret_times,
		      bool *ret_first);
/* Whether container @id was refused, as far as that is remembered. */
bool kf_refusals_has(const struct kf_refusals *refusals, const char *id);

#endif

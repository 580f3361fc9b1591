/* SPDX-License-Identifier: Apache-2.0 */
/* How often which decision was taken, by profile and reason, for Prometheus.  A container that the
 * runtime asks for again and again because it was refused is one refusal. */
#ifndef KF_NONO_NRI_DECISIONS_H
#define KF_NONO_NRI_DECISIONS_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* Profiles times reasons, as many as any node meets; what comes beyond is counted as "other",
 * for which each kind has a place. */
#define KF_DECISIONS_MAX 256

enum kf_decision_kind {
	KF_DECISION_INJECT,
	KF_DECISION_REFUSE,
	KF_DECISION_GUARD_REFUSE,
	KF_DECISION_NKINDS
};

struct kf_decision_count {
	enum kf_decision_kind what;
	char profile[KF_LIMIT_PROFILE_NAME + 1]; /* "": none was chosen */
	char reason[32];			 /* a word of ours */
	uint64_t n;
};

/* The last refusals, for people; what is too long is cut. */
#define KF_DECISIONS_LATELY 16

struct kf_refused_lately {
	int64_t time; /* seconds since 1970 */
	bool guard;   /* by the guard, else by the plugin */
	char namespace_[64], pod[256], container[64], reason[256];
};

struct kf_decisions {
	struct kf_decision_count v[KF_DECISIONS_MAX + KF_DECISION_NKINDS];
	size_t n;
	struct kf_refused_lately lately[KF_DECISIONS_LATELY];
	size_t nlately; /* in all; the last one is at (nlately - 1) % KF_DECISIONS_LATELY */
};

/* @profile may be NULL; @reason is a word of ours: of kf_plan's, or the guard's command. */
void kf_decisions_count(struct kf_decisions *decisions, enum kf_decision_kind what,
			const char *profile, const char *reason);
/* Remember a refusal of @when, seconds since 1970. */
void kf_decisions_remember(struct kf_decisions *decisions, bool guard, int64_t when,
			   const char *namespace_, const char *pod, const char *container,
			   const char *reason);
/* Append the metrics nono_nri_decisions_total and nono_nri_guard_refused_total. */
void kf_decisions_format(const struct kf_decisions *decisions, struct kf_buf *out);

#endif

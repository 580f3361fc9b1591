/* SPDX-License-Identifier: Apache-2.0 */
/* How often which decision was taken, by profile and reason, for Prometheus.  A container that the
 * runtime asks for again and again because it was refused is one refusal. */
#ifndef KF_NONO_NRI_DECISIONS_H
#define KF_NONO_NRI_DECISIONS_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdint.h>

/* Profiles times reasons, as many as any node meets; what comes beyond is counted as "other". */
#define KF_DECISIONS_MAX 256

enum kf_decision_kind { KF_DECISION_INJECT, KF_DECISION_REFUSE, KF_DECISION_GUARD_REFUSE };

struct kf_decision_count {
	enum kf_decision_kind what;
	char profile[KF_LIMIT_PROFILE_NAME + 1]; /* "": none was chosen */
	char reason[32];			 /* a word of ours */
	uint64_t n;
};

struct kf_decisions {
	struct kf_decision_count v[KF_DECISIONS_MAX];
	size_t n;
};

/* @profile may be NULL; @reason is a word of ours: of kf_plan's, or the guard's command. */
void kf_decisions_count(struct kf_decisions *decisions, enum kf_decision_kind what,
			const char *profile, const char *reason);
/* Append the metrics nono_nri_decisions_total and nono_nri_guard_refused_total. */
void kf_decisions_format(const struct kf_decisions *decisions, struct kf_buf *out);

#endif

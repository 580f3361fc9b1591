/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_REPORT_H
#define KF_NONO_REPORT_H

#include "nono/grants.h"

/* A sink that prints grants and, with @skips, what grants nothing. */
struct kf_report {
	struct kf_grant_sink sink;
	int out;
	bool skips;
};

void kf_report_init(struct kf_report *report, int out, bool skips);
/* "rwx", "r-x", "list" ... */
const char *kf_report_access(unsigned access);
/* The rules that are not about files. */
void kf_report_rules(const struct kf_policy *policy, int out);

#endif

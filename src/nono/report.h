/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_REPORT_H
#define KF_NONO_REPORT_H

#include "grants/grants.h"

/* A sink that prints grants and, with @skips, what grants nothing. */
struct kf_nono_report {
	struct kf_grant_sink sink;
	int out;
	bool skips;
};

void kf_nono_report_init(struct kf_nono_report *report, int out, bool skips);
/* "rwx", "r-x", "list" ... */
const char *kf_nono_report_access(unsigned access);
/* The rules that are not about files. */
void kf_nono_report_rules(const struct kf_policy *policy, int out);

/* @s for people: what a path of the image's or the workload's must not do to a terminal, or to
 * the lines around it, is written out. */
const char *kf_nono_shown(const char *s, char out[static PATH_MAX]);

/* Formatted text to @fd, at most 8 KiB a call. */
void kf_nono_print(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

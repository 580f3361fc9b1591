/* SPDX-License-Identifier: Apache-2.0 */
/* What one profile reaches that another one does not.  Profiles are finite: all paths of which they
 * cannot tell one from the other are decided about at once, so the answer is not a sample. */
#ifndef KF_EXPLAIN_REACH_H
#define KF_EXPLAIN_REACH_H

#include "profile/profile.h"

#include <stdbool.h>
#include <stddef.h>

/* From the harmless to the dangerous.  The exit status of "kubefence profile diff" is made of their
 * order. */
#define KF_REACHES(X)                                            \
	X(WORKSPACE, "workspace", "inside the workspace")        \
	X(NETWORK, "network", "hosts and ports")                 \
	X(PROTECTIONS, "protections", "without protections")     \
	X(OUTSIDE, "outside", "outside the workspace")           \
	X(WRITE_EXEC, "writeExecute", "executable and writable") \
	X(CREDENTIALS, "credentials", "credentials")

enum kf_reach_kind {
#define KF_REACH_ENUM(name, key, text) KF_REACH_##name,
	KF_REACHES(KF_REACH_ENUM)
#undef KF_REACH_ENUM
		KF_NREACHES
};

/* Examples of each kind that are kept; more are counted. */
#define KF_REACH_EXAMPLES 8

struct kf_reach {
	struct {
		size_t n; /* kinds of paths, hosts, ports, protections; 0: nothing is newly reached
			   */
		const char *examples[KF_REACH_EXAMPLES];
	} kinds[KF_NREACHES];
};

/* The most dangerous kind of which there is something; -1: none. */
int kf_reach_worst(const struct kf_reach *reach);

/* What @b reaches and @a does not.  Examples live in @arena. */
int kf_reach_compare(const struct kf_compiled *a, const struct kf_compiled *b,
		     struct kf_arena *arena, struct kf_reach *ret, struct kf_err *err);

#endif

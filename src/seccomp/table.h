/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SECCOMP_TABLE_H
#define KF_SECCOMP_TABLE_H

#include "seccomp/seccomp.h"

/* The tables that seccomp_table.py generates from seccomp.table. */
struct kf_seccomp_table {
	const char *arch; /* as uname(2) says it */
	struct kf_seccomp levels[KF_SECCOMP_LEVEL_RESTRICTED + 1];
};
extern const struct kf_seccomp_table kf_seccomp_tables[];
extern const size_t kf_nseccomp_tables;

#endif

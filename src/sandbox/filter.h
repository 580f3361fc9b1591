/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_FILTER_H
#define KF_SANDBOX_FILTER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the launcher's seccomp program refuses: the rules about sockets and memory files that
 * Landlock cannot express. */
struct kf_filter {
	bool block;	       /* no sockets but unix and route netlink ... */
	bool tcp, udp;	       /* ... and TCP, UDP over IP, whose ports Landlock restricts */
	bool restrict_connect; /* close the ways around Landlock's TCP rules */
	bool memfd_noexec;     /* memory files only if they can never be executed */
};

/* The most instructions of kf_filter_build(), and of a policy that is added: together no more than
 * a kernel takes (BPF_MAXINSNS). */
#define KF_FILTER_MAX	     384
#define KF_FILTER_POLICY_MAX (4096 - KF_FILTER_MAX)

/* One instruction of classic BPF, laid out as the kernel's struct sock_filter. */
struct kf_filter_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/* A container's whole seccomp policy, compiled. */
struct kf_filter_policy {
	const struct kf_filter_insn *at; /* NULL if there is none */
	size_t n;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* Whether @filter refuses anything. */
bool kf_filter_any(const struct kf_filter *filter);

/* Write the program into @prog, which has room for KF_FILTER_MAX instructions; returns its length.
 */
size_t kf_filter_build(const struct kf_filter *filter, struct kf_filter_insn *prog);

/* Install @filter and @policy as one program: the policy decides about calls that the filter does
 * not refuse.  Without a policy prctl(2) is used, which every sensible seccomp policy allows; it
 * may not allow seccomp(2). no_new_privs must be set. */
int kf_filter_install(const struct kf_filter *filter, const struct kf_filter_policy *policy,
		      struct kf_err *err);

#endif

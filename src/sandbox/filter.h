/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_FILTER_H
#define KF_SANDBOX_FILTER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The seccomp program of the launcher: what Landlock cannot say about sockets,
 * and a mark that tells a nested launcher which policy is already in force. */
struct kf_filter {
	bool block;	       /* no sockets but unix and route netlink ... */
	bool tcp;	       /* ... and TCP over IP, whose ports Landlock restricts */
	bool restrict_connect; /* close the ways around Landlock's TCP rules */
	bool mark;	       /* answer kf_filter_marked() */
	uint64_t policy;       /* mark: which policy */
};

#define KF_FILTER_MAX 256

/* One instruction of classic BPF, as the kernel's struct kf_filter_insn. */
struct kf_filter_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/* Write the program into @prog (KF_FILTER_MAX instructions of room); its length. */
size_t kf_filter_build(const struct kf_filter *filter, struct kf_filter_insn *prog);

/* Install it with prctl(2), which every sane seccomp policy allows; seccomp(2)
 * need not be.  no_new_privs must be set. */
int kf_filter_install(const struct kf_filter *filter, struct kf_err *err);

/* Whether a launcher put this process into @policy already.  Only a seccomp
 * filter can answer, and filters are only ever inherited: an image or pod can
 * forge the answer for processes that it could have started itself, not for one
 * that enters the container. */
bool kf_filter_marked(uint64_t policy);

#endif

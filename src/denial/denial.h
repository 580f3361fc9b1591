/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_DENIAL_H
#define KF_DENIAL_DENIAL_H

#include "base/buf.h"
#include "denial/audit.h"
#include "denial/who.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Kinds of denials, for metrics. */
#define KF_DENIAL_KINDS(X)    \
	X(FILE, "file")       \
	X(NETWORK, "network") \
	X(SCOPE, "scope")     \
	X(SYSCALL, "syscall") \
	X(EGRESS, "egress")   \
	X(OTHER, "other")

enum kf_denial_kind {
#define KF_DENIAL_ENUM(name, text) KF_DENIAL_##name,
	KF_DENIAL_KINDS(KF_DENIAL_ENUM)
#undef KF_DENIAL_ENUM
		KF_DENIAL_NKINDS
};
extern const char *const kf_denial_kinds[KF_DENIAL_NKINDS];

/* What can be longer is cut. */
#define KF_DENIAL_PATH 1024
#define KF_DENIAL_EXE  256
#define KF_DENIAL_COMM 17

/* One thing that was denied. */
struct kf_denial {
	uint64_t ms;	    /* since 1970 */
	struct kf_who *who; /* NULL: nobody can tell */
	enum kf_denial_kind kind;
	char what[64];		   /* "read", "create", "connect", ... several with commas */
	char blockers[384];	   /* the kernel's own words for it */
	unsigned blocked;	   /* bits: rows of the table of denial.c */
	char path[KF_DENIAL_PATH]; /* or the name of the system call, or of the other process */
	uint16_t port;		   /* 0: it is not about one */
	char process[KF_DENIAL_COMM], exe[KF_DENIAL_EXE]; /* "" if the kernel does not tell */
	pid_t pid;					  /* 0 likewise */
	int64_t call; /* number of the system call that seccomp refused, or -1 */
	/* How often the same was denied since it was told the last time; 1 the first time. */
	uint64_t count;
	/* This is about what a container was denied in all, @count times, of which nothing more is
	 * told: too much came at once. */
	bool untold;
};

/* Fill *ret from a record of Landlock's or seccomp's; false if it is not about a denial. */
bool kf_denial_of_access(const struct kf_audit_record *record, struct kf_denial *ret,
			 uint64_t *ret_domain);
bool kf_denial_of_seccomp(const struct kf_audit_record *record, struct kf_denial *ret);
/* What the egress broker has refused: @name and @port as the pod asked for them, @reason its word
 * (egress/reason.h).  @who is not counted. */
void kf_denial_of_egress(const char *name, uint16_t port, const char *reason, uint64_t ms,
			 struct kf_who *who, struct kf_denial *ret);
/* Add the process that a record SYSCALL is about. */
void kf_denial_add_process(struct kf_denial *denial, const struct kf_audit_record *record);
/* @other is about the same call as @denial: a move has two places.  What tells more is kept. */
void kf_denial_merge(struct kf_denial *denial, const struct kf_denial *other);
/* Whether the launcher asked for this denial, as a proof that the sandbox works. */
bool kf_denial_is_proof(const struct kf_audit_record *record);
/* Whether both are the same denial once more. */
bool kf_denial_same(const struct kf_denial *a, const struct kf_denial *b);

/* Append one line of JSON. */
void kf_denial_json(const struct kf_denial *denial, struct kf_buf *out);
/* Append one line of JSON as the Open Cybersecurity Schema Framework has it, a Detection Finding.
 */
void kf_denial_ocsf(const struct kf_denial *denial, struct kf_buf *out);
/* Append the denial as a sentence without its end, not escaped. */
void kf_denial_sentence(const struct kf_denial *denial, struct kf_buf *out);
/* Append the excerpt of a profile, JSON, that would have allowed it; false if no profile can. */
bool kf_denial_rule(const struct kf_denial *denial, const char *key, struct kf_buf *out);

#endif

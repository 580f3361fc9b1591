/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_DOMAINS_H
#define KF_DENIAL_DOMAINS_H

#include "denial/who.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The sandboxes that the audit log speaks of, by the kernel's number for each.  The kernel says
 * once which process made one; from then on it is known here whose it is. */
#define KF_DOMAINS_MAX	   32768
#define KF_DOMAINS_BUCKETS 8192

struct kf_audit_domain {
	uint64_t id;
	pid_t pid;	    /* that made it; 0: not told */
	struct kf_who *who; /* NULL: not known, or not yet */
	uint64_t seen;	    /* denials */
	uint64_t unseen;    /* those that the kernel counted besides, once it has ended */
	uint64_t ended;	    /* when, in milliseconds since 1970 */
	unsigned looks;	    /* how often it was asked whose a denied process is */
	bool whole;	    /* it was told of by its first denial: none was missed before */
	bool foreign;	    /* it is not a sandbox of ours */
	struct kf_audit_domain *next;	       /* in the bucket */
	struct kf_audit_domain *newer, *older; /* by last use */
};

struct kf_domains {
	struct kf_who_table *owners;
	struct kf_audit_domain *buckets[KF_DOMAINS_BUCKETS];
	struct kf_audit_domain *newest, *oldest;
	size_t n;
};

/* The domain @id, made if it is new; NULL if there is no memory.  If there are too many, the one
 * that nothing was heard of for the longest time is forgotten. */
struct kf_audit_domain *kf_domains_get(struct kf_domains *domains, uint64_t id);
struct kf_audit_domain *kf_domains_find(const struct kf_domains *domains, uint64_t id);
void kf_domains_forget(struct kf_domains *domains, struct kf_audit_domain *domain);
void kf_domains_done(struct kf_domains *domains);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The egress broker of "kubefence try": the program that a node has, for one container, from whose
 * network nothing else leads out. */
#ifndef KF_KUBEFENCE_TRY_EGRESS_H
#define KF_KUBEFENCE_TRY_EGRESS_H

#include "base/err.h"
#include "kubefence/try/run.h"
#include "profile/profile.h"

#include <stdbool.h>
#include <sys/types.h>

struct kf_denial;
struct kf_egress_credential;
struct kf_egress_rules;

struct try_egress {
	pid_t pid; /* 0: it does not run */
};

/* Whether the profile has hosts or credentials. */
bool try_egress_needed(const struct kf_compiled *profile);

/* Give @c a network namespace, name servers and Secrets as the kubelet and a runtime do, and start
 * the broker's parent where the guard looks for it.  The keys of --secret are hidden wherever @c
 * would have them. */
int try_egress_start(const struct try_stage *stage, const struct try_options *o,
		     struct try_container *c, struct kf_arena *arena, struct try_egress *ret,
		     struct kf_err *err);
/* End it, and wait; what it has refused is all told then.  May be called again. */
void try_egress_stop(struct try_egress *egress);

/* Call @refused for each refusal of an egress broker that has been stopped; for none if there was
 * none. */
int try_egress_refused(const struct try_stage *stage,
		       void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx,
		       struct kf_err *err);
/* Tell people what was refused according to the broker's log at @fd, and what would have allowed
 * it. */
int try_egress_report(int fd, struct kf_err *err);
int try_egress_report_stage(const struct try_stage *stage, struct kf_err *err);

/* The name servers of this machine, at most KF_EGRESS_RESOLVERS (egress/pod.h); if it has none,
 * that is told, and one that does not answer takes its place. */
int try_egress_servers(struct kf_arena *arena, const char **ret, unsigned *ret_n,
		       struct kf_err *err);
/* For a command with and without a container: the rules of @profile, to be released; the directory
 * that --secret names for @credential, an error if there is none; that each --secret is one of the
 * profile's, and that the authorities' certificates are there. */
int try_egress_rules(const struct kf_compiled *profile, struct kf_egress_rules *ret,
		     struct kf_err *err);
int try_egress_secret(const struct try_options *o, const struct kf_egress_rules *rules,
		      const struct kf_egress_credential *credential, const char **ret,
		      struct kf_err *err);
int try_egress_check(const struct try_options *o, const struct kf_egress_rules *rules,
		     struct kf_err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PLAN_VIEW_H
#define KF_PLAN_VIEW_H

#include "seccomp/seccomp.h"

#include <stddef.h>
#include <string.h>

/* What is known of one container before it is created.  It comes from NRI's messages
 * (nri-plan/view) or from an OCI bundle (oci/view), and everything is borrowed from there.  Absent
 * strings are "", never NULL. */

struct kf_view_annotation {
	const char *key, *value;
};

struct kf_view_mount {
	const char *destination, *type, *source;
	const char *const *options;
	size_t noptions;
};

struct kf_view_paths {
	const char *const *v;
	size_t n;
};

/* What is known of the policy the pod asked for. */
enum kf_view_seccomp {
	KF_VIEW_SECCOMP_UNKNOWN,	 /* the source does not tell (NRI < 0.11, CRI-O) */
	KF_VIEW_SECCOMP_UNCONFINED,	 /* none */
	KF_VIEW_SECCOMP_RUNTIME_DEFAULT, /* the runtime's own; the rules may not be visible */
	KF_VIEW_SECCOMP_LOCALHOST,	 /* a custom profile; the rules may not be visible */
};

/* An intersection of a policy of the pod's and one of our levels that an earlier plan worked out.
 */
struct kf_seccomp_known {
	const struct kf_seccomp *ours, *both;
};

struct kf_view {
	const char *handler; /* runtime handler of the pod sandbox; "" = the default runtime */
	const char *namespace_, *pod, *pod_uid;
	const char *container, *container_id;
	const struct kf_view_annotation *annotations; /* the pod's */
	size_t nannotations;
	const char *const *args;
	size_t nargs;
	const char *const *env; /* "KEY=VALUE" */
	size_t nenv;
	const struct kf_view_mount *mounts;
	size_t nmounts;
	struct kf_view_paths devices;		/* device nodes to be made */
	struct kf_view_paths masked, read_only; /* NRI does not tell */
	enum kf_view_seccomp seccomp_source;
	const struct kf_seccomp *seccomp; /* its rules; NULL if there are none or they are hidden */
	/* Intersections with exactly these rules that were worked out before.  Optional. */
	const struct kf_seccomp_known *known;
	size_t nknown;
};

/* Value of the pod annotation @key, or NULL. */
static inline const char *kf_view_annotation(const struct kf_view *view, const char *key)
{
	for (size_t i = 0; i < view->nannotations; i++)
		if (strcmp(view->annotations[i].key, key) == 0)
			return view->annotations[i].value;
	return NULL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the plan has to know of a node: its settings and its profiles. */
#ifndef KF_PLAN_SETTINGS_H
#define KF_PLAN_SETTINGS_H

#include "base/limits.h"
#include "flat/name.h"
#include "seccomp/seccomp.h"

#include <stdbool.h>
#include <stddef.h>

struct kf_rule;

/* What the plan needs to know of a profile. */
struct kf_profile_info {
	const char *name;
	const char *const *deny; /* its "fs deny" paths, clean; "~" unexpanded */
	size_t ndeny;
	const struct kf_rule *readonly; /* its "fs readonly" rules */
	size_t nreadonly;
	bool writes_pod_files; /* a rule names /etc/hosts, hostname or resolv.conf for writing */
	/* Level the administrator who installed the profile gave it, if any. */
	bool has_seccomp;
	enum kf_seccomp_level seccomp;
	bool egress;	       /* has rules for the egress broker ... */
	bool egress_elsewhere; /* ... but where there is none, the cluster filters hosts */
};

enum kf_exec_mode {
	KF_EXEC_SANDBOX, /* processes that enter a running container are sandboxed like its first */
	KF_EXEC_DENY,	 /* ... are refused */
};

/* What an administrator decided for this node, checked and complete. */
struct kf_settings {
	const char *const *handlers; /* runtime_classes: pods of these are sandboxed */
	size_t nhandlers;
	const char *default_profile;
	const char *launcher;		     /* nono_bin_path */
	const char *const *allowed_profiles; /* pods may name only these; none = all that exist */
	size_t nallowed_profiles;
	/* What namespaces have of their own, one text each: "NAMESPACE DEFAULT ALLOWED,ALLOWED",
	 * with "-" for what they have not. */
	const char *const *namespaces;
	size_t nnamespaces;
	enum kf_seccomp_level seccomp;
	enum kf_exec_mode exec;
	bool seccomp_log; /* what a seccomp policy refuses is in the audit log; for the guard */
	bool egress;	  /* an egress broker runs here */
	/* MiB that a pod's changes to a reviewed volume may take, for the guard; 0:
	 * KF_SETTINGS_REVIEW. */
	unsigned review_size;
	/* Kata's annotations that pods may have nevertheless.  The guard does not look at them,
	 * since no virtual machine runs behind it. */
	const char *const *kata_annotations;
	size_t nkata_annotations;
	const struct kf_profile_info *profiles; /* all that exist on this node */
	size_t nprofiles;
};

#define KF_SETTINGS_REVIEW     512
#define KF_SETTINGS_REVIEW_MAX (1024 * 1024)

/* Whether pods of @handler are ours; exact comparison. */
bool kf_settings_in_scope(const struct kf_settings *settings, const char *handler);
const struct kf_profile_info *kf_settings_profile(const struct kf_settings *settings,
						  const char *name);

/* The longest text of a namespace. */
#define KF_SETTINGS_NAMESPACE 4096
/* Whether @text is one. */
bool kf_settings_namespace_valid(const char *text);
/* The profile of pods of @namespace_ that name none; @buf is for it. */
const char *kf_settings_default(const struct kf_settings *settings, const char *namespace_,
				char buf[static KF_LIMIT_PROFILE_NAME + 1]);
/* Whether pods of @namespace_ may name @profile: it is one of the namespace's, or of all if that
 * has no list of its own, or the default one. */
bool kf_settings_allows(const struct kf_settings *settings, const char *namespace_,
			const char *profile);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions, one by one, for systems that collect security events (observe/ocsf.h). */
#ifndef KF_NONO_NRI_EXPORT_H
#define KF_NONO_NRI_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

struct kf_plugin;

/* What was decided about a container.  Strings may be NULL or "" for what is not known. */
struct kf_export {
	const char *by;	       /* the program of ours that decided */
	const char *operation; /* what it was asked for, as the one who asked calls it */
	const char *reason;    /* why it refused; NULL: the container runs in the sandbox */
	bool outside;	       /* it refused nothing: the container runs outside, for @reason */
	const char *code;      /* the same as a word */
	int64_t ms;	       /* since 1970; 0: now */
	unsigned count;	       /* how often, since it was told last */
	const char *profile, *handler;
	const char *namespace_, *pod, *uid, *container, *container_id;
};

/* Write it to stdout if that was asked for (--ocsf). */
void kf_plugin_export(const struct kf_plugin *plugin, const struct kf_export *decision);

#endif

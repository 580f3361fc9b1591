/* SPDX-License-Identifier: Apache-2.0 */
/* Events as the Open Cybersecurity Schema Framework has them, for systems that collect such events
 * from everywhere: one line of JSON each. */
#ifndef KF_OBSERVE_OCSF_H
#define KF_OBSERVE_OCSF_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KF_OCSF_VERSION "1.4.0"

/* What a sandbox has refused is a finding; what was decided when a runtime asked is an activity. */
enum kf_ocsf_class { KF_OCSF_DETECTION_FINDING = 2004, KF_OCSF_API_ACTIVITY = 6003 };

/* What all of them have.  Strings may be "" or NULL for what is not known. */
struct kf_ocsf {
	enum kf_ocsf_class class;
	bool denied;	     /* it was refused, else it was let through */
	bool severe;	     /* ... which it should not have been */
	uint64_t ms;	     /* since 1970 */
	uint64_t count;	     /* how often */
	const char *message; /* a sentence, for people */
	const char *profile; /* that was in force */
	const char *namespace_, *pod, *uid, *container, *container_id;
};

/* Append the object with all that is in @event, open for what its class has besides. */
void kf_ocsf_open(struct kf_buf *out, const struct kf_ocsf *event);
/* A string of it, unless it is "" or NULL. */
void kf_ocsf_put(struct kf_buf *out, const char *key, const char *value);
/* Close it, and end the line. */
void kf_ocsf_close(struct kf_buf *out);

#endif

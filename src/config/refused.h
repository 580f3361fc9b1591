/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard has refused, for whoever tells of it: the guard is gone when it has said so once.
 */
#ifndef KF_CONFIG_REFUSED_H
#define KF_CONFIG_REFUSED_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One line each is appended to a file; a full one is put aside.  No lock is waited for: two guards
 * that refuse at the same moment write one line each. */
#define KF_REFUSED_DIR	"/run/kubefence/refused"
#define KF_REFUSED_LOG	"log"
#define KF_REFUSED_OLD	"log.1"
#define KF_REFUSED_MAX	((off_t)256 * 1024)
/* A line: names of Kubernetes' and a reason (base/err.h), escaped. */
#define KF_REFUSED_LINE 8192

struct kf_refused {
	int64_t time;	     /* seconds since 1970 */
	const char *command; /* "create", "exec" or "start" */
	/* "" for what is not known. */
	const char *id, *namespace_, *pod, *uid, *container, *profile, *reason;
};

int kf_refused_write(const char *dir, const struct kf_refused *refused, struct kf_err *err);
/* Read a line of the file, which is changed and which *ret then points into. */
bool kf_refused_parse(char *line, struct kf_refused *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_RECORD_H
#define KF_NONO_RUNC_RECORD_H

#include "base/err.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <sys/types.h>

/* What the guard decided when a container was created, for exec to find: exec
 * knows only the runtime's --root and the container's ID.  One file each in
 * KF_RECORD_DIR, named by a hash over both; gone after a reboot, as are the
 * containers. */
#define KF_RECORD_DIR "/run/kubefence/guard"

struct kf_guard_record {
	const char *root, *id; /* the key, for people */
	const char *bundle;
	const char *runtime; /* the real one that made the container */
	const char *profile; /* "" for a pause container, which is not sandboxed */
	const char *label;   /* linux.mountLabel, or "" */
	/* What Kubernetes calls it, and where the runtime writes the ID of its first process; "" if
	 * nobody said, and in records of an earlier version. */
	const char *namespace_, *pod, *uid, *container, *pid_file;
	char *text; /* owned; what the strings point into */
};

/* Name of what is kept of a container: a hash over the runtime's --root and its ID, and a NUL. */
#define KF_RECORD_NAME (KF_SHA256_HEX + 1)
int kf_guard_record_name(const char *root, const char *id, char ret[static KF_RECORD_NAME],
			 struct kf_err *err);
/* Whether the runtime already has a container of that name. */
bool kf_guard_record_taken(const char *root, const char *id);

/* Write the record of a container that is about to be created.  A container of
 * the same key that exists already keeps its record: the runtime is going to
 * refuse this one. */
int kf_guard_record_write(const struct kf_guard_record *record, struct kf_err *err);
/* Find the record of @id; @root NULL is the runtime's default. */
int kf_guard_record_read(const char *root, const char *id, struct kf_guard_record *ret,
			 struct kf_err *err);
/* Add the ID of its first process, for whoever looks for that (config/started.h); nothing of ours
 * depends on it. */
int kf_guard_record_add_pid(const char *root, const char *id, pid_t pid, struct kf_err *err);
void kf_guard_record_drop(const char *root, const char *id);
void kf_guard_record_done(struct kf_guard_record *record);

#endif

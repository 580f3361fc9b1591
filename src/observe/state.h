/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OBSERVE_STATE_H
#define KF_OBSERVE_STATE_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KF_STATE_DIR	"/var/run/nono-nri"
/* In it, a unix socket: /readyz and the rest of observe/http.h, for others on the node. */
#define KF_STATE_SOCKET ".http"

/* DIR/POD_UID/CONTAINER_ID/metadata.json for every container of ours: what
 * administrators and "kubefence status" look at.  Directories 0700, files 0600.
 *
 * It is information: nothing is decided by it, so that a full or read-only
 * disk costs a warning and never a container.  Nothing is synced to disk
 * either, since containers do not outlive the machine. */
struct kf_state {
	int dirfd; /* negative: there is no directory; writing fails, removing does nothing */
};

struct kf_state_entry {
	const char *container_id, *pod_uid, *pod, *namespace_, *profile;
	int64_t time; /* seconds since 1970 */
	/* NULL, or why the container runs outside the sandbox. */
	const char *unsandboxed;
};

/* Make and open @dir and lock it against a second instance.  EBUSY: there
 * is one; any other failure leaves a state without a directory. */
int kf_state_open(const char *dir, struct kf_state *ret, struct kf_err *err);
/* What the others of these functions need. */
extern const struct kf_calls kf_state_calls;
/* Releases the lock. */
void kf_state_close(struct kf_state *state);

/* Write one entry, replacing an older one of the same container. */
int kf_state_write(const struct kf_state *state, const struct kf_state_entry *entry,
		   struct kf_err *err);
/* Whether there is an entry. */
bool kf_state_has(const struct kf_state *state, const char *pod_uid, const char *container_id);
/* Whether some container runs under @profile; true when that cannot be told. */
bool kf_state_uses_profile(const struct kf_state *state, const char *profile);
/* Take an entry away, and its pod's directory with the last one.  Absent is fine. */
void kf_state_remove(const struct kf_state *state, const char *pod_uid, const char *container_id);
/* All of a pod's. */
void kf_state_remove_pod(const struct kf_state *state, const char *pod_uid);
/* Take away all entries that @keep does not want; the number of those. */
unsigned kf_state_reconcile(const struct kf_state *state,
			    bool (*keep)(void *ctx, const char *pod_uid, const char *container_id),
			    void *ctx);

#endif

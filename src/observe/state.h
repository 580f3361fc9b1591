/* SPDX-License-Identifier: Apache-2.0 */
/* The directory in which the plugin notes each sandboxed container. */
#ifndef KF_OBSERVE_STATE_H
#define KF_OBSERVE_STATE_H

#include "base/calls.h"
#include "base/err.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define KF_STATE_DIR	"/var/run/nono-nri"
/* A unix socket in it serves /readyz and the rest of observe/http.h to other programs on the node.
 */
#define KF_STATE_SOCKET ".http"

/* DIR/POD_UID/CONTAINER_ID/metadata.json for every sandboxed container: for administrators and
 * "kubefence status".  Directories have mode 0700, files 0600.
 *
 * This is information only: no decision depends on it, so a full or read-only disk causes a warning
 * and never stops a container.  Nothing is synced to disk, since containers do not outlive the
 * machine. */
struct kf_state {
	int dirfd; /* negative: there is no directory; writing fails, removing does nothing */
};

struct kf_state_entry {
	const char *container_id, *pod_uid, *pod, *namespace_, *container, *profile, *handler;
	bool guard;   /* the guard wraps what starts in it */
	int64_t time; /* seconds since 1970 */
	/* NULL, or why the container runs outside the sandbox. */
	const char *unsandboxed;
};

/* Make and open @dir and lock it against a second plugin.  EBUSY: another one has it; after any
 * other failure the state has no directory. */
int kf_state_open(const char *dir, struct kf_state *ret, struct kf_err *err);
/* The system calls of the functions below. */
extern const struct kf_calls kf_state_calls;
/* Releases the lock. */
void kf_state_close(struct kf_state *state);

/* Write one entry, replacing an older one of the same container. */
int kf_state_write(const struct kf_state *state, const struct kf_state_entry *entry,
		   struct kf_err *err);
/* Whether there is an entry. */
bool kf_state_has(const struct kf_state *state, const char *pod_uid, const char *container_id);
/* Whether some container runs under @profile; true if that cannot be determined. */
bool kf_state_uses_profile(const struct kf_state *state, const char *profile);
/* All entries, in no order; what comes and goes meanwhile may be among them or not. */
struct kf_state_cursor {
	const struct kf_state *state;
	DIR *pods, *pod;
	char uid[NAME_MAX + 1]; /* of the pod */
	bool failed;		/* something could not be read */
};
void kf_state_begin(const struct kf_state *state, struct kf_state_cursor *ret);
/* One step, of bounded work; false: that was all.  *ret_text: an entry as it lies there, a JSON
 * object without a line end, which is the caller's; NULL: this step met none. */
bool kf_state_next(struct kf_state_cursor *cursor, char **ret_text);
void kf_state_end(struct kf_state_cursor *cursor);
/* Remove an entry, and its pod's directory with the last one.  Nothing happens if it does not
 * exist. */
void kf_state_remove(const struct kf_state *state, const char *pod_uid, const char *container_id);
/* Remove all entries of a pod. */
void kf_state_remove_pod(const struct kf_state *state, const char *pod_uid);
/* Remove all entries that @keep does not want; returns their number. */
unsigned kf_state_reconcile(const struct kf_state *state,
			    bool (*keep)(void *ctx, const char *pod_uid, const char *container_id),
			    void *ctx);

#endif

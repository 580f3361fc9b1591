/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_LIBRARY_H
#define KF_NONO_NRI_LIBRARY_H

#include "base/arena.h"
#include "config/config.h"
#include "observe/state.h"
#include "text/diag.h"

/* The administrator's profiles: JSON in config->profiles_dir, compiled together with
 * the built-in ones into the directory "profiles" beside the launcher.  Each file there
 * is replaced as a whole and only by a version that compiles. */

/* A profile that does not compile, and its first mistake. */
struct kf_library_rejected {
	const char *name, *why;
};

/* So many are remembered by name. */
#define KF_LIBRARY_REJECTED 64

/* Names of the profiles that the directory defines, built-in ones included. */
struct kf_library_names {
	const char **v;
	size_t n;
	struct kf_library_rejected rejected[KF_LIBRARY_REJECTED];
	size_t nrejected;
};

/* Compile and write what has changed.  A profile that does not compile is a
 * warning, and what was published of it before stays.  -1, with an error in
 * @diags: the directories cannot be read or written.  Memory is @arena's. */
int kf_library_publish(const struct kf_config *config, struct kf_arena *arena,
		       struct kf_library_names *ret, struct kf_diags *diags);

/* Make the launcher's directory what the users of containers can reach, 0755 and root's, if a
 * predecessor or a umask left it otherwise; what lies in it and is not ours is logged. */
int kf_library_put_right(const struct kf_config *config, struct kf_arena *arena,
			 struct kf_diags *diags);

/* Take away published profiles that are not among the settings' and that no
 * container runs under: processes may still enter those that do. */
void kf_library_prune(const struct kf_config *config, const struct kf_state *state);

#endif

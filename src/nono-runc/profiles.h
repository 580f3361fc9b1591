/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_PROFILES_H
#define KF_NONO_RUNC_PROFILES_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/settings.h"

#include <stddef.h>

/* Compiled profiles as the launcher's directory has them: dirname(launcher)/profiles,
 * or what is linked into us if there is no such directory. */

struct kf_profile_text {
	const char *text; /* in the arena */
	size_t n;
	/* Why it cannot be used, or NULL. */
	const char *broken;
};

/* Make settings->profiles name all profiles there are, with denials and level of
 * those in @want (@nwant names, NULL ones are passed over), whose texts go to
 * ret_text[0..nwant-1] where they exist.  Memory is @arena's.  Fails only if the
 * directory cannot be read or memory runs out. */
int kf_profiles_load(struct kf_settings *settings, const char *const *want, size_t nwant,
		     struct kf_arena *arena, struct kf_profile_text *ret_text, struct kf_err *err);

#endif

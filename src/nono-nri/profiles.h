/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_PROFILES_H
#define KF_NONO_NRI_PROFILES_H

#include "base/arena.h"
#include "nono-nri/library.h"
#include "plan/settings.h"
#include "text/diag.h"

/* Give @settings the profiles that exist for its launcher: the compiled ones in
 * the directory "profiles" beside it or, if there is no such directory, those
 * linked in.  With @names (may be NULL) only these.  One that cannot be used is a warning and does
 * not exist: pods that name it are refused.  Memory is @arena's.  Returns -1, with an error in
 * @diags, if they cannot be read or memory runs out. */
int kf_setup_add_profiles(struct kf_settings *settings, const struct kf_library_names *names,
			  struct kf_arena *arena, struct kf_diags *diags);

#endif

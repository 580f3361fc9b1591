/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the profile that a command line names. */
#ifndef KF_KUBEFENCE_PROFILE_FIND_H
#define KF_KUBEFENCE_PROFILE_FIND_H

#include "base/err.h"
#include "cli/options.h"
#include "profile/profile.h"

#define KF_PROFILE_DIRS_MAX 8

/* Profiles for commands: those of directories, then the built-in ones. */
struct kf_profiles {
	struct kf_arena arena;
	struct kf_profile_library library;
	struct kf_diags diags; /* of the last kf_profiles_compile() */
	const char *dirs[KF_PROFILE_DIRS_MAX];
	size_t ndirs;
};

void kf_profiles_init(struct kf_profiles *profiles);
void kf_profiles_done(struct kf_profiles *profiles);

/* Add all NAME.json and NAME.jsonc of @dir; earlier directories win. */
int kf_profiles_add_dir(struct kf_profiles *profiles, const char *dir, struct kf_err *err);
/* The same for the directories of --dir. */
int kf_profiles_add_dirs(struct kf_profiles *profiles, const struct kf_option_list *dirs,
			 struct kf_err *err);
/* Whether people mean a file by @what: names have neither '/' nor '.'. */
bool kf_profiles_is_file(const char *what);
/* Find the profile that people call @what: a name, or a file, whose directory is then added before
 * all others.  *ret is the name, owned by @profiles. */
int kf_profiles_find(struct kf_profiles *profiles, const char *what, const char **ret,
		     struct kf_err *err);
/* kf_profiles_find() and kf_profile_compile(); problems are in @diags. */
int kf_profiles_compile(struct kf_profiles *profiles, const char *what, struct kf_compiled *ret,
			struct kf_err *err);
/* Print the problems of the last compilation on stderr; returns their number. */
size_t kf_profiles_report(const struct kf_profiles *profiles);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "nono-nri/library.h"
#include "nono-nri/plugin.h"
#include "nono-nri/profiles.h"

#include <string.h>

/* A configuration with all its profiles. */
#define SETUP_MEMORY (64 * 1024 * 1024)

static const char *or_none(const char *s)
{
	return s ? s : "(none)";
}

/* Landlock knows the directories of the start, and takes no further ones. */
static int same_place(const char *file, const char *key, const char *now, const char *then,
		      struct kf_diags *diags)
{
	if (strcmp(or_none(now), or_none(then)) == 0)
		return 0;
	kf_diag_error(diags, &(struct kf_origin){.file = file},
		      "%s: '%s' instead of '%s' needs a restart: nono-nri has confined itself to "
		      "the directories that it was started with",
		      key, or_none(now), or_none(then));
	return -1;
}

static int same_places(const char *file, const struct kf_config *now, const struct kf_config *then,
		       struct kf_diags *diags)
{
	int profiles =
		same_place(file, "profiles_dir", now->profiles_dir, then->profiles_dir, diags);
	int launcher = same_place(file, "nono_bin_path", now->settings.launcher,
				  then->settings.launcher, diags);

	return profiles < 0 || launcher < 0 ? -1 : 0;
}

int kf_setup_load(const char *path, const struct kf_config *running, struct kf_setup *ret,
		  struct kf_diags *diags)
{
	struct kf_settings *settings = &ret->config.settings;
	struct kf_library_names names = {0};
	struct kf_err err;

	*ret = (struct kf_setup){0};
	kf_arena_init(&ret->arena, SETUP_MEMORY);
	if (kf_config_load(path, &ret->arena, &ret->config, diags) < 0)
		return -1;
	if (running && same_places(path, &ret->config, running, diags) < 0)
		return -1;
	if (kf_library_put_right(&ret->config, &ret->arena, diags) < 0)
		return -1;
	if (ret->config.profiles_dir &&
	    kf_library_publish(&ret->config, &ret->arena, &names, diags) < 0)
		return -1;
	if (kf_settings_add_profiles(settings, path, ret->config.profiles_dir ? &names : NULL,
				     &ret->arena, diags) < 0)
		return -1;
	if (kf_adjust_init(&ret->adjust, settings->launcher, &err) == 0)
		return 0;
	kf_diag_error(diags, &(struct kf_origin){.file = path}, "%s", err.msg);
	return -1;
}

void kf_setup_done(struct kf_setup *setup)
{
	kf_adjust_done(&setup->adjust);
	kf_arena_done(&setup->arena);
}

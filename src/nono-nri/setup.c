/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "nono-nri/library.h"
#include "nono-nri/plugin.h"
#include "nono-nri/profiles.h"

/* A configuration with all its profiles. */
#define SETUP_MEMORY (64 * 1024 * 1024)

int kf_setup_load(const char *path, struct kf_setup *ret, struct kf_diags *diags)
{
	struct kf_settings *settings = &ret->config.settings;
	struct kf_library_names names = {0};
	struct kf_err err;

	*ret = (struct kf_setup){0};
	kf_arena_init(&ret->arena, SETUP_MEMORY);
	if (kf_config_load(path, &ret->arena, &ret->config, diags) < 0)
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

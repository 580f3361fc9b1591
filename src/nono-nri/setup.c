/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "nono-nri/plugin.h"
#include "nono-nri/profiles.h"

/* A configuration with all its profiles. */
#define SETUP_MEMORY (64 * 1024 * 1024)

int kf_setup_load(const char *path, struct kf_setup *ret, struct kf_diags *diags)
{
	struct kf_setup s = {0};
	struct kf_err err;

	kf_arena_init(&s.arena, SETUP_MEMORY);
	if (kf_config_load(path, &s.arena, &s.config, diags) < 0 ||
	    kf_profiles_find(&s.config.settings, path, &s.arena, diags) < 0) {
		kf_arena_done(&s.arena);
		return -1;
	}
	if (kf_adjust_init(&s.adjust, s.config.settings.launcher, &err) < 0) {
		kf_diag_error(diags, &(struct kf_origin){.file = path}, "%s", err.msg);
		kf_arena_done(&s.arena);
		return -1;
	}
	*ret = s;
	return 0;
}

void kf_setup_done(struct kf_setup *setup)
{
	kf_adjust_done(&setup->adjust);
	kf_arena_done(&setup->arena);
}

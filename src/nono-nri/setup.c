/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a configuration and all that it leads to, as one thing that replaces another as a whole. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "nono-nri/library.h"
#include "nono-nri/plugin.h"
#include "nono-nri/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* ... nor names: a directory that was removed and made anew is another one. */
static int same_directory(const char *file, const char *key, const char *dir, int missing,
			  struct kf_diags *diags)
{
	KF_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || (errno != EACCES && errno != missing))
		return 0;
	kf_diag_error(diags, &(struct kf_origin){.file = file},
		      "%s: '%s' is not the directory that was there when nono-nri was started; "
		      "restart it",
		      key, dir);
	return -1;
}

static int same_places(const char *file, const struct kf_config *now, const struct kf_config *then,
		       struct kf_diags *diags)
{
	const char *launcher = now->settings.launcher;
	size_t before = diags->nerrors;
	char dir[PATH_MAX + 16];
	int n;

	if (same_place(file, "profiles_dir", now->profiles_dir, then->profiles_dir, diags) < 0 ||
	    same_place(file, "nono_bin_path", launcher, then->settings.launcher, diags) < 0)
		return -1;
	n = snprintf(dir, sizeof(dir), "%.*s", (int)(kf_path_base(launcher) - launcher), launcher);
	(void)same_directory(file, "nono_bin_path", dir, 0, diags);
	if (now->profiles_dir) {
		(void)same_directory(file, "profiles_dir", now->profiles_dir, 0, diags);
		(void)snprintf(dir + n, sizeof(dir) - (size_t)n, "profiles");
		(void)same_directory(file, "nono_bin_path", dir, ENOENT, diags);
	}
	return diags->nerrors == before ? 0 : -1;
}

/* Without a default profile containers that name none are refused.  Where profiles come from an
 * administrator's directory the plugin runs nevertheless: so it can say why to the node and to the
 * pods, and take a better version over without a restart. */
static int check_default(const char *file, const struct kf_config *running, struct kf_setup *setup,
			 struct kf_diags *diags)
{
	const struct kf_settings *s = &setup->config.settings;
	const bool had = running &&
			 kf_settings_profile(&running->settings, running->settings.default_profile);
	const char *why = "no file defines it";

	if (kf_settings_profile(s, s->default_profile))
		return 0;
	for (size_t i = 0; i < setup->names.nrejected; i++)
		if (strcmp(setup->names.rejected[i].name, s->default_profile) == 0)
			why = setup->names.rejected[i].why;
	setup->no_default = kf_arena_printf(&setup->arena,
					    "default_profile: there is no usable profile '%s': %s",
					    s->default_profile, why);
	if (!setup->no_default) {
		diags->nomem = true;
		return -1;
	}
	if (setup->config.profiles_dir && !had) {
		kf_diag_warning(diags, &(struct kf_origin){.file = file}, "%s", setup->no_default);
		return 0;
	}
	kf_diag_error(diags, &(struct kf_origin){.file = file},
		      "%s; install it or configure another one", setup->no_default);
	return -1;
}

int kf_setup_load(const char *path, const struct kf_config *running, struct kf_setup *ret,
		  struct kf_diags *diags)
{
	struct kf_settings *settings = &ret->config.settings;
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
	    kf_library_publish(&ret->config, &ret->arena, &ret->names, diags) < 0)
		return -1;
	if (kf_setup_add_profiles(settings, ret->config.profiles_dir ? &ret->names : NULL,
				  &ret->arena, diags) < 0)
		return -1;
	if (check_default(path, running, ret, diags) < 0)
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

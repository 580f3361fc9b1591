/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's TOML configuration as values. */
#ifndef KF_CONFIG_CONFIG_H
#define KF_CONFIG_CONFIG_H

#include "base/arena.h"
#include "plan/settings.h"
#include "text/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define KF_CONFIG_PATH "/etc/nri/conf.d/10-nono-nri.toml"

/* The plugin's TOML configuration, checked and complete. */
struct kf_config {
	struct kf_settings settings; /* without profiles */
	const char *socket_path;     /* never empty */
	/* Handlers whose guest image carries the launcher.  Accepted for existing
	 * configurations; nothing depends on it, since containers cannot see the
	 * guest's files. */
	const char *const *vm_rootfs_classes;
	size_t nvm_rootfs_classes;
	const char *profiles_dir; /* profiles as JSON to compile and publish; NULL: none */
};

/* Read and check file @path.  Every mistake is added to @diags, with file, line,
 * key and remedy.  Returns 0, or -1 if there is one; *ret is then untouched.
 * What *ret points to lives in @arena. */
int kf_config_load(const char *path, struct kf_arena *arena, struct kf_config *ret,
		   struct kf_diags *diags);
/* The same for a plugin on another machine or in another container, whose files are not ours: the
 * launcher's file is not looked at. */
int kf_config_load_elsewhere(const char *path, struct kf_arena *arena, struct kf_config *ret,
			     struct kf_diags *diags);
int kf_config_parse_elsewhere(const char *text, size_t n, const char *file, struct kf_arena *arena,
			      struct kf_config *ret, struct kf_diags *diags);
/* kf_config_load() from memory; @file is for messages. */
int kf_config_parse(const char *text, size_t n, const char *file, struct kf_arena *arena,
		    struct kf_config *ret, struct kf_diags *diags);
/* Check that the launcher is there and is an executable regular file, not a symlink.  @at: where it
 * is configured.  Part of kf_config_load() and kf_config_parse(). */
bool kf_config_check_launcher(const char *path, const struct kf_origin *at, struct kf_diags *diags);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Lists what the plugin still reaches and calls once it serves, and confines it to that.  How that
 * is done is in src/confine. */
#include "nono-nri/confine.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "confine/confine.h"
#include "event/watch.h"
#include "nono-nri/guard_refused.h"
#include "nono-nri/status.h"
#include "nri/calls.h"
#include "observe/http.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_SOCKET "/dev/log"

static const struct kf_calls *const calls[] = {
	&kf_libc_calls,		 &kf_event_calls,
	&kf_file_calls,		 &kf_http_calls,
	&kf_state_calls,	 &kf_watch_calls,
	&kf_watch_new_calls,	 &nri_plugin_calls,
	&kf_helper_calls,	 &kf_plugin_page_calls,
	&kf_guard_refused_calls, &kf_syslog_calls, /* last: only if the log goes there */
};

static void directory_of(const char *path, char ret[static PATH_MAX])
{
	int n = (int)(kf_path_base(path) - path);

	(void)snprintf(ret, PATH_MAX, "%.*s", n ? n : 1, n ? path : ".");
}

/* The directory of what the symlink @path leads to; false if it leads nowhere. */
static bool real_directory_of(const char *path, char ret[static PATH_MAX])
{
	char real[PATH_MAX];

	if (!realpath(path, real))
		return false;
	directory_of(real, ret);
	return true;
}

static void log_confined(const struct kf_confined *c)
{
	char abi[16];

	(void)snprintf(abi, sizeof(abi), "%d", c->abi);
	kf_log(c->abi && c->filter ? KF_LOG_INFO : KF_LOG_WARN, "confined",
	       {"landlock", c->abi ? abi : c->why},
	       {"seccomp", c->filter ? "on" : "off: built for sanitizers or valgrind"});
}

int kf_plugin_confine(const struct kf_plugin_options *options, const struct kf_plugin *plugin,
		      bool adopted, struct kf_err *err)
{
	const struct kf_config *config = &plugin->setup.config;
	char file[PATH_MAX], target[PATH_MAX], launcher[PATH_MAX], profiles[PATH_MAX + 16];
	char log[PATH_MAX];
	const bool publishes = config->profiles_dir, state = plugin->state.dirfd >= 0;
	struct kf_confined confined;

	directory_of(options->config, file);
	directory_of(config->settings.launcher, launcher);
	(void)snprintf(profiles, sizeof(profiles), "%sprofiles", launcher);

	const struct kf_place places[] = {
		/* read again when they change */
		{file, KF_PLACE_READ},
		{real_directory_of(options->config, target) ? target : NULL, KF_PLACE_READ},
		{config->profiles_dir, KF_PLACE_READ},
		/* compiled profiles; never the launcher beside them */
		{launcher, KF_PLACE_READ},
		{publishes ? profiles : NULL, KF_PLACE_READ | KF_PLACE_WRITE},
		/* what the guard wraps; the settings are the helper's */
		{*options->node_dir ? options->node_dir : NULL, KF_PLACE_READ},
		{plugin->lives ? options->guard_dir : NULL, KF_PLACE_READ},
		{*plugin->refused_dir ? plugin->refused_dir : NULL, KF_PLACE_READ},
		{*options->denials_dir ? options->denials_dir : NULL, KF_PLACE_READ},
		{state ? options->state_dir : NULL, KF_PLACE_READ | KF_PLACE_WRITE},
		{adopted && real_directory_of(LOG_SOCKET, log) ? log : NULL, KF_PLACE_CONNECT},
	};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls) - !adopted,
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
	};

	tzset(); /* else syslog() would read the time zone's file later */
	if (kf_confine(&confinement, &confined, err) < 0)
		return -1;
	log_confined(&confined);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's command line: a table, as src/cli understands it. */
#include "nono-nri/options.h"

#include "base/cleanup.h"
#include "cli/options.h"
#include "config/config.h"
#include "config/denials.h"
#include "nono-nri/lives.h"
#include "observe/http.h"
#include "observe/state.h"

#define NODE_DIR "/opt/kubefence"

static int take_level(void *target, const char *arg, struct kf_err *err)
{
	return kf_log_parse_level(arg, target, err);
}

static int take_directory(void *target, const char *arg, struct kf_err *err)
{
	if (*arg && *arg != '/')
		return kf_fail(err, EINVAL, "'%.200s' is not an absolute path", arg);
	*(const char **)target = arg;
	return 0;
}

static const struct kf_option table[] = {
	{
		.name = "config",
		.kind = KF_OPTION_STRING,
		.value = "PATH",
		KF_OPTION_AT(struct kf_plugin_options, config),
		.help = "configuration (default: " KF_CONFIG_PATH ")",
	},
	/* Existing command lines say it as Go's flag package understands it. */
	{
		.name = "json",
		.kind = KF_OPTION_BOOL,
		.value = "BOOL",
		KF_OPTION_AT(struct kf_plugin_options, json),
		.help = "log JSON lines to stdout (default), or with false text to stderr; a "
			"plugin "
			"that the runtime starts logs to syslog",
	},
	{
		.name = "ocsf",
		.kind = KF_OPTION_SET,
		KF_OPTION_AT(struct kf_plugin_options, ocsf),
		.help = "decisions, and what the guard refuses, to stdout as events of the Open "
			"Cybersecurity Schema Framework, beside the log; not for a plugin that the "
			"runtime starts",
	},
	{
		.name = "log-level",
		.kind = KF_OPTION_CALL,
		.value = KF_LOG_LEVELS,
		KF_OPTION_AT(struct kf_plugin_options, level),
		.call = take_level,
		.help = "(default: info)",
	},
	{
		.name = "state-dir",
		.kind = KF_OPTION_PLACE,
		.value = "DIR",
		KF_OPTION_AT(struct kf_plugin_options, state_dir),
		.help = "what runs sandboxed, for people (default: " KF_STATE_DIR ")",
	},
	{
		.name = "node-dir",
		.kind = KF_OPTION_CALL,
		.value = "DIR",
		KF_OPTION_AT(struct kf_plugin_options, node_dir),
		.call = take_directory,
		.help = "settings for the guard (default: " NODE_DIR "); \"\": publish none",
	},
	{
		.name = "guard-dir",
		.kind = KF_OPTION_CALL,
		.value = "DIR",
		KF_OPTION_AT(struct kf_plugin_options, guard_dir),
		.call = take_directory,
		.help = "the guard's records, which tell when containers end "
			"(default: " KF_GUARD_DIR "); \"\": the runtime tells",
	},
	{
		.name = "listen",
		.kind = KF_OPTION_STRING,
		.value = "ADDR:PORT",
		KF_OPTION_AT(struct kf_plugin_options, listen),
		.help = "serve /healthz, /readyz, /metrics and a page at / over HTTP there",
	},
	{
		.name = "page",
		.kind = KF_OPTION_WORD,
		.value = KF_HTTP_AUDIENCES,
		KF_OPTION_AT(struct kf_plugin_options, page),
		.help = "who sees that page, with names of pods and what they were denied "
			"(default: loopback, also kubectl port-forward)",
	},
	{
		.name = "denials-dir",
		.kind = KF_OPTION_CALL,
		.value = "DIR",
		KF_OPTION_AT(struct kf_plugin_options, denials_dir),
		.call = take_directory,
		.help = "what 'kubefence denials' keeps, for the page "
			"(default: " KF_DENIALS_DIR "); \"\": nothing",
	},
	{
		.name = "version",
		.kind = KF_OPTION_SET,
		KF_OPTION_AT(struct kf_plugin_options, version),
		.help = "which one this is",
	},
	{0},
};

void kf_plugin_help(struct kf_buf *out)
{
	kf_buf_adds(out,
		    "Usage: nono-nri [OPTION...]\n\n"
		    "Puts containers of the configured runtime handlers into a sandbox: the NRI\n"
		    "plugin of one node.  See docs/nono-nri.md.\n\nOptions:\n");
	kf_options_help(table, out);
	kf_buf_adds(out,
		    "\nExit status: 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a wrong\n"
		    "command line.  SIGHUP reads the configuration again.\n");
}

int kf_plugin_options_parse(int argc, char **argv, struct kf_plugin_options *ret,
			    struct kf_err *err)
{
	struct kf_plugin_options o = {
		.config = KF_CONFIG_PATH,
		.state_dir = KF_STATE_DIR,
		.node_dir = NODE_DIR,
		.guard_dir = KF_GUARD_DIR,
		.denials_dir = KF_DENIALS_DIR,
		.page = KF_HTTP_LOOPBACK,
		.listen = "",
		.json = true,
		.level = KF_LOG_INFO,
	};
	struct kf_arguments arguments;

	if (kf_options_read(table, KF_OPTIONS_GO, argc, argv, &o, &arguments, &o.help, err) < 0)
		return kf_fail_wrap(err, "wrong command line (see --help)");
	if (!o.help && arguments.n)
		return kf_fail(err, EINVAL, "unexpected argument '%s'; see --help", arguments.v[0]);
	*ret = o;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/options.h"

#include "base/cleanup.h"
#include "config/config.h"
#include "observe/state.h"

#include <getopt.h>
#include <string.h>

#define NODE_DIR "/opt/kubefence"

enum {
	OPT_CONFIG = 1,
	OPT_STATE_DIR,
	OPT_NODE_DIR,
	OPT_LISTEN,
	OPT_JSON,
	OPT_LEVEL,
	OPT_HELP,
	OPT_VERSION
};

const char *kf_options_help(void)
{
	return "Usage: nono-nri [OPTION...]\n"
	       "\n"
	       "Puts containers of the configured runtime handlers into a sandbox: the NRI plugin\n"
	       "of one node.  See docs/nono-nri.md.\n"
	       "\n"
	       "  --config PATH       configuration (" KF_CONFIG_PATH ")\n"
	       "  --json[=BOOL]       log JSON lines to stdout (default), or with false text to\n"
	       "                      stderr; a plugin that the runtime starts logs to syslog\n"
	       "  --log-level LEVEL   debug, info (default), warn or error\n"
	       "  --state-dir DIR     what runs sandboxed, for people (" KF_STATE_DIR ")\n"
	       "  --node-dir DIR      settings for the guard (" NODE_DIR "); \"\": publish none\n"
	       "  --listen ADDR:PORT  serve /healthz, /readyz and /metrics over HTTP there\n"
	       "  --version, --help\n"
	       "\n"
	       "Exit status: 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a wrong command\n"
	       "line.  SIGHUP reads the configuration again.\n";
}

/* As Go's flag package reads them, which existing command lines rely on. */
static int parse_bool(const char *s, bool *ret, struct kf_err *err)
{
	static const char *const words[2][6] = {
		{"0", "f", "F", "false", "FALSE", "False"},
		{"1", "t", "T", "true", "TRUE", "True"},
	};

	for (unsigned value = 0; value < 2; value++) {
		for (unsigned i = 0; i < KF_ARRAY_SIZE(words[value]); i++) {
			if (strcmp(s, words[value][i]) == 0) {
				*ret = value;
				return 0;
			}
		}
	}
	return kf_fail(err, EINVAL, "--json: '%.40s' is neither true nor false", s);
}

static int parse_option(int option, const char *arg, struct kf_options *o, struct kf_err *err)
{
	switch (option) {
	case OPT_CONFIG:
		o->config = arg;
		return 0;
	case OPT_STATE_DIR:
		o->state_dir = arg;
		return arg[0] == '/'
			       ? 0
			       : kf_fail(err, EINVAL, "--state-dir: must be an absolute path");
	case OPT_NODE_DIR:
		o->node_dir = arg;
		return !*arg || arg[0] == '/'
			       ? 0
			       : kf_fail(err, EINVAL, "--node-dir: must be an absolute path");
	case OPT_LISTEN:
		o->listen = arg;
		return 0;
	case OPT_JSON:
		return parse_bool(arg ? arg : "true", &o->json, err);
	case OPT_LEVEL:
		if (kf_log_parse_level(arg, &o->level, err) < 0)
			return kf_fail_wrap(err, "--log-level");
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	default:
		o->version = true;
		return 0;
	}
}

int kf_options_parse(int argc, char **argv, struct kf_options *ret, struct kf_err *err)
{
	static const struct option table[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"state-dir", required_argument, NULL, OPT_STATE_DIR},
		{"node-dir", required_argument, NULL, OPT_NODE_DIR},
		{"listen", required_argument, NULL, OPT_LISTEN},
		{"json", optional_argument, NULL, OPT_JSON},
		{"log-level", required_argument, NULL, OPT_LEVEL},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	struct kf_options o = {
		.config = KF_CONFIG_PATH,
		.state_dir = KF_STATE_DIR,
		.node_dir = NODE_DIR,
		.listen = "",
		.json = true,
		.level = KF_LOG_INFO,
	};
	int option;

	opterr = 0;
	optind = 0;
	/* _only: one dash will do, as with Go's flag package. */
	while ((option = getopt_long_only(argc, argv, "+:", table, NULL)) != -1) {
		if (option == ':')
			return kf_fail(err, EINVAL, "'%s' needs a value; see --help",
				       argv[optind - 1]);
		if (option == '?')
			return kf_fail(err, EINVAL, "unknown option '%s'; see --help",
				       argv[optind - 1]);
		if (parse_option(option, optarg, &o, err) < 0)
			return -1;
	}
	if (optind < argc)
		return kf_fail(err, EINVAL, "unexpected argument '%s'; see --help", argv[optind]);
	*ret = o;
	return 0;
}

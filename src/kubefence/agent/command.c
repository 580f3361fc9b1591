/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node agent: the command line */
#include "kubefence/command.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "config/config.h"
#include "event/ready.h"
#include "kubefence/agent/agent.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"Usage: kubefence node agent [OPTION...]\n"
	"       kubefence node agent --check --ready-file FILE\n\n"
	"Sets this node up, proves that it works, tells so on its Node object, and stays to put\n"
	"right what others change.  For the chart's DaemonSet; see docs/node-agent.md.\n\n"
	"  --host-root DIR          where the node's root is mounted (default: /)\n"
	"  --config FILE            the plugin's configuration (default: " KF_CONFIG_PATH ")\n"
	"  --containerd-config PATH on the host, for a plain containerd only (default: what its\n"
	"                           unit says)\n"
	"  --node-name NAME         (default: $NODE_NAME)\n"
	"  --ready-file FILE        where probes find the last proof\n"
	"  --taint                  while not ready, taint the node " KF_TAINT ":NoSchedule\n"
	"  --period SECONDS         between looks at node and API (default: 30)\n"
	"  --once                   end once ready (exit 0) or failed (exit 1)\n"
	"  --check                  exit 0 if the last proof is good and fresh\n"
	"  --log-level LEVEL        debug, info (default), warn or error\n"
	"  --distribution, --payload, --nri-socket, --nri-plugins, --nri-config, --no-restart,\n"
	"  --timeout                see 'kubefence node --help'\n";

enum {
	OPT_ROOT = 256,
	OPT_CONFIG,
	OPT_CONTAINERD,
	OPT_NODE,
	OPT_READY,
	OPT_TAINT,
	OPT_PERIOD,
	OPT_ONCE,
	OPT_CHECK,
	OPT_LEVEL,
	OPT_DISTRO,
	OPT_PAYLOAD,
	OPT_SOCKET,
	OPT_PLUGINS,
	OPT_NRI_CONFIG,
	OPT_NO_RESTART,
	OPT_TIMEOUT
};

static const struct option long_options[] = {
	{"host-root", required_argument, NULL, OPT_ROOT},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"containerd-config", required_argument, NULL, OPT_CONTAINERD},
	{"node-name", required_argument, NULL, OPT_NODE},
	{"ready-file", required_argument, NULL, OPT_READY},
	{"taint", no_argument, NULL, OPT_TAINT},
	{"period", required_argument, NULL, OPT_PERIOD},
	{"once", no_argument, NULL, OPT_ONCE},
	{"check", no_argument, NULL, OPT_CHECK},
	{"log-level", required_argument, NULL, OPT_LEVEL},
	{"distribution", required_argument, NULL, OPT_DISTRO},
	{"payload", required_argument, NULL, OPT_PAYLOAD},
	{"nri-socket", required_argument, NULL, OPT_SOCKET},
	{"nri-plugins", required_argument, NULL, OPT_PLUGINS},
	{"nri-config", required_argument, NULL, OPT_NRI_CONFIG},
	{"no-restart", no_argument, NULL, OPT_NO_RESTART},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct command_line {
	struct kf_agent_options agent;
	enum kf_log_level level;
	bool check;
};

static int seconds(const char *option, const char *s, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*end || end == s || n < 1 || n > 3600)
		return kf_command_usage("node agent: %s: '%s' is not between 1 and 3600 seconds",
					option, s);
	*ret = (unsigned)n;
	return KF_EXIT_OK;
}

static int take(int option, const char *arg, struct command_line *l)
{
	struct kf_agent_options *a = &l->agent;
	const struct {
		int option;
		const char **where;
	} strings[] = {
		{OPT_ROOT, &a->node.host_root},
		{OPT_CONFIG, &a->config},
		{OPT_CONTAINERD, &a->node.containerd_config},
		{OPT_NODE, &a->node_name},
		{OPT_READY, &a->ready_file},
		{OPT_DISTRO, &a->node.distribution},
		{OPT_PAYLOAD, &a->node.payload},
		{OPT_SOCKET, &a->node.nri_socket},
		{OPT_PLUGINS, &a->node.nri_plugins},
		{OPT_NRI_CONFIG, &a->node.nri_config},
	};
	const struct {
		int option;
		bool *where;
		bool value;
	} flags[] = {
		{OPT_TAINT, &a->taint, true},
		{OPT_ONCE, &a->once, true},
		{OPT_CHECK, &l->check, true},
		{OPT_NO_RESTART, &a->node.restart, false},
	};
	struct kf_err err;

	for (size_t i = 0; i < KF_ARRAY_SIZE(strings); i++)
		if (strings[i].option == option) {
			*strings[i].where = arg;
			return KF_EXIT_OK;
		}
	for (size_t i = 0; i < KF_ARRAY_SIZE(flags); i++)
		if (flags[i].option == option) {
			*flags[i].where = flags[i].value;
			return KF_EXIT_OK;
		}
	switch (option) {
	case OPT_PERIOD:
		return seconds("--period", arg, &a->period);
	case OPT_TIMEOUT:
		return seconds("--timeout", arg, &a->node.timeout);
	case OPT_LEVEL:
		return kf_log_parse_level(arg, &l->level, &err) == 0
			       ? KF_EXIT_OK
			       : kf_command_usage("node agent: %s", err.msg);
	default:
		return KF_EXIT_USAGE; /* getopt has said why */
	}
}

int kf_node_agent_command(int argc, char **argv)
{
	struct command_line l = {
		.agent = {.config = KF_CONFIG_PATH,
			  .node_name = getenv("NODE_NAME"),
			  .period = 30,
			  .node = {.host_root = "/",
				   .nri_socket = "/var/run/nri/nri.sock",
				   .nri_plugins = "/opt/nri/plugins",
				   .nri_config = "/etc/nri/conf.d",
				   .restart = true,
				   .timeout = 120}},
		.level = KF_LOG_INFO,
	};
	char self[PATH_MAX];
	struct kf_err err;
	int c, status;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (c == 'h')
			return fputs(usage, stdout), KF_EXIT_OK;
		status = take(c, optarg, &l);
		if (status != KF_EXIT_OK)
			return status;
	}
	if (optind != argc)
		return kf_command_usage("node agent: '%s' is not understood", argv[optind]);
	if (l.check && !l.agent.ready_file)
		return kf_command_usage("node agent: --check needs --ready-file");
	if (l.check)
		return kf_ready_check(l.agent.ready_file, &err) == 0
			       ? KF_EXIT_OK
			       : kf_command_fail("node agent: %s", err.msg);
	if (!l.agent.node_name || !*l.agent.node_name)
		return kf_command_usage("node agent: --node-name or NODE_NAME is needed");
	if (!l.agent.node.payload)
		l.agent.node.payload = kf_own_directory(self, sizeof(self)) ? self : ".";
	kf_log_init(KF_LOG_JSON, l.level, "kubefence");
	(void)signal(SIGPIPE, SIG_IGN);
	return kf_agent_run(&l.agent, &err);
}

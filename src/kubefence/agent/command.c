/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node agent: the command line */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/log.h"
#include "config/config.h"
#include "event/ready.h"
#include "kubefence/agent/agent.h"
#include "kubefence/options.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct command_line {
	struct kf_agent_options agent;
	unsigned level;
	bool check;
};

static int run_agent(const struct kf_command *self, int argc, char **argv)
{
	struct command_line l = {
		.agent = {.config = KF_CONFIG_PATH,
			  .node_name = getenv("NODE_NAME"),
			  .period = 30,
			  .node = KF_NODE_OPTIONS_INIT},
		.level = KF_LOG_INFO,
	};
	struct kf_arguments arguments;
	char self_dir[PATH_MAX];
	struct kf_err err;
	int status;

	/* These are what the plugin's configuration says. */
	l.agent.node.launcher = l.agent.node.default_profile = NULL;
	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	if (l.check && !l.agent.ready_file)
		return kf_command_usage("--check needs --ready-file");
	if (l.check)
		return kf_ready_check(l.agent.ready_file, &err) == 0
			       ? KF_EXIT_OK
			       : kf_command_fail("%s", err.msg);
	if (!l.agent.node_name || !*l.agent.node_name)
		return kf_command_usage("--node-name or NODE_NAME is needed");
	if (kf_node_options_check(&l.agent.node, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (!l.agent.node.payload)
		l.agent.node.payload =
			kf_own_directory(self_dir, sizeof(self_dir)) ? self_dir : ".";
	kf_log_init(KF_LOG_JSON, (enum kf_log_level)l.level, "kubefence");
	(void)signal(SIGPIPE, SIG_IGN);
	return kf_agent_run(&l.agent, &err);
}

const struct kf_command kf_cmd_node_agent = {
	.name = "agent",
	.summary = "do all this, tell the cluster, and stay to keep it so",
	.about =
		"Sets this node up, proves that it works, tells so on its Node object, and stays "
		"to\n"
		"put right what others change.  For the chart's DaemonSet; see docs/node-agent.md.",
	.options =
		(const struct kf_option[]){
			KF_OPT_HOST_ROOT(struct command_line, agent.node.host_root),
			{
				.name = "config",
				.kind = KF_OPTION_STRING,
				.value = "FILE",
				KF_OPTION_AT(struct command_line, agent.config),
				.help = "the plugin's configuration (default: " KF_CONFIG_PATH ")",
			},
			{
				.name = "node-name",
				.kind = KF_OPTION_STRING,
				.value = "NAME",
				KF_OPTION_AT(struct command_line, agent.node_name),
				.help = "(default: $NODE_NAME)",
			},
			{
				.name = "ready-file",
				.kind = KF_OPTION_STRING,
				.value = "FILE",
				KF_OPTION_AT(struct command_line, agent.ready_file),
				.help = "where probes find the last proof",
			},
			{
				.name = "taint",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct command_line, agent.taint),
				.help = "while not ready, taint the node " KF_TAINT ":NoSchedule",
			},
			{
				.name = "period",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.min = 1,
				.max = 3600,
				KF_OPTION_AT(struct command_line, agent.period),
				.help = "between looks at node and API (default: 30)",
			},
			{
				.name = "once",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct command_line, agent.once),
				.help = "end once ready (exit 0) or failed (exit 1)",
			},
			{
				.name = "check",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct command_line, check),
				.help = "exit 0 if the last proof, in --ready-file, is good and "
					"fresh",
			},
			{
				.name = "log-level",
				.kind = KF_OPTION_WORD,
				.value = KF_LOG_LEVELS,
				KF_OPTION_AT(struct command_line, level),
				.help = "(default: info)",
			},
			KF_OPT_CONTAINERD_CONFIG(struct command_line, agent.node.containerd_config),
			KF_OPT_DISTRIBUTION(struct command_line, agent.node.distribution),
			KF_OPT_PAYLOAD(struct command_line, agent.node.payload),
			KF_OPT_NRI_SOCKET(struct command_line, agent.node.nri_socket),
			KF_OPT_NRI_PLUGINS(struct command_line, agent.node.nri_plugins),
			KF_OPT_NRI_CONFIG(struct command_line, agent.node.nri_config),
			KF_OPT_NO_RESTART(struct command_line, agent.node.restart),
			KF_OPT_TIMEOUT(struct command_line, agent.node.timeout),
			{0},
		},
	.run = run_agent,
};

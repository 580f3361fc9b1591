/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node install|plan|status|verify|uninstall: options and reports.  The work is done in
 * src/node; agent, cleanup and programs have files of their own. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/limits.h"
#include "kubefence/agent/agent.h"
#include "kubefence/commands.h"
#include "kubefence/node/commands.h"
#include "kubefence/node/profiles.h"
#include "kubefence/report.h"
#include "node/node.h"
#include "node/payload.h"
#include "node/profiles.h"
#include "node/state.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The values of the command line, and what they open. */
struct node_line {
	struct kf_node_options options;
	struct kf_option_list handlers;
	const char *profiles;
	struct kf_report report;
	struct kf_node node;
};

static const struct kf_option options[] = {
	KF_OPT_HOST_ROOT(struct node_line, options.host_root),
	KF_OPT_DISTRIBUTION(struct node_line, options.distribution),
	KF_OPT_CONTAINERD_CONFIG(struct node_line, options.containerd_config),
	KF_OPT_HANDLER(struct node_line, handlers),
	{
		.name = "default-profile",
		.kind = KF_OPTION_STRING,
		.value = "PROFILE",
		KF_OPTION_AT(struct node_line, options.default_profile),
		.help = "default_profile (default: default)",
	},
	KF_OPT_LAUNCHER(struct node_line, options.launcher),
	{
		.name = "profiles",
		.kind = KF_OPTION_STRING,
		.value = "DIR",
		KF_OPTION_AT(struct node_line, profiles),
		.help = "profiles (JSON) to install, for a node whose nono-nri has no "
			"profiles_dir; "
			"all of them and the built-in ones are compiled",
	},
	KF_OPT_PAYLOAD(struct node_line, options.payload),
	KF_OPT_NRI_SOCKET(struct node_line, options.nri_socket),
	KF_OPT_NRI_PLUGINS(struct node_line, options.nri_plugins),
	KF_OPT_NRI_CONFIG(struct node_line, options.nri_config),
	KF_OPT_NO_RESTART(struct node_line, options.restart),
	KF_OPT_TIMEOUT(struct node_line, options.timeout),
	KF_OPT_OUTPUT(struct node_line, report.output),
	{0},
};

/* The state of the node after a run that failed. */
static const char *state_after_failure(const struct kf_node *node)
{
	const char *state = "";
	struct kf_err err;

	(void)kf_node_state(node, NULL, NULL, &state, &err);
	return state;
}

static int do_install(void *line)
{
	struct kf_report *r = &((struct node_line *)line)->report;
	struct kf_node *node = &((struct node_line *)line)->node;
	struct kf_err err = {0};
	bool changed;
	int status = kf_node_install(node, &changed, &err);

	return kf_report_finish(r, "install", status,
				status < 0 ? state_after_failure(node)
				: changed  ? "done"
					   : "nothing to do",
				&err);
}

static int do_uninstall(void *line)
{
	struct kf_report *r = &((struct node_line *)line)->report;
	struct kf_node *node = &((struct node_line *)line)->node;
	bool there = node->journal.exists, kept;
	struct kf_err err = {0};
	int status = kf_node_uninstall(node, &kept, &err);

	return kf_report_finish(
		r, "uninstall", status,
		status < 0 ? state_after_failure(node)
		: kept	   ? "not finished, run again when nothing uses the guard any more"
		: there	   ? "done"
			   : "nothing to do",
		&err);
}

static int do_verify(void *line)
{
	struct kf_report *r = &((struct node_line *)line)->report;
	struct kf_node *node = &((struct node_line *)line)->node;
	struct kf_err err = {0};

	return kf_report_finish(r, "verify", kf_node_verify(node, &err), "as installed", &err);
}

static int do_plan(void *line)
{
	struct kf_report *r = &((struct node_line *)line)->report;
	struct kf_node *node = &((struct node_line *)line)->node;
	struct kf_payload payload = {0};
	struct kf_node_plan plan;
	struct kf_err err = {0};
	bool changes = false;
	int status = kf_node_plan(node, &plan, &err);

	if (status < 0)
		return kf_report_finish(r, "plan", status, "", &err);
	kf_report_say(r, "runtime", node->distro->name, node->why);
	if (node->journal.busy)
		kf_report_say(r, "recover", plan.config, "an earlier run did not get to its end");
	status = kf_payload_load(node->options->payload, &payload, &err);
	if (status == 0)
		status = kf_payload_plan(node, &plan, &payload, &err);
	for (size_t i = 0; i < payload.n && status == 0; i++) {
		bool there;

		status = kf_payload_exists(node, &payload.files[i], &there, &err);
		if (status == 0 && !there) {
			kf_report_say(r, "install", payload.files[i].path, "");
			changes = true;
		}
	}
	if (status == 0) {
		bool there;

		status = kf_node_profiles_exist(node, &there, &err);
		if (status == 0 && !there) {
			kf_report_say(r, "install", "profiles", "");
			changes = true;
		}
	}
	for (size_t i = 0; i < plan.nhandlers; i++)
		kf_report_say(r, "handler", plan.handlers[i].name,
			      plan.handlers[i].guard ? plan.handlers[i].real
						     : plan.handlers[i].why);
	if (status == 0 && kf_report_diff(r, &plan)) {
		changes = true;
		kf_report_say(r, "restart", node->distro->units[0],
			      node->options->restart ? "" : "by hand");
	}
	kf_payload_done(&payload);
	kf_node_plan_done(&plan);
	return kf_report_finish(r, "plan", status,
				changes ? "nothing was written" : "nothing to do", &err);
}

static int do_status(void *line)
{
	struct kf_report *r = &((struct node_line *)line)->report;
	struct kf_node *node = &((struct node_line *)line)->node;
	struct kf_err err = {0};
	const char *state = "";
	int status = kf_node_state(node, kf_report_say, r, &state, &err);

	return kf_report_finish(r, "status", status, state, &err);
}

/* What these commands share: read the options, and look at the node. */
static int run_line(const struct kf_command *self, int argc, char **argv)
{
	static const char *const default_handlers[] = {KF_NODE_HANDLER};
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct node_line l = {
		.options = KF_NODE_OPTIONS_INIT,
		.handlers = KF_OPTION_LIST(handlers),
		.report = KF_REPORT_INIT,
	};
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_arguments arguments;
	char self_dir[PATH_MAX];
	struct kf_err err;
	int status;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	l.options.handlers = l.handlers.n ? handlers : default_handlers;
	l.options.nhandlers = l.handlers.n ? l.handlers.n : 1;
	if (!l.options.payload)
		l.options.payload = kf_own_directory(self_dir, sizeof(self_dir)) ? self_dir : ".";
	if (kf_node_options_check(&l.options, &err) < 0 ||
	    (l.profiles && kf_install_profiles(l.profiles, &arena, &l.options.profiles,
					       &l.options.nprofiles, &err) < 0) ||
	    kf_node_open(&l.options, kf_report_say, &l.report, &l.node, &err) < 0)
		return kf_report_finish(&l.report, self->name, -1, "", &err);
	status = self->act(&l);
	kf_node_done(&l.node);
	return status;
}

static const struct kf_command command_install = {
	.name = "install",
	.summary = "install guard and launcher, register the handlers, turn NRI on",
	.options = options,
	.run = run_line,
	.act = do_install,
};
static const struct kf_command command_plan = {
	.name = "plan",
	.summary = "show what install would change, as a diff; writes nothing",
	.options = options,
	.run = run_line,
	.act = do_plan,
};
static const struct kf_command command_status = {
	.name = "status",
	.summary = "what was installed, and whether it is still as it was left",
	.options = options,
	.run = run_line,
	.act = do_status,
};
static const struct kf_command command_verify = {
	.name = "verify",
	.summary = "check everything with the runtime itself; exit 1 if not",
	.options = options,
	.run = run_line,
	.act = do_verify,
};
static const struct kf_command command_uninstall = {
	.name = "uninstall",
	.summary = "restore the configuration, remove what is not in use",
	.options = options,
	.run = run_line,
	.act = do_uninstall,
};

static const struct kf_command *const commands[] = {
	&command_install,     &command_plan,	     &command_status,
	&command_verify,      &command_uninstall,    &kf_cmd_node_agent,
	&kf_cmd_node_cleanup, &kf_cmd_node_programs, NULL,
};

const struct kf_command kf_cmd_node = {
	.name = "node",
	.summary = "prepare this machine's container runtime, and take that back",
	.about = "Prepares this node's container runtime for sandboxed pods, and takes that back.\n"
		 "agent, cleanup and programs are for the chart's pods and have options of their "
		 "own.",
	.commands = commands,
	.options = options,
};

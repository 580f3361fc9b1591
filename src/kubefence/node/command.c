/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node install|plan|status|verify|uninstall */
#include "kubefence/command.h"
#include "base/cleanup.h"
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

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: kubefence node install|plan|status|verify|uninstall [OPTION...]\n\n"
	"Prepares this node's container runtime for sandboxed pods, and takes that back.\n\n"
	"  install     install guard and launcher, register the handlers, turn NRI on\n"
	"  plan        show what install would change, as a diff; writes nothing\n"
	"  status      what was installed, and whether it is still as it was left\n"
	"  verify      check everything with the runtime itself; exit 1 if not\n"
	"  uninstall   restore the configuration, remove what is not in use\n\n"
	"For the chart's pods, each with a --help of its own:\n"
	"  agent       do all this, tell the cluster, and stay to keep it so\n"
	"  cleanup     have the agents of all nodes undo it\n"
	"  programs    bring the programs of this image to a directory or a host\n\n"
	"  --host-root DIR        where the node's root is mounted (default: /)\n"
	"  --distribution NAME    containerd, crio, k3s, rke2, k0s or microk8s (default: what "
	"runs);\n"
	"                         NAME=DIR for k3s, rke2 or k0s with its data in DIR\n"
	"  --containerd-config F  containerd's root file (default: what its unit says)\n"
	"  --handler NAME         runtime_classes; may be repeated (default: nono-runc)\n"
	"  --default-profile NAME default_profile (default: default)\n"
	"  --launcher PATH        nono_bin_path (default: " KF_NODE_LAUNCHER ")\n"
	"  --profiles DIR         profiles (JSON) to install, for a node whose nono-nri has no\n"
	"                         profiles_dir; all of them and the built-in ones are compiled\n"
	"  --payload DIR          where nono and nono-runc are (default: beside this program)\n"
	"  --nri-socket PATH      (default: /var/run/nri/nri.sock)\n"
	"  --nri-plugins DIR      (default: /opt/nri/plugins)\n"
	"  --nri-config DIR       (default: /etc/nri/conf.d)\n"
	"  --no-restart           do not restart the runtime; the administrator does\n"
	"  --timeout SECONDS      for the runtime to come back (default: 120)\n"
	"  -o text|json           output format\n";

enum {
	OPT_ROOT = 256,
	OPT_DISTRO,
	OPT_CONTAINERD,
	OPT_HANDLER,
	OPT_PROFILE,
	OPT_LAUNCHER,
	OPT_PROFILES,
	OPT_PAYLOAD,
	OPT_SOCKET,
	OPT_PLUGINS,
	OPT_CONFIG,
	OPT_NO_RESTART,
	OPT_TIMEOUT
};

static const struct option long_options[] = {
	{"host-root", required_argument, NULL, OPT_ROOT},
	{"distribution", required_argument, NULL, OPT_DISTRO},
	{"containerd-config", required_argument, NULL, OPT_CONTAINERD},
	{"handler", required_argument, NULL, OPT_HANDLER},
	{"default-profile", required_argument, NULL, OPT_PROFILE},
	{"launcher", required_argument, NULL, OPT_LAUNCHER},
	{"profiles", required_argument, NULL, OPT_PROFILES},
	{"payload", required_argument, NULL, OPT_PAYLOAD},
	{"nri-socket", required_argument, NULL, OPT_SOCKET},
	{"nri-plugins", required_argument, NULL, OPT_PLUGINS},
	{"nri-config", required_argument, NULL, OPT_CONFIG},
	{"no-restart", no_argument, NULL, OPT_NO_RESTART},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* What the node is after a run that failed. */
static const char *state_after_failure(const struct kf_node *node)
{
	const char *state = "";
	struct kf_err err;

	(void)kf_node_state(node, NULL, NULL, &state, &err);
	return state;
}

static int do_install(struct kf_node *node, struct kf_report *r)
{
	struct kf_err err = {0};
	bool changed;
	int status = kf_node_install(node, &changed, &err);

	return kf_report_finish(r, "install", status,
				status < 0 ? state_after_failure(node)
				: changed  ? "done"
					   : "nothing to do",
				&err);
}

static int do_uninstall(struct kf_node *node, struct kf_report *r)
{
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

static int do_verify(struct kf_node *node, struct kf_report *r)
{
	struct kf_err err = {0};

	return kf_report_finish(r, "verify", kf_node_verify(node, &err), "as installed", &err);
}

static int do_plan(struct kf_node *node, struct kf_report *r)
{
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

		status = kf_payload_there(node, &payload.files[i], &there, &err);
		if (status == 0 && !there) {
			kf_report_say(r, "install", payload.files[i].path, "");
			changes = true;
		}
	}
	if (status == 0) {
		bool there;

		status = kf_node_profiles_there(node, &there, &err);
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

static int do_status(struct kf_node *node, struct kf_report *r)
{
	struct kf_err err = {0};
	const char *state = "";
	int status = kf_node_state(node, kf_report_say, r, &state, &err);

	return kf_report_finish(r, "status", status, state, &err);
}

static const struct {
	const char *name;
	int (*run)(struct kf_node *node, struct kf_report *r);
} actions[] = {
	{"install", do_install}, {"plan", do_plan},	      {"status", do_status},
	{"verify", do_verify},	 {"uninstall", do_uninstall},
};

static int parse(int argc, char **argv, struct kf_node_options *o, const char **handlers,
		 const char **profiles, struct kf_report *report)
{
	char *end;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_ROOT:
			o->host_root = optarg;
			break;
		case OPT_DISTRO:
			o->distribution = optarg;
			break;
		case OPT_CONTAINERD:
			o->containerd_config = optarg;
			break;
		case OPT_PROFILE:
			o->default_profile = optarg;
			break;
		case OPT_LAUNCHER:
			o->launcher = optarg;
			break;
		case OPT_PROFILES:
			*profiles = optarg;
			break;
		case OPT_PAYLOAD:
			o->payload = optarg;
			break;
		case OPT_SOCKET:
			o->nri_socket = optarg;
			break;
		case OPT_PLUGINS:
			o->nri_plugins = optarg;
			break;
		case OPT_CONFIG:
			o->nri_config = optarg;
			break;
		case OPT_NO_RESTART:
			o->restart = false;
			break;
		case OPT_HANDLER:
			if (o->nhandlers == KF_JOURNAL_HANDLERS)
				return kf_command_usage("node: more than %d handlers",
							KF_JOURNAL_HANDLERS);
			handlers[o->nhandlers++] = optarg;
			break;
		case OPT_TIMEOUT:
			o->timeout = (unsigned)strtoul(optarg, &end, 10);
			if (*end || !*optarg || o->timeout < 1 || o->timeout > 3600)
				return kf_command_usage(
					"node: --timeout: '%s' is not between 1 and "
					"3600 seconds",
					optarg);
			break;
		case 'o':
			if (!kf_report_format(report, optarg))
				return kf_command_usage("node: -o: '%s' is neither text nor json",
							optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		default:
			return KF_EXIT_USAGE; /* getopt has said why */
		}
	}
	return KF_EXIT_OK;
}

/* With command lines of their own. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} others[] = {
	{"agent", kf_node_agent_command},
	{"cleanup", kf_node_cleanup_command},
	{"programs", kf_node_programs_command},
};

int kf_cmd_node(int argc, char **argv)
{
	static const char *const default_handlers[] = {"nono-runc"};
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct kf_report report = KF_REPORT_INIT("node");
	char self[PATH_MAX];
	struct kf_node_options options = {
		.host_root = "/",
		.launcher = KF_NODE_LAUNCHER,
		.default_profile = "default",
		.nri_socket = "/var/run/nri/nri.sock",
		.nri_plugins = "/opt/nri/plugins",
		.nri_config = "/etc/nri/conf.d",
		.restart = true,
		.timeout = 120,
	};
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	const char *profiles = NULL;
	struct kf_node node;
	struct kf_err err;
	int status;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	for (size_t i = 0; argc > 1 && i < KF_ARRAY_SIZE(others); i++)
		if (strcmp(others[i].name, argv[1]) == 0)
			return others[i].run(argc - 1, argv + 1);
	status = parse(argc, argv, &options, handlers, &profiles, &report);

	if (status != KF_EXIT_OK)
		return status < 0 ? KF_EXIT_OK : status;
	if (argc - optind != 1)
		return kf_command_usage("node: one of install, plan, status, verify, uninstall is "
					"needed; 'kubefence node --help' tells more");
	options.handlers = options.nhandlers ? handlers : default_handlers;
	options.nhandlers = options.nhandlers ? options.nhandlers : 1;
	if (!options.payload)
		options.payload = kf_own_directory(self, sizeof(self)) ? self : ".";
	for (size_t i = 0; i < KF_ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, argv[optind]) != 0)
			continue;
		if (profiles && kf_node_profiles_compile(profiles, &arena, &options.profiles,
							 &options.nprofiles, &err) < 0)
			return kf_report_finish(&report, argv[optind], -1, "", &err);
		if (kf_node_open(&options, kf_report_say, &report, &node, &err) < 0)
			return kf_report_finish(&report, argv[optind], -1, "", &err);
		status = actions[i].run(&node, &report);
		kf_node_done(&node);
		return status;
	}
	return kf_command_usage("node: '%s' is none of install, plan, status, verify, uninstall",
				argv[optind]);
}

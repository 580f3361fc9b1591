/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata install */
#include "kubefence/kata.h"

static const char usage[] =
	"Usage: kubefence kata install [OPTION...]\n\n"
	"Registers a handler whose pods run in virtual machines of Kata's, with a\n"
	"configuration of its own that pods cannot change. Run it again after each change\n"
	"of Kata: it writes nothing if there is nothing to do.\n\n"
	"  --wait SECONDS           for kata-deploy to install Kata (default: 0)\n"
	"  --no-restart             do not restart the runtime; the administrator does\n"
	"  --timeout SECONDS        for the runtime to come back (default: "
	"120)\n" KF_KATA_USAGE_INSTALL KF_KATA_USAGE;

int kf_cmd_kata_install(int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	struct kf_node node;
	bool changed = false;
	int status;

	if (!kf_kata_cli_parse(argc, argv, usage, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status == 0) {
		status = kf_kata_install(&node, &cli.kata, &changed, &err);
		kf_node_done(&node);
	}
	return kf_report_finish(&cli.report, "install", status, changed ? "done" : "nothing to do",
				&err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata uninstall */
#include "kubefence/kata/kata.h"

static const char usage[] =
	"Usage: kubefence kata uninstall [OPTION...]\n\n"
	"Takes the handler back, its configuration and images. Not while pods use it: run\n"
	"it again then. Works without Kata as well.\n\n"
	"  --no-restart             do not restart the runtime; the administrator does\n"
	"  --timeout SECONDS        for the runtime to come back (default: 120)\n" KF_KATA_USAGE;

int kf_cmd_kata_uninstall(int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	struct kf_node node;
	bool kept = false, there = false;
	int status;

	if (!kf_kata_cli_parse(argc, argv, usage, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status == 0) {
		there = node.journal.nvms > 0;
		status = kf_kata_uninstall(&node, &kept, &err);
		kf_node_done(&node);
	}
	return kf_report_finish(&cli.report, "uninstall", status,
				status < 0 ? "failed"
				: kept	   ? "not finished, run again when no pod uses the handler"
				: there	   ? "done"
					   : "nothing to do",
				&err);
}

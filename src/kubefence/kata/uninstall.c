/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata uninstall: removes our handler.  The work is done in src/kata/kata.c. */
#include "kubefence/kata/kata.h"

static int run_uninstall(const struct kf_command *self, int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	struct kf_node node;
	bool kept = false, there = false;
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
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

const struct kf_command kf_cmd_kata_uninstall = {
	.name = "uninstall",
	.summary = "take the handler back",
	.about =
		"Takes the handler back, its configuration and images. Not while pods use it: run\n"
		"it again then. Works without Kata as well.",
	.options =
		(const struct kf_option[]){
			KF_KATA_OPTIONS_RESTART,
			KF_KATA_OPTIONS,
			{0},
		},
	.run = run_uninstall,
};

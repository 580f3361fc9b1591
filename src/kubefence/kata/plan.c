/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata plan: shows what install would change.  The plan is made in src/kata/kata.c. */
#include "kubefence/kata/kata.h"

/* Report what the plan has and the node does not have yet. */
static int report_missing(const struct kf_node *node, const struct kf_kata_plan *plan,
			  struct kf_report *report, bool *ret_changes, struct kf_err *err)
{
	for (size_t i = 0; plan->images[i]; i++) {
		if (kf_host_exists(&node->host, plan->images[i]))
			continue;
		*ret_changes = true;
		kf_report_say(report, "install", plan->images[i], "");
	}
	for (size_t i = 0; i < plan->payload.n; i++) {
		bool there;

		if (kf_payload_exists(node, &plan->payload.files[i], &there, err) < 0)
			return -1;
		if (there)
			continue;
		*ret_changes = true;
		kf_report_say(report, "install", plan->payload.files[i].path, "");
	}
	kf_report_say(report, "handler", plan->vm.name, plan->vm.config);
	if (kf_report_diff(report, &plan->node)) {
		*ret_changes = true;
		kf_report_say(report, "restart", node->distro->units[0], "");
	}
	return 0;
}

static int run_plan(const struct kf_command *self, int argc, char **argv)
{
	static struct kf_kata_plan plan; /* it is too large for the stack */
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	bool changes = false;
	struct kf_node node;
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status == 0) {
		status = kf_kata_plan(&node, &cli.kata, &plan, &err);
		if (status == 0) {
			status = report_missing(&node, &plan, &cli.report, &changes, &err);
			kf_kata_plan_done(&plan);
		}
		kf_node_done(&node);
	}
	return kf_report_finish(&cli.report, "plan", status,
				changes ? "nothing was written" : "nothing to do", &err);
}

const struct kf_command kf_cmd_kata_plan = {
	.name = "plan",
	.summary = "show what install would change, as a diff; writes nothing",
	.about = "Shows what install would do, with a diff; writes nothing.",
	.options =
		(const struct kf_option[]){
			KF_KATA_OPTIONS_INSTALL,
			KF_KATA_OPTIONS,
			{0},
		},
	.run = run_plan,
};

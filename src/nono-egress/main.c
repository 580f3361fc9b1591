/* SPDX-License-Identifier: Apache-2.0 */
/* nono-egress: the way out of a pod, by name.  The list of its commands. */
#include "cli/print.h"
#include "egress-node/serve.h"
#include "nono-egress/standalone.h"
#include "nono-egress/worker/worker.h"

#include <string.h>

int main(int argc, char **argv)
{
	static const struct kf_command *const commands[] = {&kf_broker_run, &kf_serve_command,
							    &kf_worker_command, NULL};
	static const struct kf_command nono_egress = {
		.name = "nono-egress",
		.about =
			"Lets programs reach hosts by name, and adds the keys that they never see.",
		.commands = commands,
	};

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		kf_print_line(stdout, "nono-egress %s", KF_VERSION);
		return KF_EXIT_OK;
	}
	return kf_command_main(&nono_egress, argc, argv);
}

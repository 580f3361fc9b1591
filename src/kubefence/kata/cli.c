/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of "kubefence kata" share: defaults, and a parser of command lines without
 * arguments.  The commands are listed in command.c. */
#include "kubefence/kata/kata.h"

bool kf_kata_cli_parse(const struct kf_command *self, int argc, char **argv,
		       struct kf_kata_cli *ret, int *ret_status)
{
	struct kf_arguments arguments;

	*ret = (struct kf_kata_cli){
		.node = {.host_root = "/",
			 .launcher = KF_NODE_LAUNCHER,
			 .default_profile = "default",
			 .restart = true,
			 .timeout = 120},
		.kata = {.share_dir = KF_KATA_SHARE,
			 .handler = KF_KATA_HANDLER,
			 .accelerators = "",
			 .seccomp_sandbox = KF_KATA_SECCOMP},
		.report = KF_REPORT_INIT,
	};
	return kf_command_parse(self, argc, argv, ret, &arguments, ret_status);
}

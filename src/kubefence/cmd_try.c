/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "kubefence/commands.h"

int kf_cmd_try(int argc, char **argv)
{
	(void)argc;
	return kf_command_usage("%s: not available in this build", argv[0]);
}

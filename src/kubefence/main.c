/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "kubefence/commands.h"

#include <stddef.h>

int main(int argc, char **argv)
{
#define TABLE_ROW(name, summary) {#name, summary, kf_cmd_##name},
	static const struct kf_command table[] = {KF_COMMANDS(TABLE_ROW){NULL, NULL, NULL}};
#undef TABLE_ROW

	return kf_command_dispatch(
		"kubefence", "Runs untrusted code in Kubernetes pods inside a kernel sandbox.",
		table, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata: pods in virtual machines. */
#include "kubefence/command.h"
#include "kubefence/commands.h"
#include "kubefence/kata/kata.h"

#include <stddef.h>

int kf_cmd_kata(int argc, char **argv)
{
#define TABLE_ROW(name, summary) {#name, summary, kf_cmd_kata_##name},
	static const struct kf_command table[] = {KF_KATA_COMMANDS(TABLE_ROW){NULL, NULL, NULL}};
#undef TABLE_ROW

	return kf_command_dispatch(
		"kubefence kata",
		"Kata Containers: the sandbox inside the virtual machine, on this node.", table,
		argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata: the list of its commands.  Each has a file of its own; the work is done in
 * src/kata. */
#include "kubefence/commands.h"
#include "kubefence/kata/kata.h"

static const struct kf_command *const commands[] = {
	&kf_cmd_kata_install,
	&kf_cmd_kata_plan,
	&kf_cmd_kata_status,
	&kf_cmd_kata_config,
	&kf_cmd_kata_policy,
	&kf_cmd_kata_inject,
	&kf_cmd_kata_verify,
	&kf_cmd_kata_fetch,
	&kf_cmd_kata_guest,
	&kf_cmd_kata_uninstall,
	NULL,
};

const struct kf_command kf_cmd_kata = {
	.name = "kata",
	.summary = "the sandbox in Kata Containers' virtual machines",
	.about = "Kata Containers: the sandbox inside the virtual machine, on this node.",
	.commands = commands,
};

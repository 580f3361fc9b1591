/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata fetch: copies the kernel or the root file system out of this container's image.
 * For init containers; src/kata/image.c puts them on the node. */
#include "kubefence/kata/kata.h"

static int run_fetch(const struct kf_command *self, int argc, char **argv)
{
	struct kf_arguments arguments;
	struct kf_err err;
	int kind, status;

	if (!kf_command_parse(self, argc, argv, NULL, &arguments, &status))
		return status;
	kind = kf_options_word("kernel|image", arguments.v[0]);
	if (kind < 0)
		return kf_command_usage("'%s' is neither kernel nor image", arguments.v[0]);
	return kf_kata_fetch(kind ? KF_KATA_ROOTFS : KF_KATA_KERNEL, arguments.v[1], &err) == 0
		       ? KF_EXIT_OK
		       : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_kata_fetch = {
	.name = "fetch",
	.summary = "bring kernel and root file system of this container image along",
	.arguments = "kernel|image FILE",
	.min = 2,
	.max = 2,
	.about = "Copies the guest kernel, or root file system, that this container's own image\n"
		 "holds to FILE, which is replaced as a whole.",
	.run = run_fetch,
};

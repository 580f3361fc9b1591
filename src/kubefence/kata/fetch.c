/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata fetch: for init containers whose image is the kernel or the root file system */
#include "kubefence/command.h"
#include "kubefence/kata/kata.h"

#include <stdio.h>
#include <string.h>

int kf_cmd_kata_fetch(int argc, char **argv)
{
	struct kf_err err;
	bool kernel = argc == 3 && strcmp(argv[1], "kernel") == 0;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs("Usage: kubefence kata fetch kernel|image FILE\n\n"
			     "Copies the guest kernel, or root file system, that this container's "
			     "own\n"
			     "image holds to FILE, which is replaced as a whole.\n",
			     stdout),
		       KF_EXIT_OK;
	if (argc != 3 || (!kernel && strcmp(argv[1], "image") != 0))
		return kf_command_usage("kata fetch: 'kernel FILE' or 'image FILE' is needed");
	return kf_kata_fetch(kernel ? KF_KATA_KERNEL : KF_KATA_ROOTFS, argv[2], &err) == 0
		       ? KF_EXIT_OK
		       : kf_command_fail("kata fetch: %s", err.msg);
}

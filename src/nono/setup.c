/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/command.h"
#include "sandbox/landlock.h"

#include <stdio.h>
#include <string.h>

static void line(int abi, int since, const char *what)
{
	(void)printf("  %-3s  %s (ABI %d)\n", abi >= since ? "yes" : "no", what, since);
}

int kf_command_setup(char **argv)
{
	struct kf_err err;
	int abi;

	if (!*argv || strcmp(*argv, "--check-only") != 0 || argv[1]) {
		kf_err_set(&err, EINVAL, "setup: only --check-only; there is nothing to set up");
		return kf_command_usage(&err);
	}
	if (kf_landlock_probe(&abi, &err) < 0) {
		(void)fprintf(stderr, "nono: %s\n", err.msg);
		return KF_EXIT_FAILED;
	}
	(void)printf("Landlock ABI %d\n", abi);
	line(abi, 1, "files: read, write, execute, make, remove");
	line(abi, 2, "files: rename and link between directories");
	line(abi, 3, "files: truncate");
	line(abi, KF_LANDLOCK_ABI_NET, "TCP ports: net connect, net bind");
	line(abi, 5, "devices: ioctl");
	line(abi, KF_LANDLOCK_ABI_SCOPE, "scopes: signal, abstract unix sockets");
	line(abi, 7, "denials in the audit log");
	line(abi, 9, "pathname unix sockets");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* "nono setup --check-only": says what this kernel's Landlock can do. */
#include "base/cleanup.h"
#include "nono/command.h"
#include "nono/report.h"
#include "sandbox/landlock.h"

#include <string.h>

static const struct {
	int since;
	char what[44];
} features[] = {
	{1, "files: read, write, execute, make, remove"},
	{2, "files: rename and link across directories"},
	{3, "files: truncate"},
	{KF_LANDLOCK_ABI_NET, "TCP ports: net connect, net bind"},
	{5, "devices: ioctl"},
	{KF_LANDLOCK_ABI_SCOPE, "scope signal, scope abstract"},
	{7, "denials in the audit log"},
	{9, "unix sockets by path"},
	{KF_LANDLOCK_ABI_UDP, "UDP ports: connect-udp, bind-udp"},
	{KF_LANDLOCK_ABI_QUIET, "fs quiet"},
};

int kf_nono_setup(char **argv)
{
	struct kf_err err;
	int abi;

	if (!*argv || strcmp(*argv, "--check-only") != 0 || argv[1]) {
		kf_err_set(&err, EINVAL, "setup: only --check-only");
		return kf_nono_usage(&err);
	}
	if (kf_landlock_probe(&abi, &err) < 0) {
		kf_nono_print(STDERR_FILENO, "nono: %s\n", err.msg);
		return KF_EXIT_FAILED;
	}
	kf_nono_print(STDOUT_FILENO, "Landlock ABI %d\n", abi);
	for (size_t i = 0; i < KF_ARRAY_SIZE(features); i++)
		kf_nono_print(STDOUT_FILENO, "  %-3s  %s (ABI %d)\n",
			      abi >= features[i].since ? "yes" : "no", features[i].what,
			      features[i].since);
	if (abi > KF_LANDLOCK_ABI_MAX)
		kf_nono_print(STDOUT_FILENO, "newer than ABI %d, as which this launcher uses it\n",
			      KF_LANDLOCK_ABI_MAX);
	return 0;
}

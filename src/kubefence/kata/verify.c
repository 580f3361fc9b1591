/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata verify, and what it starts in the machine */
#include "kubefence/command.h"
#include "kubefence/kata/kata.h"
#include "kubefence/print.h"
#include "sandbox/landlock.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static const char usage[] =
	"Usage: kubefence kata verify [OPTION...]\n\n"
	"Checks the handler's files and configuration, then starts virtual machines with\n"
	"them (through containerd's ctr; nothing of the cluster's is touched) and sees from\n"
	"inside whether the sandbox holds. Exit code 1 if not.\n\n" KF_KATA_USAGE;

int kf_cmd_kata_verify(int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	struct kf_node node;
	int status;

	if (!kf_kata_cli_parse(argc, argv, usage, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status == 0) {
		status = kf_kata_verify(&node, cli.kata.handler, cli.node.launcher,
					cli.node.default_profile, &err);
		kf_node_done(&node);
	}
	return kf_report_finish(&cli.report, "verify", status, "the sandbox holds", &err);
}

int kf_cmd_kata_guest(int argc, char **argv)
{
	struct timespec up = {0};
	struct utsname u;
	struct kf_err err;
	int abi = 0;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs("Usage: kubefence kata guest\n\nPrints which kernel this is; "
			     "'verify' starts it in a machine.\n",
			     stdout),
		       KF_EXIT_OK;
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	if (uname(&u) < 0)
		return kf_command_fail("kata guest: uname");
	(void)kf_landlock_probe(&abi, &err);
	kf_print_line(stdout, "kernel %s", u.release);
	kf_print_line(stdout, "uptime %lld.%03ld", (long long)up.tv_sec, up.tv_nsec / 1000000);
	kf_print_line(stdout, "landlock %d", abi);
	return KF_EXIT_OK;
}

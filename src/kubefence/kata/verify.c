/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata verify, and "kata guest", which it starts in the virtual machine.  The checks are
 * in src/kata/verify.c. */
#include "cli/print.h"
#include "kubefence/kata/kata.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static int run_verify(const struct kf_command *self, int argc, char **argv)
{
	struct kf_err err = {0};
	struct kf_kata_cli cli;
	struct kf_node node;
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status == 0) {
		status = kf_kata_verify(&node, cli.kata.handler, cli.node.launcher,
					cli.node.default_profile, &err);
		kf_node_done(&node);
	}
	return kf_report_finish(&cli.report, "verify", status, "the sandbox holds", &err);
}

static int run_guest(const struct kf_command *self, int argc, char **argv)
{
	struct kf_arguments arguments;
	int status;
	struct timespec up = {0};
	struct utsname u;
	struct kf_err err;
	int abi = 0;

	if (!kf_command_parse(self, argc, argv, NULL, &arguments, &status))
		return status;
	(void)clock_gettime(CLOCK_BOOTTIME, &up);
	if (uname(&u) < 0)
		return kf_command_fail("uname: %s", strerror(errno));
	(void)kf_landlock_probe(&abi, &err);
	kf_print_line(stdout, "kernel %s", u.release);
	kf_print_line(stdout, "uptime %lld.%03ld", (long long)up.tv_sec, up.tv_nsec / 1000000);
	kf_print_line(stdout, "landlock %d", abi);
	return KF_EXIT_OK;
}

const struct kf_command kf_cmd_kata_verify = {
	.name = "verify",
	.summary = "start machines and see that the sandbox holds in them",
	.about = "Checks the handler's files and configuration, then starts virtual machines with\n"
		 "them (through containerd's ctr; nothing of the cluster's is touched) and sees "
		 "from\n"
		 "inside whether the sandbox holds. Exit code 1 if not.",
	.options =
		(const struct kf_option[]){
			KF_KATA_OPTIONS,
			{0},
		},
	.run = run_verify,
};

const struct kf_command kf_cmd_kata_guest = {
	.name = "guest",
	.summary = "what verify starts in the machine",
	.about = "Prints which kernel this is; 'verify' starts it in a machine.",
	.run = run_guest,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* nono: put this process into the sandbox of a profile, then become the workload. */
#include "base/cleanup.h"
#include "nono/command.h"
#include "nono/report.h"

#include <string.h>

static const struct {
	char name[8], help[80];
	int (*run)(char **argv);
} commands[] = {
	{"wrap", "wrap [--profile NAME] [OPTIONS] [--] PROGRAM [ARG...]", kf_command_wrap},
	{"why", "why [--json] [--profile NAME] --path PATH --op read|write|exec|connect",
	 kf_command_why},
	{"setup", "setup --check-only", kf_command_setup},
};

static const char options[] = "options of wrap:\n"
			      "  -p, --profile NAME   policy to apply (default: default)\n"
			      "  --policy-fd N        read the policy from this descriptor\n"
			      "  --workdir DIR        change to DIR first\n"
			      "  --block-net          no network, whatever the profile says\n"
			      "  --open-port PORT     TCP port to connect to and to listen on\n"
			      "  --allow-connect-port PORT\n"
			      "                       TCP port to connect to\n"
			      "  -a, --allow DIR      read, write and execute below DIR as well\n"
			      "  -r, --read DIR       read and execute\n"
			      "  -w, --write DIR      write\n"
			      "  --allow-file, --read-file, --write-file FILE\n"
			      "  --dry-run            print what it grants, run nothing\n"
			      "  -v, --verbose        print it and run\n"
			      "  -s, --silent         the default\n";

static void help(int out)
{
	kf_print(out, "usage:\n");
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		kf_print(out, "  nono %s\n", commands[i].help);
	kf_print(out, "  nono --help | --version\n");
	kf_print(out, "%s", options);
}

int kf_command_help(void)
{
	help(STDOUT_FILENO);
	return 0;
}

int kf_command_usage(const struct kf_err *err)
{
	kf_print(STDERR_FILENO, "nono: %s (see nono --help)\n", err->msg);
	return KF_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct kf_err err;

	(void)argc;
	/* "nono -s wrap ..." is accepted as well. */
	while (*argv && argv[1] && (strcmp(argv[1], "-s") == 0 || strcmp(argv[1], "--silent") == 0))
		argv++;
	if (!*argv || !argv[1]) {
		help(STDERR_FILENO);
		return KF_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return kf_command_help();
	if (strcmp(argv[1], "--version") == 0) {
		kf_print(STDOUT_FILENO, "nono " KF_VERSION "\n");
		return 0;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	kf_err_set(&err, EINVAL, "there is no command '%s'", argv[1]);
	return kf_command_usage(&err);
}

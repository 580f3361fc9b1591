/* SPDX-License-Identifier: Apache-2.0 */
/* nono: put this process into the sandbox of a profile, then become the workload. */
#include "base/cleanup.h"
#include "nono/command.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(char **argv);
	const char *help;
} commands[] = {
	{"wrap", kf_command_wrap, "wrap [--profile NAME] [OPTIONS] [--] PROGRAM [ARG...]"},
	{"why", kf_command_why, "why [--profile NAME] --path PATH --op read|write|exec"},
	{"setup", kf_command_setup, "setup --check-only"},
};

static const char options[] =
	"options of wrap:\n"
	"  -p, --profile NAME     policy to apply (default: default)\n"
	"      --policy-fd N      read the policy from this descriptor and close it\n"
	"      --workdir DIR      change to DIR first\n"
	"      --block-net        no network, whatever the profile says\n"
	"  -a, --allow DIR        read, write and execute below DIR as well\n"
	"  -r, --read DIR         read and execute below DIR as well\n"
	"  -w, --write DIR        write below DIR as well\n"
	"      --allow-file, --read-file, --write-file FILE   the same for one file\n"
	"      --dry-run          print what would be accessible; run nothing\n"
	"  -v, --verbose          print it before running\n"
	"  -s, --silent           no warnings\n";

static void help(FILE *out)
{
	(void)fputs("usage:\n", out);
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		(void)fprintf(out, "  nono %s\n", commands[i].help);
	(void)fputs("  nono --help | --version\n", out);
	(void)fputs(options, out);
}

int kf_command_usage(const struct kf_err *err)
{
	(void)fprintf(stderr, "nono: %s (see nono --help)\n", err->msg);
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
		help(stderr);
		return KF_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("nono " KF_VERSION);
		return 0;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	kf_err_set(&err, EINVAL, "there is no command '%s'", argv[1]);
	return kf_command_usage(&err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What nono says about its command line. */
#include "base/cleanup.h"
#include "flat/launcher.h"
#include "nono/command.h"
#include "nono/report.h"

static const char commands[] =
	"usage:\n"
	"  nono wrap [--profile NAME] [OPTIONS] [--] PROGRAM [ARG...]\n"
	"  nono run --profile NAME -- PROGRAM [ARG...]\n"
	"  nono bwrap [OPTIONS] [--] PROGRAM [ARG...]\n"
	"  nono why [--json] [--profile NAME] --path PATH --op read|write|exec|connect\n"
	"  nono setup --check-only\n"
	"  nono --help | --version\n";

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

void kf_nono_print_help(int out)
{
	kf_nono_print(out, "%s%s", commands, options);
}

int kf_nono_help(void)
{
	kf_nono_print_help(STDOUT_FILENO);
	return 0;
}

int kf_nono_bwrap(char **argv)
{
	struct kf_err err;

	/* argv[-1] is the command's name. */
	(void)execv(KF_LAUNCHER_INNER_DIR "/bwrap", argv - 1);
	kf_err_set_sys(&err, "cannot start '" KF_LAUNCHER_INNER_DIR
			     "/bwrap', which a profile asks for with inner_sandbox");
	return kf_nono_usage(&err);
}

int kf_nono_usage(const struct kf_err *err)
{
	kf_nono_print(STDERR_FILENO, "nono: %s (see nono --help)\n", err->msg);
	return KF_EXIT_USAGE;
}

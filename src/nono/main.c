/* SPDX-License-Identifier: Apache-2.0 */
/* nono: put this process into the sandbox of a profile, then become the workload. */
#include "base/cleanup.h"
#include "nono/command.h"
#include "nono/report.h"

#include <string.h>
#include <unistd.h>

static const struct {
	char name[8];
	int (*run)(char **argv);
} commands[] = {
	{"wrap", kf_nono_wrap},
	/* The same for people in a container: a sandbox within its own one, only ever narrower. */
	{"run", kf_nono_wrap},
	{"bwrap", kf_nono_bwrap},
	{"why", kf_nono_why},
	{"setup", kf_nono_setup},
};

int main(int argc, char **argv)
{
	struct kf_err err;

	(void)argc;
	/* "nono -s wrap ..." is accepted as well. */
	while (*argv && argv[1] && (strcmp(argv[1], "-s") == 0 || strcmp(argv[1], "--silent") == 0))
		argv++;
	if (!*argv || !argv[1]) {
		kf_nono_print_help(STDERR_FILENO);
		return KF_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return kf_nono_help();
	if (strcmp(argv[1], "--version") == 0) {
		kf_nono_print(STDOUT_FILENO, "nono " KF_VERSION "\n");
		return 0;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	kf_err_set(&err, EINVAL, "there is no command '%s'", argv[1]);
	return kf_nono_usage(&err);
}

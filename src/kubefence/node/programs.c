/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node programs: out of the image */
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/command.h"
#include "kubefence/node/commands.h"
#include "kubefence/print.h"
#include "node/node.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM_MAX (64 * 1024 * 1024)

static const char usage[] =
	"Usage: kubefence node programs --to DIR\n"
	"       kubefence node programs --host-root DIR [--launcher PATH]\n\n"
	"Brings the programs that lie beside this one to another place; each file is replaced\n"
	"atomically, and only if it differs.\n\n"
	"  --to DIR          all of them into DIR\n"
	"  --host-root DIR   launcher and guard to their places on the node whose root is\n"
	"                    mounted there; no runtime is configured\n"
	"  --launcher PATH   nono_bin_path (default: " KF_NODE_LAUNCHER ")\n"
	"  --payload DIR     where the programs are (default: beside this one)\n";

static const char *const programs[] = {"kubefence", "nono", "nono-nri", "nono-runc"};

static void say(void *ctx, const char *action, const char *object, const char *detail)
{
	(void)ctx;
	(void)detail;
	kf_print_line(stdout, "%s %s", action, object);
}

static int copy(int from, int to, const char *name, struct kf_err *err)
{
	KF_FREE char *data = NULL;
	KF_FREE char *old = NULL;
	size_t n, nold;

	if (kf_file_slurp(from, name, PROGRAM_MAX, &data, &n, err) < 0)
		return -1;
	if (kf_file_slurp(to, name, PROGRAM_MAX, &old, &nold, NULL) == 0 && n == nold &&
	    memcmp(old, data, n) == 0 && faccessat(to, name, X_OK, 0) == 0)
		return 0;
	if (kf_file_replace(to, name, data, n, 0755, err) < 0)
		return -1;
	say(NULL, "installed", name, "");
	return 0;
}

static int copy_all(const char *payload, const char *to, struct kf_err *err)
{
	KF_CLOSE int from = open(payload, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	KF_CLOSE int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from < 0 || target < 0)
		return kf_fail_sys(err, "directory '%s'", from < 0 ? payload : to);
	for (size_t i = 0; i < KF_ARRAY_SIZE(programs); i++)
		if (copy(from, target, programs[i], err) < 0)
			return -1;
	return 0;
}

int kf_node_programs_command(int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'},
		{"host-root", required_argument, NULL, 'r'},
		{"launcher", required_argument, NULL, 'l'},
		{"payload", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct kf_node_options o = {.launcher = KF_NODE_LAUNCHER};
	const char *to = NULL;
	char self[PATH_MAX];
	struct kf_err err;
	bool changed;
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 't')
			to = optarg;
		else if (c == 'r')
			o.host_root = optarg;
		else if (c == 'l')
			o.launcher = optarg;
		else if (c == 'p')
			o.payload = optarg;
		else if (c == 'h')
			return fputs(usage, stdout), KF_EXIT_OK;
		else
			return KF_EXIT_USAGE;
	}
	if (optind != argc || !to == !o.host_root)
		return kf_command_usage("node programs: one of --to and --host-root is needed, and "
					"nothing else");
	if (!o.payload)
		o.payload = kf_own_directory(self, sizeof(self)) ? self : ".";
	r = to ? copy_all(o.payload, to, &err) : kf_node_programs(&o, say, NULL, &changed, &err);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("node programs: %s", err.msg);
}

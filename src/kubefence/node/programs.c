/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node programs: copies the programs out of the image, to a directory or to a node.  The
 * latter is done in src/node/programs.c. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "cli/print.h"
#include "kubefence/node/commands.h"
#include "kubefence/options.h"
#include "node/node.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM_MAX (64 * 1024 * 1024)

static const char *const programs[] = {"kubefence", "nono", "nono-bwrap", "nono-nri", "nono-runc"};

static void print_action(void *ctx, const char *action, const char *object, const char *detail)
{
	(void)ctx;
	(void)detail;
	kf_print_line(stdout, "%s %s", action, object);
}

static int copy_program(int from, int to, const char *name, struct kf_err *err)
{
	KF_FREE char *data = NULL;
	KF_FREE char *old = NULL;
	size_t n, nold;

	if (kf_file_slurp(from, name, PROGRAM_MAX, &data, &n, err) < 0)
		return -1;
	if (kf_file_slurp(to, name, PROGRAM_MAX, &old, &nold, KF_ERR_IGNORED) == 0 && n == nold &&
	    memcmp(old, data, n) == 0 && faccessat(to, name, X_OK, 0) == 0)
		return 0;
	if (kf_file_replace(to, name, data, n, 0755, err) < 0)
		return -1;
	print_action(NULL, "installed", name, "");
	return 0;
}

static int copy_all(const char *payload, const char *to, struct kf_err *err)
{
	KF_CLOSE int from = open(payload, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	KF_CLOSE int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from < 0 || target < 0)
		return kf_fail_sys(err, "directory '%s'", from < 0 ? payload : to);
	for (size_t i = 0; i < KF_ARRAY_SIZE(programs); i++)
		if (copy_program(from, target, programs[i], err) < 0)
			return -1;
	return 0;
}

struct programs_line {
	struct kf_node_options node;
	const char *to;
};

static int run_programs(const struct kf_command *self, int argc, char **argv)
{
	struct programs_line l = {.node = {.launcher = KF_NODE_LAUNCHER}};
	struct kf_arguments arguments;
	char self_dir[PATH_MAX];
	struct kf_err err;
	bool changed;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	if (!l.to == !l.node.host_root)
		return kf_command_usage("one of --to and --host-root is needed");
	if (!l.node.payload)
		l.node.payload = kf_own_directory(self_dir, sizeof(self_dir)) ? self_dir : ".";
	if (kf_node_options_check(&l.node, &err) < 0)
		return kf_command_fail("%s", err.msg);
	status = l.to ? copy_all(l.node.payload, l.to, &err)
		      : kf_node_programs(&l.node, print_action, NULL, &changed, &err);
	return status == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_node_programs = {
	.name = "programs",
	.summary = "bring the programs of this image to a directory or a host",
	.about = "Brings the programs that lie beside this one to another place; each file is\n"
		 "replaced atomically, and only if it differs.",
	.options =
		(const struct kf_option[]){
			{
				.name = "to",
				.kind = KF_OPTION_STRING,
				.value = "DIR",
				KF_OPTION_AT(struct programs_line, to),
				.help = "all of them into DIR",
			},
			{
				.name = "host-root",
				.kind = KF_OPTION_STRING,
				.value = "DIR",
				KF_OPTION_AT(struct programs_line, node.host_root),
				.help = "launcher and guard to their places on the node whose root "
					"is mounted there; no runtime is configured",
			},
			KF_OPT_LAUNCHER(struct programs_line, node.launcher),
			KF_OPT_PAYLOAD(struct programs_line, node.payload),
			{0},
		},
	.run = run_programs,
};

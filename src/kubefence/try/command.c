/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence try: its options.  The container is run by run.c. */
#include "base/cleanup.h"
#include "kubefence/commands.h"
#include "kubefence/try/alone.h"

#include <limits.h>

static const struct kf_option options[] = {
	TRY_ROW('p', "profile", "PROFILE", STRING, profile,
		"profile, as the pod annotation nono.sh/profile would name it, or a file "
		"NAME.json"),
	TRY_ROWS,
	TRY_ROW(0, "plain", NULL, SET, plain,
		"no plugin, no launcher, no guard: the bare container"),
	TRY_ROW(0, "no-guard", NULL, SET, no_guard, "the plugin alone, without the runtime guard"),
	TRY_ROW(0, "no-container", NULL, SET, no_container,
		"the launcher alone, on this machine's own files, and the egress broker if the "
		"profile has hosts; needs no root.  What COMMAND writes stays"),
	{0},
};

static int run_try(const struct kf_command *self, int argc, char **argv)
{
	struct kf_arguments arguments;
	struct try_options o;
	int status;

	try_options_init(&o);
	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	o.command = arguments.v;
	o.ncommand = arguments.n;
	if (o.no_container)
		return try_alone_run(&o);
	if (geteuid() != 0)
		return kf_command_fail("needs root: it mounts a root file system and runs a "
				       "container; --no-container does without, on this machine's "
				       "own files");
	return try_run(&o, NULL);
}

const struct kf_command kf_cmd_try = {
	.name = "try",
	.summary = "run a command as a sandboxed container of this machine, without a cluster",
	.arguments = "[--] COMMAND [ARGUMENT...]",
	.min = 1,
	.max = INT_MAX,
	.about = "Runs COMMAND as a sandboxed container of this machine, without containerd or a\n"
		 "cluster: plays the container runtime to a real nono-nri process, applies its\n"
		 "answer and runs the result. Nothing that COMMAND writes to the root file\n"
		 "system stays. A profile with hosts has the egress broker, as on a node; which\n"
		 "hosts it refused is told at the end. Needs root, but with --no-container.",
	.after = "The exit status is the command's own; 1 if it could not be run, 2 if this\n"
		 "command line is wrong.",
	.options = options,
	.style = KF_OPTIONS_STOP,
	.run = run_try,
};

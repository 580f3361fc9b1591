/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence review: the list of its commands. */
#include "kubefence/commands.h"
#include "kubefence/review/review.h"

#include <signal.h>

static const struct kf_command *const commands[] = {&kf_cmd_review_list,   &kf_cmd_review_diff,
						    &kf_cmd_review_commit, &kf_cmd_review_discard,
						    &kf_cmd_review_wait,   NULL};

/* What the chart's pod runs, into which "kubectl nono" enters. */
static int run_wait(const struct kf_command *self, int argc, char **argv)
{
	struct kf_arguments arguments;
	sigset_t ends;
	int nothing, status;

	if (!kf_command_parse(self, argc, argv, &nothing, &arguments, &status))
		return status;
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	return sigwait(&ends, &nothing) ? KF_EXIT_FAILED : KF_EXIT_OK;
}

const struct kf_command kf_cmd_review_wait = {
	.name = "wait",
	.summary = "do nothing until SIGTERM",
	.about = "What the chart's pod runs, into which 'kubectl nono diff' and the like enter.",
	.options = (const struct kf_option[]){{0}},
	.run = run_wait,
	.hidden = true,
};

const struct kf_command kf_cmd_review = {
	.name = "review",
	.summary = "changes of pods to their volumes: look, commit, discard",
	.about = "Pods with the annotation nono.sh/volume.NAME=review write beside that volume,\n"
		 "and this node keeps what they write until somebody commits or discards it.",
	.commands = commands,
};

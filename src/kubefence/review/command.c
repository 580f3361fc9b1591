/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence review: the list of its commands. */
#include "kubefence/commands.h"
#include "kubefence/review/review.h"

static const struct kf_command *const commands[] = {&kf_cmd_review_list, &kf_cmd_review_diff,
						    &kf_cmd_review_commit, &kf_cmd_review_discard,
						    NULL};

const struct kf_command kf_cmd_review = {
	.name = "review",
	.summary = "changes of pods to their volumes: look, commit, discard",
	.about = "Pods with the annotation nono.sh/volume.NAME=review write beside that volume,\n"
		 "and this node keeps what they write until somebody commits or discards it.",
	.commands = commands,
};

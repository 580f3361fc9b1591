/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata status: which Kata is installed, and whether our handler is as install left it. */
#include "kubefence/kata/kata.h"

#include <string.h>

static void report_kata(const struct kf_kata *kata, struct kf_report *r)
{
	static const char *const landlock[] = {"no", "yes", "unknown"};

	kf_report_say(r, "kata", *kata->version ? kata->version : "unknown",
		      kata->rust ? "Rust runtime" : "Go runtime");
	kf_report_say(r, "runtime", kata->shim, "");
	kf_report_say(r, "config", kata->config, "");
	kf_report_say(r, "kernel", kata->kernel, "");
	kf_report_say(r, "image", *kata->image ? kata->image : "none",
		      !*kata->image  ? "it is an initrd"
		      : kata->nvdimm ? "an NVDIMM"
				     : "a disk");
	kf_report_say(r, "landlock", landlock[kata->landlock], kata->why);
}

static int report_handlers(const struct kf_node *node, struct kf_report *r, struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;
	kf_digest now;

	for (size_t i = 0; i < j->nvms; i++) {
		bool there = kf_host_exists(&node->host, j->vms[i].shim);

		kf_report_say(r, "handler", j->vms[i].name,
			      there ? j->vms[i].config
				    : "Kata is gone: its pods cannot start; 'kubefence kata "
				      "uninstall' takes it back");
	}
	for (size_t i = 0; i < j->nfiles; i++) {
		if (strncmp(j->files[i].path, KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) != 0)
			continue;
		if (kf_journal_digest(&node->host, j->files[i].path, now, err) < 0)
			return -1;
		kf_report_say(r, "file", j->files[i].path,
			      strcmp(now, j->files[i].sum) == 0	    ? ""
			      : strcmp(now, KF_JOURNAL_ABSENT) == 0 ? "missing"
								    : "changed since");
	}
	return 0;
}

static int run_status(const struct kf_command *self, int argc, char **argv)
{
	struct kf_err err = {0}, why = {0};
	struct kf_kata_cli cli;
	struct kf_arena arena;
	struct kf_kata kata;
	struct kf_node node;
	const char *state = "";
	char note[256];
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
		return status;
	status = kf_node_open(&cli.node, kf_report_say, &cli.report, &node, &err);
	if (status < 0)
		return kf_report_finish(&cli.report, "status", status, "", &err);
	kf_arena_init(&arena, KF_KATA_MEMORY);
	if (kf_kata_find(&node.host, cli.kata.share_dir, cli.kata.config, &arena, &kata, &why) == 0)
		report_kata(&kata, &cli.report);
	else
		kf_report_say(&cli.report, "kata", "none", why.msg);
	status = report_handlers(&node, &cli.report, &err);
	if (status == 0)
		status = kf_kata_note(&node.host, note, &err);
	if (status == 0 && *note)
		kf_report_say(&cli.report, "note", KF_KATA_HANDLER, note);
	state = node.journal.busy      ? "interrupted, run install or uninstall again"
		: !node.journal.nvms   ? "not installed"
		: node.journal.pending ? "installed, restart pending"
				       : "installed";
	kf_arena_done(&arena);
	kf_node_done(&node);
	return kf_report_finish(&cli.report, "status", status, state, &err);
}

const struct kf_command kf_cmd_kata_status = {
	.name = "status",
	.summary = "which Kata is here, and what of it is ours",
	.about = "Which Kata is here, and whether our handler is as install left it.",
	.options =
		(const struct kf_option[]){
			KF_KATA_OPTIONS,
			{0},
		},
	.run = run_status,
};

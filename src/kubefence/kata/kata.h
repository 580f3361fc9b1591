/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of "kubefence kata" share: their values and the rows of their option tables. */
#ifndef KF_KUBEFENCE_KATA_KATA_H
#define KF_KUBEFENCE_KATA_KATA_H

#include "kata/kata.h"
#include "kubefence/report.h"

extern const struct kf_command kf_cmd_kata_install, kf_cmd_kata_plan, kf_cmd_kata_status,
	kf_cmd_kata_config, kf_cmd_kata_policy, kf_cmd_kata_inject, kf_cmd_kata_verify,
	kf_cmd_kata_fetch, kf_cmd_kata_guest, kf_cmd_kata_uninstall;

/* The values that these commands share. */
struct kf_kata_cli {
	struct kf_node_options node;
	struct kf_kata_options kata;
	struct kf_report report;
	unsigned every; /* install: seconds, 0 = once */
	const char *ready_file;
};

/* Parse the command line of one of these commands, which has no arguments, as kf_command_parse()
 * does. */
bool kf_kata_cli_parse(const struct kf_command *self, int argc, char **argv,
		       struct kf_kata_cli *ret, int *ret_status);

/* Rows of their tables. */
#define KF_KATA_OPT(name_, value_, member, help_)                             \
	{                                                                     \
		.name = (name_), .kind = KF_OPTION_STRING, .value = (value_), \
		KF_OPTION_AT(struct kf_kata_cli, member), .help = (help_)     \
	}
#define KF_KATA_OPT_HANDLER \
	KF_KATA_OPT("handler", "NAME", kata.handler, "ours (default: " KF_KATA_HANDLER ")")
/* All commands about what is on the node. */
#define KF_KATA_OPTIONS                                                                  \
	KF_OPT_HOST_ROOT(struct kf_kata_cli, node.host_root),                            \
		KF_OPT_DISTRIBUTION(struct kf_kata_cli, node.distribution),              \
		KF_KATA_OPT("share-dir", "DIR", kata.share_dir,                          \
			    "kata.shareDir (default: " KF_KATA_SHARE ")"),               \
		KF_KATA_OPT("config", "FILE", kata.config,                               \
			    "kata.qemuConfigPath (default: where kata-deploy puts it)"), \
		KF_KATA_OPT_HANDLER, KF_OPT_OUTPUT(struct kf_kata_cli, report.output)
/* What install makes. */
#define KF_KATA_OPTIONS_INSTALL                                                         \
	KF_KATA_OPT("kernel", "FILE", kata.kernel,                                      \
		    "guest kernel with Landlock, used if Kata's has none"),             \
		KF_KATA_OPT("image", "FILE", kata.image,                                \
			    "guest root file system instead of Kata's"),                \
		KF_KATA_OPT("image-for", "RELEASE", kata.image_for,                     \
			    "use it with that release of Kata only, such as 3.28"),     \
		KF_KATA_OPT("seccomp-sandbox", "LIST", kata.seccomp_sandbox,            \
			    "QEMU's own, \"\" = off (default: " KF_KATA_SECCOMP ")"),   \
		KF_KATA_OPT("accelerators", "LIST", kata.accelerators,                  \
			    "QEMU's machine accelerators (default: as Kata has them)"), \
	{                                                                               \
		.name = "disable-guest-seccomp", .kind = KF_OPTION_SET,                 \
		KF_OPTION_AT(struct kf_kata_cli, kata.disable_guest_seccomp),           \
		.help = "no seccomp filters in the guest"                               \
	}
/* Commands that write. */
#define KF_KATA_OPTIONS_RESTART                              \
	KF_OPT_NO_RESTART(struct kf_kata_cli, node.restart), \
		KF_OPT_TIMEOUT(struct kf_kata_cli, node.timeout)

#endif

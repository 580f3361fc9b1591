/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_KATA_KATA_H
#define KF_KUBEFENCE_KATA_KATA_H

#include "kata/kata.h"
#include "kubefence/report.h"

/* X(name, summary): one line a subcommand of "kubefence kata"; kf_cmd_kata_<name>()
 * lives in kata_<name>.c and is a command as in command.h. */
#define KF_KATA_COMMANDS(X)                                                            \
	X(install, "register a handler whose pods are sandboxed in a virtual machine") \
	X(plan, "show what install would change, as a diff; writes nothing")           \
	X(status, "which Kata is here, and what of it is ours")                        \
	X(config, "a handler's configuration as Kata computes it")                     \
	X(policy, "the policy for Kata's agent: nothing starts but in the sandbox")    \
	X(inject, "put launcher, profiles and policy into a guest's image")            \
	X(verify, "start machines and see that the sandbox holds in them")             \
	X(fetch, "bring kernel and root file system of this container image along")    \
	X(guest, "what verify starts in the machine")                                  \
	X(uninstall, "take the handler back")

#define KF_DECLARE_KATA(name, summary) int kf_cmd_kata_##name(int argc, char **argv);
KF_KATA_COMMANDS(KF_DECLARE_KATA)
#undef KF_DECLARE_KATA

/* The options that these commands share, with their defaults, and the node. */
struct kf_kata_cli {
	struct kf_node_options node;
	struct kf_kata_options kata;
	struct kf_report report;
	unsigned every; /* install: seconds, 0 = once */
	const char *ready_file;
};

/* Parse them; what a command is for is its @usage.  *ret_status is the exit code
 * if the command is to end at once (false): wrong, or --help. */
bool kf_kata_cli_parse(int argc, char **argv, const char *usage, struct kf_kata_cli *ret,
		       int *ret_status);
/* The part of each usage that tells of the shared options. */
#define KF_KATA_USAGE                                                                           \
	"  --host-root DIR          where the node's root is mounted (default: /)\n"            \
	"  --distribution NAME      see 'kubefence node --help'\n"                              \
	"  --share-dir DIR          kata.shareDir (default: " KF_KATA_SHARE ")\n"               \
	"  --config FILE            kata.qemuConfigPath (default: where kata-deploy puts it)\n" \
	"  --handler NAME           ours (default: " KF_KATA_HANDLER ")\n"                      \
	"  -o text|json             output format\n"
#define KF_KATA_USAGE_INSTALL                                                                  \
	"  --kernel FILE            guest kernel with Landlock, used if Kata's has none\n"     \
	"  --image FILE             guest root file system instead of Kata's\n"                \
	"  --image-for RELEASE      use it with that release of Kata only, such as 3.28\n"     \
	"  --seccomp-sandbox LIST   QEMU's own, \"\" = off (default:\n"                        \
	"                           " KF_KATA_SECCOMP ")\n"                                    \
	"  --accelerators LIST      QEMU's machine accelerators (default: as Kata has them)\n" \
	"  --disable-guest-seccomp  no seccomp filters in the guest\n"

#endif

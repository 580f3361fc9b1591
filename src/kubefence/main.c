/* SPDX-License-Identifier: Apache-2.0 */
/* The program kubefence, and kubectl-nono if it is started by that name: the list of its commands.
 * Each command has a folder of its own. */
#include "base/path.h"
#include "kubefence/commands.h"
#include "profile/builtin.h"

#include <string.h>

static const char *builtin_name(size_t i)
{
	return i < kf_nbuiltins ? kf_builtins[i].name : NULL;
}

int main(int argc, char **argv)
{
	static const struct kf_command *const commands[] = {
		&kf_cmd_explain, &kf_cmd_doctor,   &kf_cmd_kata, &kf_cmd_node, &kf_cmd_profile,
		&kf_cmd_seccomp, &kf_cmd_selftest, &kf_cmd_try,	 NULL};
	static const struct kf_command kubefence = {
		.name = "kubefence",
		.about = "Runs untrusted code in Kubernetes pods inside a kernel sandbox.",
		.commands = commands,
	};
	/* kubectl starts its plugin by this name. */
	bool kubectl = argc > 0 && strcmp(kf_path_base(argv[0]), "kubectl-nono") == 0;

	kf_command_profiles = builtin_name;
	return kf_command_main(kubectl ? &kf_cmd_cluster : &kubefence, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The program kubefence, and kubectl-nono or its completion if it is started by such a name: the
 * list of its commands. Each command has a folder of its own. */
#include "base/path.h"
#include "cli/complete.h"
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
		&kf_cmd_explain, &kf_cmd_learn,	  &kf_cmd_denials, &kf_cmd_logs,
		&kf_cmd_doctor,	 &kf_cmd_images,  &kf_cmd_kata,	   &kf_cmd_node,
		&kf_cmd_profile, &kf_cmd_review,  &kf_cmd_seccomp, &kf_cmd_selftest,
		&kf_cmd_status,	 &kf_cmd_sysdump, &kf_cmd_try,	   NULL};
	static const struct kf_command kubefence = {
		.name = "kubefence",
		.about = "Runs untrusted code in Kubernetes pods inside a kernel sandbox.",
		.commands = commands,
	};
	const char *name = argc > 0 ? kf_path_base(argv[0]) : "";

	kf_command_profiles = builtin_name;
	/* kubectl starts its plugin, and what completes that, by these names. */
	if (strcmp(name, "kubectl_complete-nono") == 0)
		return kf_complete_kubectl(&kf_cmd_cluster, argc - 1, argv + 1);
	return kf_command_main(strcmp(name, "kubectl-nono") == 0 ? &kf_cmd_cluster : &kubefence,
			       argc, argv);
}

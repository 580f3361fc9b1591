/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "kubefence/cluster/cluster.h"
#include "kubefence/command.h"
#include "kubefence/commands.h"

#include <stddef.h>
#include <string.h>

int main(int argc, char **argv)
{
#define TABLE_ROW(name, summary) {#name, summary, kf_cmd_##name},
	static const struct kf_command table[] = {KF_COMMANDS(TABLE_ROW){NULL, NULL, NULL}};
#undef TABLE_ROW

	/* How kubectl finds its plugin. */
	if (argc > 0 && strcmp(kf_path_base(argv[0]), "kubectl-nono") == 0)
		return kf_kubectl_nono(argc, argv);
	return kf_command_dispatch(
		"kubefence", "Runs untrusted code in Kubernetes pods inside a kernel sandbox.",
		table, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/agent_policy.h"

#include "base/cleanup.h"
#include "policy/plan.h"

/* Every request of the agent's interface from Kata 3.28 to 4.1: one that the
 * policy does not name is refused, and the pod with it.  false: there are rules
 * below, or nobody may. */
static const struct {
	const char *name;
	bool allowed;
} requests[] = {
	{"AddARPNeighborsRequest", true},
	{"AddSwapPathRequest", true},
	{"AddSwapRequest", true},
	{"CheckRequest", true},
	{"CloseStdinRequest", true},
	{"CopyFileRequest", false},
	{"CreateContainerRequest", false},
	{"CreateSandboxRequest", true},
	{"DestroySandboxRequest", true},
	{"ExecProcessRequest", false},
	{"GetDiagnosticDataRequest", true},
	{"GetIPTablesRequest", true},
	{"GetMetricsRequest", true},
	{"GetOOMEventRequest", true},
	{"GuestDetailsRequest", true},
	{"ListInterfacesRequest", true},
	{"ListRoutesRequest", true},
	{"LoadPolicyFragmentRequest", false},
	{"MemAgentCompactConfig", true},
	{"MemAgentMemcgConfig", true},
	{"MemHotplugByProbeRequest", true},
	{"OnlineCPUMemRequest", true},
	{"PauseContainerRequest", true},
	{"PullImageRequest", true},
	{"ReadContainerTerminationMessage", true},
	{"ReadStreamRequest", true},
	{"RemoveContainerRequest", true},
	{"RemoveStaleVirtiofsShareMountsRequest", true},
	{"ReseedRandomDevRequest", true},
	{"ResizeVolumeRequest", true},
	{"ResumeContainerRequest", true},
	{"SetGuestDateTimeRequest", true},
	{"SetIPTablesRequest", true},
	{"SetPolicyRequest", false},
	{"SignalProcessRequest", true},
	{"StartContainerRequest", true},
	{"StartTracingRequest", true},
	{"StatsContainerRequest", true},
	{"StopTracingRequest", true},
	{"TtyWinResizeRequest", true},
	{"UpdateContainerRequest", true},
	{"UpdateEphemeralMountsRequest", true},
	{"UpdateInterfaceRequest", true},
	{"UpdateRoutesRequest", true},
	{"VolumeStatsRequest", true},
	{"WaitProcessRequest", true},
	{"WriteStreamRequest", true},
};

static const char head[] = "# Made by 'kubefence kata policy'.\n"
			   "# Nothing starts in this machine but in the sandbox.\n"
			   "package agent_policy\n\n"
			   "import future.keywords.every\n"
			   "import future.keywords.if\n"
			   "import future.keywords.in\n\n"
			   "default AllowRequestsFailingPolicy := false\n\n";

static const char rules[] =
	"\n"
	"# The launcher and a profile, before anything else.\n"
	"wrapped(args) if {\n"
	"\tcount(args) > 5\n"
	"\targs[0] == \"" KF_LAUNCHER_PATH "\"\n"
	"\targs[1] == \"wrap\"\n"
	"\targs[2] == \"--profile\"\n"
	"\targs[3] in profiles\n"
	"\targs[4] == \"--\"\n"
	"}\n"
	"\n"
	"parts(path) := [p | some p in split(path, \"/\"); p != \"\"; p != \".\"]\n"
	"\n"
	"plain(path) if {\n"
	"\tstartswith(path, \"/\")\n"
	"\tcount(parts(path)) > 0\n"
	"\tnot \"..\" in parts(path)\n"
	"}\n"
	"\n"
	"# All that is mounted at or under " KF_LAUNCHER_DIR ".\n"
	"launcher_mounts := [m | some m in input.OCI.Mounts; parts(m.destination)[0] == \"nono\"]\n"
	"\n"
	"# Exactly the plugin's mount. The options are what tells it from a volume of the\n"
	"# pod's: no pod can ask for them.\n"
	"launcher_mounted if {\n"
	"\tevery m in input.OCI.Mounts {\n"
	"\t\tplain(m.destination)\n"
	"\t}\n"
	"\tcount(launcher_mounts) == 1\n"
	"\tmount := launcher_mounts[0]\n"
	"\tmount.destination == \"" KF_LAUNCHER_DIR "\"\n"
	"\tmount.type_ == \"bind\"\n"
	"\tstartswith(mount.source, \"/run/kata-containers/shared/containers/\")\n"
	"\tplain(mount.source)\n"
	"\tevery option in [\"ro\", \"nosuid\", \"nodev\"] {\n"
	"\t\toption in mount.options\n"
	"\t}\n"
	"\tnot \"rw\" in mount.options\n"
	"}\n"
	"\n"
	"CreateContainerRequest if {\n"
	"\twrapped(input.OCI.Process.Args)\n"
	"\tlauncher_mounted\n"
	"}\n"
	"\n"
	"# The pause container, which all that could tell calls one: Kata, containerd, CRI-O.\n"
	"type_keys := [\"io.kubernetes.cri.container-type\", "
	"\"io.kubernetes.cri-o.ContainerType\", "
	"\"io.kubernetes.docker.type\"]\n"
	"id_keys := [\"io.kubernetes.cri.sandbox-id\", \"io.kubernetes.cri-o.SandboxID\", "
	"\"io.kubernetes.sandbox.id\"]\n"
	"\n"
	"all_say(keys, value) if {\n"
	"\tsaid := [input.OCI.Annotations[key] | some key in keys]\n"
	"\tcount(said) > 0\n"
	"\tevery s in said {\n"
	"\t\ts == value\n"
	"\t}\n"
	"}\n"
	"\n"
	"CreateContainerRequest if {\n"
	"\tinput.OCI.Annotations[\"io.katacontainers.pkg.oci.container_type\"] == \"pod_sandbox\"\n"
	"\tall_say(type_keys, \"sandbox\")\n"
	"\tall_say(id_keys, input.container_id)\n"
	"\tinput.OCI.Root.Readonly == true\n"
	"\tinput.OCI.Process.Args == [pause]\n"
	"\tcount(launcher_mounts) == 0\n"
	"}\n"
	"\n"
	"# Shared files only.\n"
	"CopyFileRequest if {\n"
	"\tstartswith(input.path, \"/run/kata-containers/\")\n"
	"\tplain(input.path)\n"
	"}\n";

static const char exec_rule[] = "\n"
				"# Probes and hooks as well.\n"
				"ExecProcessRequest if {\n"
				"\twrapped(input.process.Args)\n"
				"}\n";

void kf_agent_policy(const char *const *profiles, size_t nprofiles, enum kf_exec_mode exec,
		     const char *pause, struct kf_buf *out)
{
	kf_buf_adds(out, head);
	for (size_t i = 0; i < KF_ARRAY_SIZE(requests); i++)
		kf_buf_addf(out, "default %s := %s\n", requests[i].name,
			    requests[i].allowed ? "true" : "false");
	kf_buf_adds(out, "\nprofiles := {");
	for (size_t i = 0; i < nprofiles; i++)
		kf_buf_addf(out, "%s\"%s\"", i ? ", " : "", profiles[i]);
	kf_buf_adds(out, "}\n\npause := \"");
	kf_buf_add_json(out, pause);
	kf_buf_adds(out, "\"\n");
	kf_buf_adds(out, rules);
	if (exec == KF_EXEC_SANDBOX)
		kf_buf_adds(out, exec_rule);
}

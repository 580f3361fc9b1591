/* SPDX-License-Identifier: Apache-2.0 */
/* The policy (Rego) for Kata's agent in the guest: its text, and filling in names.  Installing
 * Kata's handler is in kata.c. */
#include "kata/agent_policy.h"

#include "base/cleanup.h"
#include "plan/paths.h"
#include "plan/plan.h"
#include "seccomp/launcher.h"

/* Every request of the agent's interface from Kata 3.28 to 4.1, and of older ones; a request that
 * the policy does not name is refused, and the pod fails. */
static const struct {
	const char *name;
	bool allowed; /* else there are rules below, or nobody may make it */
	const char *why;
} requests[] = {
	{"AddARPNeighborsRequest", true, "the pod's network"},
	{"AddSwapPathRequest", true, "swap for the machine"},
	{"AddSwapRequest", true, "swap for the machine"},
	{"CheckRequest", true, "is the agent alive?"},
	{"CloseStdinRequest", true, "a process's streams"},
	{"CopyFileRequest", false, "only below the directory that host and guest share"},
	{"CreateContainerRequest", false, "only through the launcher, or the pause container"},
	{"CreateSandboxRequest", true, "the machine's start"},
	{"DestroySandboxRequest", true, "the machine's end"},
	{"ExecProcessRequest", false, "only through the launcher, or not at all"},
	{"GetDiagnosticDataRequest", true, "a container's termination message"},
	{"GetIPTablesRequest", true, "the pod's network"},
	{"GetMetricsRequest", true, "what monitors read"},
	{"GetOOMEventRequest", true, "tells that memory ran out"},
	{"GuestDetailsRequest", true, "what the runtime asks at the machine's start"},
	{"ListInterfacesRequest", true, "the pod's network"},
	{"ListRoutesRequest", true, "the pod's network"},
	{"LoadPolicyFragmentRequest", false, "would change this policy"},
	{"MemAgentCompactConfig", true, "memory that is given back"},
	{"MemAgentMemcgConfig", true, "memory that is given back"},
	{"MemHotplugByProbeRequest", true, "memory that is plugged in"},
	{"OnlineCPUMemRequest", true, "processors and memory that are plugged in"},
	{"PauseContainerRequest", true, "stops a container's processes for a while"},
	{"PullImageRequest", true, "images that are pulled in the guest"},
	{"ReadContainerTerminationMessage", true, "a container's termination message"},
	{"ReadStreamRequest", true, "a process's streams"},
	{"RemoveContainerRequest", true, "a container's end"},
	{"RemoveStaleVirtiofsShareMountsRequest", true, "shared files that are gone"},
	{"ReseedRandomDevRequest", true, "randomness from the host"},
	{"ResizeVolumeRequest", true, "volumes that are block devices"},
	{"ResumeContainerRequest", true, "a paused container goes on"},
	{"SetGuestDateTimeRequest", true, "the machine's clock"},
	{"SetIPTablesRequest", true, "the pod's network"},
	{"SetPolicyRequest", false, "would change this policy"},
	{"SignalProcessRequest", true, "a process's end"},
	{"StartContainerRequest", true, "what was created starts"},
	{"StartTracingRequest", true, "tracing the agent"},
	{"StatsContainerRequest", true, "what a container uses"},
	{"StopTracingRequest", true, "tracing the agent"},
	{"TtyWinResizeRequest", true, "a process's terminal"},
	{"UpdateContainerRequest", true, "a container's resources"},
	{"UpdateEphemeralMountsRequest", true, "volumes in memory get their size"},
	{"UpdateInterfaceRequest", true, "the pod's network"},
	{"UpdateRoutesRequest", true, "the pod's network"},
	{"VolumeStatsRequest", true, "volumes that are block devices"},
	{"WaitProcessRequest", true, "a process's end"},
	{"WriteStreamRequest", true, "a process's streams"},
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
	"\t\tproc_kept(m)\n"
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
	"# As the plan has it: below /proc only files may be mounted over of which the launcher\n"
	"# reads nothing, and at /proc lies a procfs.\n"
	"in_proc(path) if parts(path)[0] == \"proc\"\n"
	"\n"
	"bound(mount) if {\n"
	"\tsome option in mount.options\n"
	"\toption in [\"bind\", \"rbind\"]\n"
	"}\n"
	"\n"
	"proc_kept(mount) if not in_proc(mount.destination)\n"
	"\n"
	"proc_kept(mount) if concat(\"/\", parts(mount.destination)) in proc_files\n"
	"\n"
	"proc_kept(mount) if {\n"
	"\tparts(mount.destination) == [\"proc\"]\n"
	"\tmount.source == \"/proc\"\n"
	"\tbound(mount)\n"
	"}\n"
	"\n"
	"proc_kept(mount) if {\n"
	"\tparts(mount.destination) == [\"proc\"]\n"
	"\tmount.type_ == \"proc\"\n"
	"\tnot bound(mount)\n"
	"}\n"
	"\n"
	"# The pod's seccomp policy: it may not answer what the launcher asks the kernel. The\n"
	"# agent knows no error of the default action but EPERM, and which one a rule has is not\n"
	"# looked at.\n"
	"passing := [\"SCMP_ACT_ALLOW\", \"SCMP_ACT_LOG\"]\n"
	"\n"
	"filtered if is_object(input.OCI.Linux.Seccomp)\n"
	"\n"
	"decided(call) if {\n"
	"\tsome rule in input.OCI.Linux.Seccomp.Syscalls\n"
	"\tcall in rule.Names\n"
	"\tcount(rule.Args) == 0\n"
	"}\n"
	"\n"
	"honest(rule) if rule.Action in passing\n"
	"\n"
	"honest(rule) if {\n"
	"\tevery name in rule.Names {\n"
	"\t\tnot name in needed_calls\n"
	"\t\tnot name in optional_calls\n"
	"\t}\n"
	"}\n"
	"\n"
	"needed_pass if input.OCI.Linux.Seccomp.DefaultAction in passing\n"
	"\n"
	"needed_pass if {\n"
	"\tevery call in needed_calls {\n"
	"\t\tdecided(call)\n"
	"\t}\n"
	"}\n"
	"\n"
	"optional_fail if input.OCI.Linux.Seccomp.DefaultAction in passing\n"
	"\n"
	"optional_fail if input.OCI.Linux.Seccomp.DefaultAction == \"SCMP_ACT_ERRNO\"\n"
	"\n"
	"optional_fail if {\n"
	"\tevery call in optional_calls {\n"
	"\t\tdecided(call)\n"
	"\t}\n"
	"}\n"
	"\n"
	"launcher_believes if not filtered\n"
	"\n"
	"launcher_believes if {\n"
	"\tevery rule in input.OCI.Linux.Seccomp.Syscalls {\n"
	"\t\thonest(rule)\n"
	"\t}\n"
	"\tneeded_pass\n"
	"\toptional_fail\n"
	"}\n"
	"\n"
	"CreateContainerRequest if {\n"
	"\twrapped(input.OCI.Process.Args)\n"
	"\tlauncher_mounted\n"
	"\tlauncher_believes\n"
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
	"# Shared files only; newer agents tell where a link leads.\n"
	"CopyFileRequest if {\n"
	"\tstartswith(input.path, \"/run/kata-containers/\")\n"
	"\tplain(input.path)\n"
	"\tnot leads_out\n"
	"}\n"
	"\n"
	"leads_out if startswith(input.symlink_target, \"/\")\n"
	"\n"
	"leads_out if \"..\" in split(input.symlink_target, \"/\")\n";

static const char exec_rule[] = "\n"
				"# Probes and hooks as well.\n"
				"ExecProcessRequest if {\n"
				"\twrapped(input.process.Args)\n"
				"}\n";

/* A set, one member a line: the agent's engine takes no policy with lines of more than 1024
 * columns. */
static void begin_set(struct kf_buf *out, const char *name)
{
	kf_buf_addf(out, "%s := {", name);
}

static void add_member(struct kf_buf *out, const char *prefix, const char *member)
{
	kf_buf_addf(out, "\n\t\"%s%s\",", prefix, member);
}

static void end_set(struct kf_buf *out)
{
	kf_buf_adds(out, "\n}\n\n");
}

/* Add the set @name of the launcher's calls of one class. */
static void add_calls(struct kf_buf *out, const char *name, enum kf_launcher_use use)
{
	size_t n;
	const struct kf_launcher_call *calls = kf_seccomp_launcher_calls(&n);

	begin_set(out, name);
	for (size_t i = 0; i < n; i++)
		if (calls[i].use == use)
			add_member(out, "", calls[i].name);
	end_set(out);
}

void kf_kata_agent_policy(const char *const *profiles, size_t nprofiles, enum kf_exec_mode exec,
			  const char *pause, struct kf_buf *out)
{
	kf_buf_adds(out, head);
	for (size_t i = 0; i < KF_ARRAY_SIZE(requests); i++)
		kf_buf_addf(out, "# %s\ndefault %s := %s\n", requests[i].why, requests[i].name,
			    requests[i].allowed ? "true" : "false");
	kf_buf_adds(out, "\n");
	begin_set(out, "profiles");
	for (size_t i = 0; i < nprofiles; i++)
		add_member(out, "", profiles[i]);
	end_set(out);
	begin_set(out, "proc_files");
	for (size_t i = 0; kf_plan_proc_files[i]; i++)
		add_member(out, "proc/", kf_plan_proc_files[i]);
	end_set(out);
	add_calls(out, "needed_calls", KF_CALL_NEEDED);
	add_calls(out, "optional_calls", KF_CALL_OPTIONAL);
	kf_buf_adds(out, "pause := \"");
	kf_buf_add_json(out, pause);
	kf_buf_adds(out, "\"\n");
	kf_buf_adds(out, rules);
	if (exec == KF_EXEC_SANDBOX)
		kf_buf_adds(out, exec_rule);
}

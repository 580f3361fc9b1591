# SPDX-License-Identifier: Apache-2.0
"""All that Kata's agent can be asked, release by release, and requests of every kind with each of their fields: the agent gives its policy
the message as JSON, by its name."""
import random

# Calls of the agent's service and their messages, 3.28 to 4.1; "@3.29": since that release.
CALLS = """
CreateContainer CreateContainerRequest, StartContainer StartContainerRequest, RemoveContainer RemoveContainerRequest, ExecProcess ExecProcessRequest,
SignalProcess SignalProcessRequest, WaitProcess WaitProcessRequest, UpdateContainer UpdateContainerRequest,
UpdateEphemeralMounts UpdateEphemeralMountsRequest, StatsContainer StatsContainerRequest, PauseContainer PauseContainerRequest,
ResumeContainer ResumeContainerRequest, RemoveStaleVirtiofsShareMounts RemoveStaleVirtiofsShareMountsRequest,
GetDiagnosticData GetDiagnosticDataRequest @3.29, WriteStdin WriteStreamRequest, ReadStdout ReadStreamRequest, ReadStderr ReadStreamRequest,
CloseStdin CloseStdinRequest, TtyWinResize TtyWinResizeRequest, UpdateInterface UpdateInterfaceRequest, UpdateRoutes UpdateRoutesRequest,
ListInterfaces ListInterfacesRequest, ListRoutes ListRoutesRequest, AddARPNeighbors AddARPNeighborsRequest, GetIPTables GetIPTablesRequest,
SetIPTables SetIPTablesRequest, GetMetrics GetMetricsRequest, MemAgentMemcgSet MemAgentMemcgConfig, MemAgentCompactSet MemAgentCompactConfig,
CreateSandbox CreateSandboxRequest, DestroySandbox DestroySandboxRequest, OnlineCPUMem OnlineCPUMemRequest, ReseedRandomDev ReseedRandomDevRequest,
GetGuestDetails GuestDetailsRequest, MemHotplugByProbe MemHotplugByProbeRequest, SetGuestDateTime SetGuestDateTimeRequest, CopyFile CopyFileRequest,
GetOOMEvent GetOOMEventRequest, AddSwap AddSwapRequest, AddSwapPath AddSwapPathRequest, GetVolumeStats VolumeStatsRequest,
ResizeVolume ResizeVolumeRequest, SetPolicy SetPolicyRequest
"""
RELEASES = ("3.28", "3.29", "3.32", "4.0", "4.1")
# Messages and their fields: * a list, ? may be missing; s string, n number, b boolean, y bytes, m map of strings, or a message.
MESSAGES = """
CreateContainerRequest container_id:s exec_id:s string_user:StringUser devices:*Device storages:*Storage OCI:Spec sandbox_pidns:b shared_mounts:*SharedMount
  stdin_port:?n stdout_port:?n stderr_port:?n
StringUser uid:s gid:s additionalGids:*s
Device id:s type_:s vm_path:s container_path:s options:*s
Storage driver:s driver_options:*s source:s fstype:s options:*s mount_point:s fs_group:FsGroup shared:b
FsGroup group_id:n group_change_policy:n
Spec Version:s Process:Process Root:Root Hostname:s Mounts:*Mount Hooks:Hooks Annotations:m Linux:Linux
Process Terminal:b ConsoleSize:Box User:User Args:*s Env:*s Cwd:s Capabilities:Capabilities Rlimits:*Rlimit NoNewPrivileges:b ApparmorProfile:s
  OOMScoreAdj:n SelinuxLabel:s
Box Height:n Width:n
User UID:n GID:n AdditionalGids:*n Username:s
Capabilities Bounding:*s Effective:*s Inheritable:*s Permitted:*s Ambient:*s
Rlimit Type:s Hard:n Soft:n
Root Path:s Readonly:b
Mount destination:s source:s type_:s options:*s
Hooks Prestart:*Hook Poststart:*Hook Poststop:*Hook CreateRuntime:*Hook CreateContainer:*Hook StartContainer:*Hook
Hook Path:s Args:*s Env:*s Timeout:n
Linux UIDMappings:*Mapping GIDMappings:*Mapping Sysctl:m Resources:Resources CgroupsPath:s Namespaces:*Namespace Seccomp:Seccomp MaskedPaths:*s ReadonlyPaths:*s
Mapping HostID:n ContainerID:n Size:n
Resources Memory:Memory CPU:CPU Pids:Pids
Memory Limit:n Swap:n
CPU Shares:n Quota:n Period:n Cpus:s Mems:s
Pids Limit:n
Namespace Type:s Path:s
Seccomp DefaultAction:s Architectures:*s Flags:*s Syscalls:*Syscall
Syscall Names:*s Action:s ErrnoRet:Errno Args:*Arg
Errno errnoret:n
Arg Index:n Value:n ValueTwo:n Op:s
SharedMount name:s src_ctr:s src_path:s dst_ctr:s dst_path:s
StartContainerRequest container_id:s
RemoveContainerRequest container_id:s timeout:n
ExecProcessRequest container_id:s exec_id:s string_user:StringUser process:Process stdin_port:?n stdout_port:?n stderr_port:?n
SignalProcessRequest container_id:s exec_id:s signal:n
WaitProcessRequest container_id:s exec_id:s
UpdateContainerRequest container_id:s resources:Resources
UpdateEphemeralMountsRequest storages:*Storage
StatsContainerRequest container_id:s
PauseContainerRequest container_id:s
ResumeContainerRequest container_id:s
RemoveStaleVirtiofsShareMountsRequest
GetDiagnosticDataRequest log_type:s container_id:s
WriteStreamRequest container_id:s exec_id:s data:y
ReadStreamRequest container_id:s exec_id:s len:n
CloseStdinRequest container_id:s exec_id:s
TtyWinResizeRequest container_id:s exec_id:s row:n column:n
UpdateInterfaceRequest interface:Interface
Interface device:s name:s IPAddresses:*Address mtu:n hwAddr:s devicePath:s type_:s raw_flags:n
Address family:n address:s mask:s
UpdateRoutesRequest routes:Routes
Routes Routes:*Route
Route dest:s gateway:s device:s source:s scope:n family:n flags:n mtu:n
ListInterfacesRequest
ListRoutesRequest
AddARPNeighborsRequest neighbors:Neighbors
Neighbors ARPNeighbors:*Neighbor
Neighbor toIPAddress:Address device:s lladdr:s state:n flags:n
GetIPTablesRequest is_ipv6:b
SetIPTablesRequest is_ipv6:b data:y
GetMetricsRequest
MemAgentMemcgConfig disabled:?b swap:?b swappiness_max:?n period_secs:?n period_psi_percent_limit:?n eviction_psi_percent_limit:?n
MemAgentCompactConfig disabled:?b period_secs:?n compact_sec_max:?n compact_order:?n compact_threshold:?n
CreateSandboxRequest hostname:s dns:*s storages:*Storage sandbox_pidns:b sandbox_id:s guest_hook_path:s kernel_modules:*Module
Module name:s parameters:*s
DestroySandboxRequest
OnlineCPUMemRequest wait:b nb_cpus:n cpu_only:b
ReseedRandomDevRequest data:y
GuestDetailsRequest mem_block_size:b mem_hotplug_probe:b
MemHotplugByProbeRequest memHotplugProbeAddr:*n
SetGuestDateTimeRequest Sec:n Usec:n
CopyFileRequest path:s file_size:n file_mode:n dir_mode:n uid:n gid:n offset:n data:y
GetOOMEventRequest
AddSwapRequest PCIPath:*n
AddSwapPathRequest path:s
VolumeStatsRequest volume_guest_path:s
ResizeVolumeRequest volume_guest_path:s size:n
SetPolicyRequest policy:s
"""
SCHEMA = {words[0]: [w.split(":") for w in words[1:]] for words in (line.split() for line in MESSAGES.replace("\n  ", " ").splitlines() if line)}
WORDS = ("", "c1", "/", "/nono", "/nono/nono", "wrap", "--profile", "default", "--", "bind", "ro", "/run/kata-containers", "../..", "/proc",
         "SCMP_ACT_ALLOW", "pod_sandbox", "\u00fc\n\"\\")


def number(release: str) -> tuple[int, int]:
    major, minor = release.split(".")
    return int(major), int(minor)


def calls(release: str) -> dict[str, str]:
    """The calls that the agent of @release serves, and their messages."""
    out = {}
    for words in (c.split() for c in CALLS.split(",")):
        if len(words) < 3 or number(words[2][1:]) <= number(release):
            out[words[0]] = words[1]
    return out


def message(name: str, rng: random.Random) -> dict:
    """One with every field, of any value."""
    def value(kind: str, item: bool = False):
        if kind[0] == "*":
            return [value(kind[1:], True) for _ in range(rng.randrange(4))]
        if kind[0] == "?":
            return value(kind[1:]) if rng.random() < 0.5 else None
        if kind in SCHEMA:
            return message(kind, rng) if item or rng.random() < 0.9 else None
        return {"s": lambda: rng.choice(WORDS), "n": lambda: rng.choice((0, 1, -1, 1 << 31, (1 << 63) - 1)), "b": lambda: rng.random() < 0.5,
                "y": lambda: list(rng.randbytes(rng.randrange(9))), "m": lambda: {rng.choice(WORDS): rng.choice(WORDS) for _ in range(3)}}[kind]()
    return {field: value(kind) for field, kind in SCHEMA[name]}

# SPDX-License-Identifier: Apache-2.0
"""The agent's policy, judged by the real OPA: what may start in a machine, and every way around that we know."""
import copy
import json
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import requests
from lib import seed
from trees import BIN, KataNode

PROFILES = ["default", "claude-code"]
SHARED = "/run/kata-containers/shared/containers"
PREFIX = ["/nono/nono", "wrap", "--profile", "default", "--"]
# What there are rules for, or nobody may ask; the rest is allowed.
REFUSED = {"SetPolicyRequest", "CopyFileRequest", "CreateContainerRequest", "ExecProcessRequest"}
PAGE = Path(__file__).resolve().parents[2] / "docs/kata-policy.md"


def mount(destination: str, source: str = "", options=("rbind", "rprivate", "rw"), kind: str = "bind") -> dict:
    return {"destination": destination, "source": source or f"{SHARED}/c1-0011-x", "type_": kind, "options": list(options)}


NONO = mount("/nono", f"{SHARED}/c1-0123456789abcdef-nono", ("rbind", "ro", "rprivate", "nosuid", "nodev"))
BASE = [mount("/proc", "proc", (), "proc"), mount("/dev", "tmpfs", (), "tmpfs"), mount("/etc/hosts"), mount("/dev/shm")]


def container(args=None, mounts=None, **annotations) -> dict:
    """A container of a pod as Kata's shim describes it."""
    return {"container_id": "c1", "exec_id": "c1", "string_user": None, "storages": [], "sandbox_pidns": False, "OCI": {
        "Version": "1.1.0", "Root": {"Path": f"{SHARED}/c1/rootfs", "Readonly": False}, "Hooks": None,
        "Process": {"Args": PREFIX + ["/bin/app"] if args is None else args, "Env": ["PATH=/bin"], "Cwd": "/"},
        "Mounts": BASE + [NONO] if mounts is None else mounts,
        "Annotations": {"io.katacontainers.pkg.oci.container_type": "pod_container", "io.kubernetes.cri.container-type": "container",
                        "io.kubernetes.cri.sandbox-id": "s1", "io.kubernetes.cri.container-name": "app", **annotations}}}


def pause(cri: str = "containerd") -> dict:
    c = container(["/pause"], BASE)
    c["container_id"] = "s1"
    c["OCI"]["Root"]["Readonly"] = True
    c["OCI"]["Annotations"] = {"io.katacontainers.pkg.oci.container_type": "pod_sandbox"}
    c["OCI"]["Annotations"] |= {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "s1"} if cri == "containerd" \
        else {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "s1"}
    return c


def changed(request: dict, *path_and_value) -> dict:
    out = copy.deepcopy(request)
    *path, last, value = path_and_value
    at = out
    for key in path:
        at = at[key]
    at[last] = value
    return out


def execute(*args: str, env=()) -> dict:
    return {"container_id": "c1", "exec_id": "e1", "string_user": None, "process": {"Args": list(args), "Env": list(env), "Cwd": "/"}}


def nono(**k) -> dict:
    return {**NONO, **k}


def with_mounts(*more, base=None) -> dict:
    return container(mounts=(BASE + [NONO] if base is None else base) + list(more))


# What the launcher calls and the workload needs, as a pod's own policy that allows no more than that would have it.
CALLS = ["access", "arch_prctl", "close", "execve", "exit_group", "faccessat2", "flock", "fstat", "fstatfs", "getcwd", "getdents64", "geteuid", "landlock_add_rule",
         "landlock_create_ruleset", "landlock_restrict_self", "listmount", "lseek", "newfstatat", "openat", "openat2", "prctl", "prlimit64", "pwrite64", "read", "readlink", "readlinkat",
         "set_tid_address", "statmount", "statx", "write"]

OF_ONE_MACHINE = ("access", "arch_prctl", "readlink", "readlinkat")


def syscall(names, action: str, *args, errno: int | None = None) -> dict:
    return {"Names": list(names), "Action": action, "ErrnoRet": None if errno is None else {"errnoret": errno},
            "Args": [{"Index": i, "Value": v, "ValueTwo": 0, "Op": op} for i, op, v in args]}


def filtered(default: str, *rules: dict) -> dict:
    return changed(container(), "OCI", "Linux", {"Seccomp": {"DefaultAction": default, "Architectures": ["SCMP_ARCH_X86_64"], "Flags": [], "Syscalls": list(rules)}})


A, E = "CreateContainerRequest", "ExecProcessRequest"
EVIL = f"{SHARED}/c1-0123456789abcdef-nono"
ALLOWED = {
    "a wrapped container": (A, container()),
    "another allowed profile": (A, container(PREFIX[:3] + ["claude-code", "--", "/bin/app", "-x"])),
    "the pause container of containerd": (A, pause()),
    "the pause container of CRI-O": (A, pause("crio")),
    "a container of CRI-O": (A, changed(container(), "OCI", "Annotations", {
        "io.katacontainers.pkg.oci.container_type": "pod_container", "io.kubernetes.cri-o.ContainerType": "container"})),
    "a container without a pod (ctr)": (A, changed(container(), "OCI", "Annotations", {})),
    "the launcher wraps itself again": (A, container(PREFIX + PREFIX + ["/bin/app"])),
    "volumes elsewhere": (A, with_mounts(mount("/data"), mount("/data/nono"), mount("/nonox"))),
    "a mount path with a slash at its end": (A, with_mounts(mount("/data/"))),
    # The launcher is static and ignores it, what it starts is in the sandbox.
    "LD_PRELOAD in the environment": (A, changed(container(), "OCI", "Process", "Env", ["LD_PRELOAD=/data/evil.so", "NONO_PROFILE=none"])),
    "the runtime dropped rprivate": (A, with_mounts(nono(options=["rbind", "ro", "nosuid", "nodev"]), base=BASE)),
    "no seccomp policy": (A, changed(container(), "OCI", "Linux", {"Seccomp": None})),
    "a policy that allows what the launcher calls": (A, filtered("SCMP_ACT_ERRNO", syscall(CALLS, "SCMP_ACT_ALLOW"), syscall(["clone3"], "SCMP_ACT_ERRNO", errno=38))),
    "one that does without what the launcher can do without": (A, filtered("SCMP_ACT_ERRNO", syscall([c for c in CALLS if c not in ("faccessat2", "listmount", "statmount")], "SCMP_ACT_LOG"))),
    "one that denies what it does not call": (A, filtered("SCMP_ACT_ALLOW", syscall(["mount"], "SCMP_ACT_KILL_PROCESS"), syscall(["socket"], "SCMP_ACT_ERRNO", (0, "SCMP_CMP_EQ", 40)))),
    "one that logs some of its calls": (A, filtered("SCMP_ACT_ALLOW", syscall(["prctl"], "SCMP_ACT_LOG", (0, "SCMP_CMP_EQ", 22)))),
    "a file of lxcfs over /proc/cpuinfo": (A, with_mounts(mount("/proc/cpuinfo"), mount("/proc//meminfo/"))),
    "the guest's /proc once more": (A, with_mounts(mount("/proc", "/proc"))),
    "a wrapped exec": (E, execute(*PREFIX, "/bin/sh", "-c", "true")),
    "a wrapped exec with LD_PRELOAD": (E, execute(*PREFIX, "/bin/sh", env=["LD_PRELOAD=/tmp/x.so"])),
    "files that are shared": ("CopyFileRequest", {"path": f"{SHARED}/c1-0011-resolv.conf"}),
    "a shared file, as newer agents tell it": ("CopyFileRequest", {"path": f"{SHARED}/c1-0011-token", "file_type": "Regular", "symlink_target": None, "file_mode": 33188}),
    "a link as those of a ConfigMap": ("CopyFileRequest", {"path": f"{SHARED}/c1-0011-config/key", "file_type": "Symlink", "symlink_target": "..data/key"}),
}
LIES = {"SCMP_ACT_ERRNO": 0, "SCMP_ACT_KILL_PROCESS": None, "SCMP_ACT_NOTIFY": None, "SCMP_ACT_TRACE": 117}
REFUSE = {
    **{f"a policy that answers {c} with {a}": (A, filtered("SCMP_ACT_ALLOW", syscall(["mount", c], a, errno=e))) for c in CALLS if c not in OF_ONE_MACHINE for a, e in LIES.items()},
    **{f"a policy that answers prctl if argument {i} {op} 22": (A, filtered("SCMP_ACT_ALLOW", syscall(CALLS, "SCMP_ACT_ALLOW"), syscall(["prctl"], "SCMP_ACT_ERRNO", (i, op, 22), errno=0)))
       for i in range(6) for op in ("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_GE", "SCMP_CMP_LE")},
    "a policy that does not name openat2": (A, filtered("SCMP_ACT_ERRNO", syscall([c for c in CALLS if c != "openat2"], "SCMP_ACT_ALLOW"))),
    "a policy that allows openat2 sometimes": (A, filtered("SCMP_ACT_ERRNO", syscall([c for c in CALLS if c != "openat2"], "SCMP_ACT_ALLOW"), syscall(["openat2"], "SCMP_ACT_ALLOW", (0, "SCMP_CMP_GE", 1)))),
    "a policy that kills for what it does not name": (A, filtered("SCMP_ACT_KILL_PROCESS", syscall([c for c in CALLS if c != "listmount"], "SCMP_ACT_ALLOW"))),
    "a policy that asks for everything": (A, filtered("SCMP_ACT_NOTIFY")),
    **{f"a mount at {p}": (A, with_mounts(mount(p))) for p in ("/proc", "/proc/", "/proc/self", "/proc/1/fd", "/proc/mounts", "//proc/./net", "/proc/sys", "/proc/cpuinfo/x", "/proc/net/../fd", "proc/self", "/")},
    "a bind mount at /proc that calls itself a procfs": (A, with_mounts(mount("/proc", kind="proc"))),
    # the plugin was down
    "a bare container": (A, container(["/bin/app"])),
    "no arguments": (A, container([])),
    "no arguments at all": (A, changed(container(), "OCI", "Process", "Args", None)),
    # arguments
    "nothing behind the prefix": (A, container(PREFIX)),
    "an unknown profile": (A, container(PREFIX[:3] + ["weak", "--", "/bin/app"])),
    "a profile by path": (A, container(PREFIX[:3] + ["../default", "--", "/bin/app"])),
    "a profile of another case": (A, container(PREFIX[:3] + ["Default", "--", "/bin/app"])),
    "a profile with a blank": (A, container(PREFIX[:3] + ["default ", "--", "/bin/app"])),
    "an empty profile": (A, container(PREFIX[:3] + ["", "--", "/bin/app"])),
    "the profile twice": (A, container(["/nono/nono", "wrap", "--profile", "default", "--profile", "weak", "--", "/bin/app"])),
    "an option before the profile": (A, container(["/nono/nono", "wrap", "--verbose", "--profile", "default", "--", "/bin/app"])),
    "an option behind the profile": (A, container(PREFIX[:4] + ["--allow", "/", "--", "/bin/app"])),
    "profile and name in one": (A, container(["/nono/nono", "wrap", "--profile=default", "--", "/bin/app", "x"])),
    "without the end of options": (A, container(PREFIX[:4] + ["/bin/app", "x"])),
    "another command of the launcher": (A, container(["/nono/nono", "why", "--profile", "default", "--", "/bin/app"])),
    "the launcher elsewhere": (A, container(["/data/nono", *PREFIX[1:], "/bin/app"])),
    "the launcher by another name": (A, container(["/nono/../nono/nono", *PREFIX[1:], "/bin/app"])),
    "the launcher by a relative name": (A, container(["nono/nono", *PREFIX[1:], "/bin/app"])),
    "the prefix in one argument": (A, container([" ".join(PREFIX) + " /bin/app", "a", "b", "c", "d", "e"])),
    "a shell around the prefix": (A, container(["/bin/sh", "-c", " ".join(PREFIX) + " /bin/app"])),
    "env around the prefix": (A, container(["/usr/bin/env", *PREFIX, "/bin/app"])),
    "something before the prefix": (A, container(["", *PREFIX, "/bin/app"])),
    # the launcher's mount
    "no mount of the launcher": (A, container(mounts=BASE)),
    "no mounts": (A, changed(container(), "OCI", "Mounts", [])),
    "no list of mounts": (A, changed(container(), "OCI", "Mounts", None)),
    "a volume in its place": (A, with_mounts(mount("/nono", EVIL, ("rbind", "rprivate", "rw")), base=BASE)),
    "a read-only volume in its place": (A, with_mounts(mount("/nono", EVIL, ("rbind", "rprivate", "ro")), base=BASE)),
    "a read-only volume without its options": (A, with_mounts(nono(options=["rbind", "ro", "rprivate", "nosuid"]), base=BASE)),
    "read-only and read-write": (A, with_mounts(nono(options=NONO["options"] + ["rw"]), base=BASE)),
    "a tmpfs in its place": (A, with_mounts(nono(type_="tmpfs", source="tmpfs"), base=BASE)),
    "an overlay in its place": (A, with_mounts(nono(type_="overlay"), base=BASE)),
    "a source of the guest": (A, with_mounts(nono(source="/tmp/nono"), base=BASE)),
    "a source that climbs": (A, with_mounts(nono(source=f"{SHARED}/../../../tmp/nono"), base=BASE)),
    "a second mount over it": (A, with_mounts(mount("/nono", EVIL))),
    "a second mount before it": (A, container(mounts=[mount("/nono", EVIL), NONO])),
    "its own mount twice": (A, with_mounts(NONO)),
    "a mount over the launcher": (A, with_mounts(mount("/nono/nono"))),
    "a mount over its profiles": (A, with_mounts(mount("/nono/profiles"))),
    "a mount over it, written //": (A, with_mounts(mount("//nono"))),
    "a mount over it, written /./": (A, with_mounts(mount("/./nono/"))),
    "a mount over it, written /..": (A, with_mounts(mount("/data/../nono"))),
    "a mount over it, climbing": (A, with_mounts(mount("/nono/../nono"))),
    "a relative mount": (A, with_mounts(mount("nono"))),
    "a mount over everything": (A, with_mounts(mount("/"))),
    "a mount over everything, written /.": (A, with_mounts(mount("/."))),
    "only a mount under it": (A, with_mounts(nono(destination="/nono/"), base=BASE)),
    # who is the pause container
    "a container that calls itself sandbox": (A, container(["/pause"], BASE, **{"io.katacontainers.pkg.oci.container_type": "pod_sandbox"})),
    "one that says so to containerd as well": (A, container(["/pause"], BASE, **{
        "io.katacontainers.pkg.oci.container_type": "pod_sandbox", "io.kubernetes.cri.container-type": "sandbox"})),
    "one of CRI-O with containerd's annotation": (A, changed(pause("crio"), "OCI", "Annotations", {
        "io.katacontainers.pkg.oci.container_type": "pod_sandbox", "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri.sandbox-id": "s1", "io.kubernetes.cri-o.SandboxID": "s1"})),
    "a sandbox with another's ID": (A, changed(pause(), "container_id", "c1")),
    "a sandbox with two IDs": (A, changed(pause(), "OCI", "Annotations", {
        **pause()["OCI"]["Annotations"], "io.kubernetes.cri-o.SandboxID": "other"})),
    "a sandbox that says nothing of its type": (A, changed(pause(), "OCI", "Annotations", {"io.katacontainers.pkg.oci.container_type": "pod_sandbox"})),
    "a sandbox without Kata's type": (A, changed(pause(), "OCI", "Annotations", {
        "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "s1"})),
    "a sandbox with another command": (A, changed(pause(), "OCI", "Process", "Args", ["/bin/sh"])),
    "a sandbox with arguments": (A, changed(pause(), "OCI", "Process", "Args", ["/pause", "-x"])),
    "a sandbox that may write": (A, changed(pause(), "OCI", "Root", "Readonly", False)),
    "a container without annotations": (A, changed(container(["/bin/app"]), "OCI", "Annotations", None)),
    "an empty request": (A, {}),
    # entering
    "a bare exec": (E, execute("/bin/sh")),
    "an exec with an unknown profile": (E, execute(*PREFIX[:3], "weak", "--", "/bin/sh")),
    "an exec with a shell around": (E, execute("/bin/sh", "-c", " ".join(PREFIX) + " id")),
    "an exec with the prefix as one": (E, execute(" ".join(PREFIX), "/bin/sh", "a", "b", "c", "d")),
    "an exec with options behind the profile": (E, execute(*PREFIX[:4], "--profile", "weak", "--", "/bin/sh")),
    "an exec of nothing": (E, execute()),
    "an exec of the prefix alone": (E, execute(*PREFIX)),
    "an empty exec": (E, {}),
    # the policy itself
    "another policy": ("SetPolicyRequest", {"policy": "package agent_policy\ndefault ExecProcessRequest := true\n"}),
    "a piece of policy": ("LoadPolicyFragmentRequest", {}),
    "failing open": ("AllowRequestsFailingPolicy", {}),
    "a file into the guest": ("CopyFileRequest", {"path": "/etc/kata-opa/default-policy.rego"}),
    "a file that climbs out": ("CopyFileRequest", {"path": "/run/kata-containers/../../etc/passwd"}),
    "a link out of the shared files": ("CopyFileRequest", {"path": f"{SHARED}/x", "file_type": "Symlink", "symlink_target": "/etc"}),
    "a link that climbs out": ("CopyFileRequest", {"path": f"{SHARED}/x", "file_type": "Symlink", "symlink_target": "a/../../../etc"}),
}


def generate(*args: str) -> str:
    p = subprocess.run([str(BIN / "kubefence"), "kata", "policy", *args], capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(p.stderr)
    return p.stdout


def evaluate(opa: Path, policy: str, cases: list, *flags: str) -> list:
    """What the policy answers to each (rule, input); None where it is undefined."""
    answers = [None] * len(cases)
    with tempfile.TemporaryDirectory(prefix="kf-rego-") as d:
        Path(f"{d}/policy.rego").write_text(policy)
        for rule in {rule for rule, _ in cases}:
            mine = [i for i, (r, _) in enumerate(cases) if r == rule]
            Path(f"{d}/cases.json").write_text(json.dumps({"cases": [cases[i][1] for i in mine]}))
            query = f"[[i, v] | c := data.cases[i]; v := data.agent_policy.{rule} with input as c]"
            p = subprocess.run([str(opa), "eval", "--format", "json", *flags, "-d", f"{d}/policy.rego", "-d", f"{d}/cases.json", query],
                               capture_output=True, text=True, timeout=300)
            if p.returncode:
                raise RuntimeError(p.stdout + p.stderr)
            for i, value in json.loads(p.stdout)["result"][0]["expressions"][0]["value"]:
                answers[mine[i]] = value
    return answers


def rows(policy: str) -> dict[str, tuple[bool, str]]:
    """The requests that the policy names: whether they are allowed, and why."""
    return {name: (value == "true", why) for why, name, value in re.findall(r"^# (.*)\ndefault (\w+) := (true|false)$", policy, re.MULTILINE)}


def page(policy: str) -> str:
    """docs/kata-policy.md."""
    have, lines = rows(policy), []
    for call, message in requests.calls(requests.RELEASES[-1]).items():
        allowed, why = have[message]
        since = next(r for r in requests.RELEASES if call in requests.calls(r))
        of = "" if since == requests.RELEASES[0] else f" (from {since} on)"
        lines.append(f"| `{call}`{of} | `{message}` | {'allowed' if allowed else 'refused' if message == 'SetPolicyRequest' else 'by rule'} | {why} |")
    head = (Path(__file__).parent / "kata-policy.head.md").read_text().replace("../../docs/", "")
    return head + "\n".join(["| call | message | answer | why |", "|---|---|---|---|", *lines]) + "\n"


def every_request(t, opa: Path, policy: str, engines: list) -> None:
    """Every call of every release has a row, and what it says is the answer, whatever else is in the request."""
    have = rows(policy)
    for release in requests.RELEASES:
        asked = set(requests.calls(release).values())
        t.ok(asked <= have.keys() and all(why for _, why in have.values()), f"policy: all {len(asked)} messages of Kata {release} have a row, with a reason", asked - have.keys())
    rng = random.Random(27)
    cases = [(name, requests.message(name, rng)) for name in sorted(set(requests.calls("4.1").values())) for _ in range(6)]
    want = [name not in REFUSED for name, _ in cases]
    for name, ask in engines:
        answers = ask(policy, cases)
        t.ok(answers == want, f"policy: {len(cases)} requests of all kinds with any values get the answer of their row, in {name}",
             [(c, g) for c, g, w in zip(cases, answers, want) if g is not w][:3])


# How a call may be answered otherwise than by the kernel, and when; as tests/guard has it, in the agent's words.
ANSWERS = [("SCMP_ACT_ERRNO", e) for e in (0, 1, 2, 117)] + [(f"SCMP_ACT_{a}", None) for a in ("KILL_THREAD", "KILL_PROCESS", "TRAP", "TRACE", "NOTIFY")]
CONDITIONS = [("SCMP_CMP_EQ", v, 0) for v in (0, 1, 3, 22, 38, 0x6B666E6F)] + [("SCMP_CMP_NE", 0, 0), ("SCMP_CMP_NE", 1, 0), ("SCMP_CMP_GE", 1, 0), ("SCMP_CMP_GT", 1000000, 0),
              ("SCMP_CMP_LT", 1000, 0), ("SCMP_CMP_LE", 22, 0), ("SCMP_CMP_MASKED_EQ", 1, 1), ("SCMP_CMP_MASKED_EQ", 0xFF, 22)]


def lies(policy: str) -> list:
    """call x answer x condition, for all that the launcher calls; behind a rule that allows it, or not."""
    calls = [c for name in ("needed_calls", "optional_calls") for c in re.findall(r'"(\w+)"', re.search(rf"^{name} := {{(.*?)}}", policy, re.MULTILINE | re.DOTALL)[1])]
    out = []
    for call in calls:
        for action, errno in ANSWERS:
            for when in [()] + [((i, op, value),) for i in range(6) for op, value, _ in CONDITIONS]:
                for before in ([], [syscall(calls, "SCMP_ACT_ALLOW")]):
                    out.append((A, filtered("SCMP_ACT_ALLOW", *before, syscall(["mount", call], action, *when, errno=errno))))
    return out


def run(t, tools, everything: bool) -> None:
    opa = tools.program("opa")
    policy = generate(*[a for p in PROFILES for a in ("--profile", p)])
    engines = [("OPA", lambda text, cases: evaluate(opa, text, cases)), ("OPA with Rego 0", lambda text, cases: evaluate(opa, text, cases, "--v0-compatible"))]
    if everything:
        engines += regorus(t, tools)
    for name, ask in engines:
        for cases, want in ((ALLOWED, True), (REFUSE, False)):
            answers = ask(policy, list(cases.values()))
            for (case, _), got in zip(cases.items(), answers):
                if name == "OPA" or got is not want:
                    t.ok(got is want, f"policy: {'allowed' if want else 'refused'}: {case}", got)
            t.ok(all(g is want for g in answers), f"policy: the same in {name}: {len(answers)} {'allowed' if want else 'refused'}")
    every_request(t, opa, policy, engines)
    hostile = lies(policy)
    random.Random(seed.choose()).shuffle(hostile)
    for name, ask in engines:
        some = hostile if everything and "regorus" in name else hostile[:600]
        wrong = [c for c, got in zip(some, ask(policy, some)) if got is not False]
        t.ok(not wrong, f"policy: {len(some)} of {len(hostile)} seccomp policies that lie to the launcher are refused, in {name}", wrong[:2])
    many = generate(*[a for i in range(1000) for a in ("--profile", f"profile-with-quite-a-long-name-of-its-own-{i:04}")])
    case = [(A, container(PREFIX[:3] + ["profile-with-quite-a-long-name-of-its-own-0999", "--", "/bin/app"])), (A, container())]
    for name, ask in engines:
        t.equal(ask(many, case), [True, False], f"policy: a thousand profiles, in {name}")
    t.ok(max(map(len, many.splitlines())) < 200, "policy: ... on short lines: the agent's engine takes no long ones")

    deny = generate("--profile", "default", "--exec", "deny")
    t.equal(evaluate(opa, deny, [ALLOWED["a wrapped exec"], ALLOWED["a wrapped container"]]), [False, True],
            "policy: exec = deny: nothing enters, containers start")
    other = generate("--profile", "default", "--pause", "/usr/bin/pod")
    pod = changed(pause(), "OCI", "Process", "Args", ["/usr/bin/pod"])
    t.equal(evaluate(opa, other, [(A, pod), (A, pause())]), [True, False], "policy: another pause command")
    settings(t, opa)
    t.equal(PAGE.read_text(), page(policy), "policy: docs/kata-policy.md says what the policy says; tests/kata/run docs writes it")


def regorus(t, tools) -> list:
    """The engines that agents have built in."""
    cargo = shutil.which("cargo")
    if not cargo:
        t.skip("policy: the same in regorus, the agent's own engine", "no cargo")
        return []
    target = tools.cache() / "regorus-0.2.8-0.9.1"
    subprocess.run([cargo, "build", "--release", "--locked", "--quiet", "--target-dir", str(target)],
                   cwd=Path(__file__).parent / "regorus", check=True)

    def ask(version: str):
        def engine(policy: str, cases: list) -> list:
            with tempfile.TemporaryDirectory(prefix="kf-rego-") as d:
                (Path(d) / "policy.rego").write_text(policy)
                (Path(d) / "cases.json").write_text(json.dumps({"cases": [{"rule": r, "input": i} for r, i in cases]}))
                p = subprocess.run([str(target / "release/kf-rego"), version, f"{d}/policy.rego", f"{d}/cases.json"], capture_output=True, text=True)
            if p.returncode:
                raise RuntimeError(p.stderr)
            return [{"true": True, "false": False}.get(line, line) for line in p.stdout.splitlines()]
        return engine
    return [(f"regorus {v}", ask(v)) for v in ("0.2", "0.9")]


def settings(t, opa: Path) -> None:
    """What the node's settings and profiles allow is what the policy allows."""
    def allows(n: KataNode, *names: str) -> list:
        policy = generate("--host-root", str(n.dir))
        return evaluate(opa, policy, [(E, execute(*PREFIX[:3], p, "--", "/bin/sh")) for p in names])

    with KataNode() as n:
        t.ok(subprocess.run([str(BIN / "kubefence"), "kata", "policy", "--host-root", str(n.dir)], capture_output=True).returncode == 1,
             "policy: without settings and profiles none is made")
        n.write("/usr/sbin/runc", b"", 0o755)
        write_settings(n, default="default")
        t.equal(allows(n, "default", "claude-code", "strict", "weak"), [True, True, True, False], "policy: the built-in profiles where none are published")
        n.write("/opt/nono-nri/profiles/mine", "")
        n.write("/opt/nono-nri/profiles/.mine.tmp", "")
        t.equal(allows(n, "default", "mine", "claude-code"), [True, True, False], "policy: those that are published, and the default")
        write_settings(n, default="default", allowed=["claude-code"])
        t.equal(allows(n, "default", "claude-code", "mine"), [True, True, False], "policy: those that the settings allow, and the default")
        t.equal(generate("--host-root", str(n.dir)), generate("--profile", "default", "--profile", "claude-code"), "policy: in one order, however it is made")
        write_settings(n, default="default", exec_="deny")
        t.equal(allows(n, "default"), [False], "policy: exec of the settings")


def write_settings(n: KataNode, default: str, allowed=(), exec_: str = "sandbox") -> None:
    import hashlib
    text = f"kubefence-settings 1\nhandler kata-nono-qemu\ndefault {default}\nlauncher /opt/nono-nri/nono\n"
    text += "".join(f"allowed {a}\n" for a in allowed) + f"seccomp restricted\nexec {exec_}\n"
    n.write("/opt/kubefence/settings", text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n")

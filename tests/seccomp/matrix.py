# SPDX-License-Identifier: Apache-2.0
"""The probe in real containers of runc and crun; every answer against the file decisions."""
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from lib import tools
import bundle
import conformance

HERE = Path(__file__).resolve().parent
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]

# A pod's own profile, stricter here and weaker there: what it denies stays denied.
LOCALHOST = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] if ARCH == "amd64" else [],
    "syscalls": [
        {"names": ["mq_open", "mq_unlink"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 97,
            "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}],
        },
        {
            "names": ["personality"],
            "action": "SCMP_ACT_KILL_PROCESS",
            "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
        },
    ],
}
LOCALHOST_FATES = {
    "mq_open": "EACCES", "mq_unlink": "EACCES", "socket:16": "EAFNOSUPPORT", "personality:0x8": "SIGSYS",
}


def decisions() -> dict:
    """{level: {probe: fate}}"""
    table: dict = {level: {} for level in conformance.LEVELS}
    for line in (HERE / "decisions").read_text().splitlines():
        if line.startswith("#"):
            continue
        names, *fates = line.split()
        m = re.fullmatch(r"(.*)\{(.*)\}", names)
        for name in [m[1] + n for n in m[2].split(",")] if m else [names]:
            for level, fate in zip(conformance.LEVELS, fates, strict=True):
                table[level][name] = fate
    return table


def runtimes() -> dict:
    # crun 1.8 refuses to run beside an empty cgroup v2 hierarchy ("hybrid").
    hide = "umount /sys/fs/cgroup/unified 2>/dev/null; exec crun \"$@\""
    return {
        "runc": [str(tools.program("runc"))],
        "crun": ["unshare", "-m", "sh", "-c", hide, "crun", "--cgroup-manager=disabled"],
    }


def wanted(fate: str, control: str, got: str, runtime: str) -> bool:
    new = "ENOSYS" if runtime == "runc" else "EPERM"
    if fate == "pass":
        return got == control and got not in ("EPERM", "SIGSYS")
    if fate == "new":
        return got == new
    if fate == "newer":
        return got in (control, new)
    return got == fate and (got != control or got == "ENOSYS")


def compare(t, got: dict, control: dict, fates: dict, runtime: str, what: str) -> None:
    t.equal(sorted(got), sorted(n for n in fates if n in control), f"{what}: every call has a decision")
    wrong = [
        f"{name}: {got.get(name)}, decided: {fates[name]}, without a filter: {control[name]}"
        for name in control
        if name in fates and not wanted(fates[name], control[name], got.get(name, "-"), runtime)
    ]
    t.ok(not wrong, f"{what}: {len(control)} calls end as decided", "\n".join(wrong))


def intersection(level: str) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(LOCALHOST, f)
        f.flush()
        out = subprocess.run(
            [conformance.BIN / "kubefence", "seccomp", "intersect", level, f.name, "-o", "oci"],
            check=True, capture_output=True, text=True,
        ).stdout
    return json.loads(out)


def run(t) -> None:
    table = decisions()
    for runtime, command in runtimes().items():
        control = bundle.outcomes(bundle.run(command, None))
        t.ok(len(control) > 100 and control["clone:newuser"] == "ok" and control["read"] == "EBADF",
             f"{runtime}: without a filter the calls reach the kernel", control)
        for level in conformance.LEVELS:
            got = bundle.outcomes(bundle.run(command, conformance.level(level, ARCH)))
            compare(t, got, control, table[level], runtime, f"{runtime}, {level}")
        alone = bundle.outcomes(bundle.run(command, LOCALHOST))
        t.ok(alone["mount"] == control["mount"] and alone["mq_open"] == "EACCES",
             f"{runtime}: the pod's own profile alone lets mount pass and denies mq_open")
        got = bundle.outcomes(bundle.run(command, intersection("restricted")))
        compare(t, got, control, table["restricted"] | LOCALHOST_FATES, runtime,
                f"{runtime}, restricted and a pod's own profile")

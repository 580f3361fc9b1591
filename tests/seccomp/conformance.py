# SPDX-License-Identifier: Apache-2.0
"""The levels against moby's default profile, call by call, and the difference that
docs/seccomp.md admits to."""
import json
import os
import re
import subprocess
from pathlib import Path

from lib import tools
import policy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")
ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}
SCMP = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}
LEVELS = ("runtime-default", "restricted", "agent")


def go(*args: str) -> str:
    return subprocess.run([tools.go(), *args], cwd=HERE / "moby", check=True, capture_output=True, text=True).stdout


def system_calls(arch: str) -> dict:
    """All system calls that Linux has there, from golang.org/x/sys."""
    directory = go("list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").strip()
    text = Path(directory, "unix", f"zsysnum_linux_{arch}.go").read_text()
    return {n.lower(): int(v) for n, v in re.findall(r"^\s*SYS_(\w+)\s*=\s*(\d+)", text, re.MULTILINE)}


def level(name: str, arch: str) -> dict:
    out = subprocess.run(
        [BIN / "kubefence", "seccomp", "show", name, "--arch", ARCHES[arch], "-o", "oci"],
        check=True, capture_output=True, text=True,
    ).stdout
    return json.loads(out)


def documented() -> dict:
    """{level: {call: (moby's answer, ours)}} from the table in docs/seccomp.md."""
    text = (ROOT / "docs/seccomp.md").read_text()
    rows: dict = {name: {} for name in LEVELS}
    section = text.split("## Differences to moby's default profile", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        calls = re.findall(r"`(\w+)`", cells[0])
        if line.startswith("|") and calls:
            for call in calls:
                for name, ours in zip(LEVELS, cells[2:5]):
                    if ours != cells[1]:
                        rows[name][call] = (cells[1], ours)
    return rows


def words(answers: list) -> str:
    """What the document calls a list of (arguments, answer)."""
    kinds = {a for _, a in answers}
    names = {"allow": "allowed", "errno 1": "EPERM", "errno 38": "ENOSYS"}
    if len(kinds) == 1:
        return names[kinds.pop()]
    allowed = [args for args, a in answers if a == "allow"]
    if kinds == {"allow", "errno 1"} and all(args[0] == 1 for args in allowed):
        return "only with argument 0 = 1"
    return "depends on the arguments"


def compare(t, moby: dict, arch: str) -> None:
    calls = system_calls(arch)
    t.ok(len(calls) > 300, f"{arch}: the list of all system calls is there")
    for name in LEVELS:
        ours = level(name, arch)
        points = policy.points(moby, ours)
        found = {}
        asked = 0
        for call in calls:
            args = points.get(call, [(0,) * 6])
            theirs_says = [(a, policy.answer(moby, call, a)) for a in args]
            ours_says = [(a, policy.answer(ours, call, a)) for a in args]
            asked += len(args)
            if theirs_says != ours_says:
                found[call] = (words(theirs_says), words(ours_says))
        print(f"# {name} on {arch}: {len(calls)} calls, {asked} questions, different from moby: "
              + ", ".join(f"{c} ({a} -> {b})" for c, (a, b) in sorted(found.items())))
        t.equal(found, {c: d for c, d in documented()[name].items() if c in calls},
                f"{name} on {arch} differs from moby's profile exactly as docs/seccomp.md says")
        named = {n for rule in ours["syscalls"] for n in rule["names"]}
        t.equal(sorted(named - set(calls)), [], f"{name} on {arch} names only calls that exist there")
        t.equal(ours["architectures"], [SCMP[arch]], f"{name} on {arch} is for that architecture only")
        t.equal(ours["defaultAction"], "SCMP_ACT_ERRNO", f"{name} on {arch} denies what it does not name")


def run(t) -> None:
    moby = json.loads(go("run", "-mod=readonly", "."))
    for arch in ARCHES:
        compare(t, moby[arch], arch)

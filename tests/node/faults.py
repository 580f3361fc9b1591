# SPDX-License-Identifier: Apache-2.0
"""kill -9 and failing system calls at every step that changes the host, by strace's injection.

After each: the configuration is the old or the new one, the next run finishes
whatever was begun, and the way back ends at the original byte by byte.
"""
from node_root import NodeRoot

# What changes a file system; each occurrence is one step.
CALLS = ("mkdirat", "renameat", "unlinkat", "fsync", "fchmod")
CONFIG = b"# mine\nversion = 3\n\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"


def one(n: NodeRoot, new: bytes, command: str, how: str, call: str, when: int, odd: bool) -> list[str] | None:
    """What is wrong after it; None: there is no such step."""
    log, bad = n.dir.with_suffix(".strace"), []
    n.node("install" if command == "uninstall" else "uninstall")
    code, said, err = n.node(command, prefix=["strace", "-qq", "-o", log, "-e", f"trace={call}",
                                              "-e", f"inject={call}:{how}:when={when}"])
    text = log.read_text()
    log.unlink()
    if "INJECTED" not in text and "+++ killed by SIGKILL" not in text:
        return None
    now = n.read("/etc/containerd/config.toml")
    if now not in (CONFIG, new):
        bad.append(f"configuration is neither the old nor the new one:\n{now}")
    if "SIGKILL" in how and code == 0:
        bad.append("was not killed")
    if code != 0 and "SIGKILL" not in how and not err.strip():
        bad.append("failed without a word")
    # The next run, of either kind, finishes.
    if odd:
        code, said, err = n.node("install")
        if code != 0 or n.read("/etc/containerd/config.toml") != new:
            bad.append(f"the next install does not finish: {code} {err}")
    code, said, err = n.node("uninstall")
    if code != 0 or n.read("/etc/containerd/config.toml") != CONFIG:
        bad.append(f"uninstall does not lead back: {code} {said} {err}")
    left = [p for p in (n.dir / "opt").rglob("*")] if (n.dir / "opt").exists() else []
    left = [p for p in left if p.is_file()] + list((n.dir / "etc").rglob("*.tmp"))
    if left:
        bad.append(f"left behind: {left}")
        for p in left:
            p.unlink()
    return bad


def each_step(t, tools, command: str, how: str, stride: int) -> None:
    with NodeRoot(tools.program("containerd", "2.4"), config=CONFIG) as n:
        t.ok(n.node("install")[0] == 0, f"{command} {how}: control install")
        new = n.read("/etc/containerd/config.toml")
        n.node("uninstall")
        steps, bad = 0, []
        for call in CALLS:  # strace counts each by itself
            for when in range(1, 200, stride):
                found = one(n, new, command, how, call, when, steps % 2 == 1)
                if found is None:
                    break
                steps += 1
                bad += [f"{call} {when}: {x}" for x in found]
        t.ok(steps * stride > 30, f"{command} {how}: every step was reached ({steps})")
        t.ok(not bad, f"{command} {how}: always ends with the old or the new configuration", "\n".join(bad))


def run(t, tools, everything: bool) -> None:
    for command in ("install", "uninstall"):
        for how in ("signal=SIGKILL", "error=EIO", "error=ENOSPC"):
            if how == "error=ENOSPC" and not everything:
                continue
            t.case(f"{command} {how}", each_step, t, tools, command, how, 1 if everything else 6)

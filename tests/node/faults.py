# SPDX-License-Identifier: Apache-2.0
"""kill -9 and failing system calls at every step that changes the host, by strace's injection.

After each: the configuration is the old or the new one, the next run finishes
whatever was begun, and the way back ends at the original byte by byte.
"""
from node_root import NodeRoot, place

# What changes a file system; each occurrence is one step.
CALLS = "mkdirat,renameat,unlinkat,fsync,fchmod"
CONFIG = b"# mine\nversion = 3\n\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"


def strace(log, inject: str) -> list:
    return ["strace", "-qq", "-o", log, "-e", f"trace={CALLS}", "-e", f"inject={inject}"]


def each_step(t, tools, command: str, how: str, stride: int) -> None:
    with NodeRoot(tools.program("containerd", "2.4"), config=CONFIG) as n:
        t.ok(n.node("install")[0] == 0, f"{command} {how}: control install")
        new = n.read("/etc/containerd/config.toml")
        n.node("uninstall")
        log = n.dir.with_suffix(".strace")
        step, bad = 1, []
        while step < 400:
            if command == "uninstall":
                n.node("install")
            code, said, err = n.node(command, prefix=strace(log, f"{CALLS}:{how}:when={step}"))
            text = log.read_text()
            if "INJECTED" not in text and "+++ killed by SIGKILL" not in text:
                break
            now = n.read("/etc/containerd/config.toml")
            if now not in (CONFIG, new):
                bad.append(f"step {step}: configuration is neither the old nor the new one:\n{now}")
            if "SIGKILL" in how and code == 0:
                bad.append(f"step {step}: was not killed")
            if code != 0 and "SIGKILL" not in how and not err.strip():
                bad.append(f"step {step}: failed without a word")
            # The next run, of either kind, finishes.
            if step % 2:
                code, said, err = n.node("install")
                if code != 0 or n.read("/etc/containerd/config.toml") != new:
                    bad.append(f"step {step}: the next install does not finish: {code} {err}")
            code, said, err = n.node("uninstall")
            if code != 0 or n.read("/etc/containerd/config.toml") != CONFIG:
                bad.append(f"step {step}: uninstall does not lead back: {code} {said} {err}")
            left = [p for p in (n.dir / "opt").rglob("*")] if (n.dir / "opt").exists() else []
            left = [p for p in left if p.is_file()] + list((n.dir / "etc").rglob("*.tmp"))
            if left:
                bad.append(f"step {step}: left behind: {left}")
                for p in left:
                    p.unlink()
            step += stride
        log.unlink()
        t.ok(step > 12, f"{command} {how}: every step was reached ({step - 1})")
        t.ok(not bad, f"{command} {how}: always ends with the old or the new configuration", "\n".join(bad))


def run(t, tools, everything: bool) -> None:
    for command in ("install", "uninstall"):
        for how in ("signal=SIGKILL", "error=EIO", "error=ENOSPC"):
            if how == "error=ENOSPC" and not everything:
                continue
            t.case(f"{command} {how}", each_step, t, tools, command, how, 1 if everything else 3)

# SPDX-License-Identifier: Apache-2.0
"""Modes on the node, whatever the umask of whoever calls, and a directory that a predecessor left."""
import os
import subprocess
import tempfile
from pathlib import Path

from node_root import BIN, GUARD, NodeRoot

LAUNCHER = "/opt/nono-nri/nono"
# What docs/architecture.md lists, and what lies around it.
MODES = {
    "/opt": 0o755, "/opt/nono-nri": 0o755, LAUNCHER: 0o755,
    "/opt/nono-nri/profiles": 0o755, "/opt/nono-nri/profiles/mine": 0o644,
    "/opt/kubefence": 0o755, "/opt/kubefence/bin": 0o755, GUARD: 0o755,
    "/opt/kubefence/runtime": 0o644, "/opt/kubefence/settings": 0o644,
}
PROFILE = '{"meta": {"name": "mine"}, "extends": "default"}'


def modes(n: NodeRoot) -> dict:
    out = {}
    for path in MODES:
        s = n.path(path).stat() if n.path(path).exists() else None
        out[path] = s and (s.st_mode & 0o7777 if s.st_uid == 0 else f"uid {s.st_uid}")
    return out


def wrong(n: NodeRoot, *but: str) -> dict:
    return {p: m and (oct(m) if isinstance(m, int) else m) for p, m in modes(n).items() if m != MODES[p] and p not in but}


def reachable(path: Path) -> subprocess.CompletedProcess:
    """Run by a user who is nobody here, by its path, as a container does."""
    return subprocess.run(["/bin/sh", "-c", '"$0" --version', path], user=1000, group=1000, extra_groups=[], capture_output=True, text=True, cwd="/")


def every_umask(t, tools) -> None:
    for umask in (0o000, 0o022, 0o027, 0o077):
        with tempfile.TemporaryDirectory() as profiles, \
                NodeRoot(tools.program("containerd", "2.4"), config=b"version = 3\n") as n:
            (Path(profiles) / "mine.json").write_text(PROFILE)
            old = os.umask(umask)
            try:
                code, said, err = n.node("install", "--profiles", profiles)
            finally:
                os.umask(old)
            t.ok(code == 0, f"umask {umask:03o}: installed", err)
            t.equal(wrong(n), {}, f"umask {umask:03o}: every mode is the documented one")
            p = reachable(n.path(LAUNCHER))
            t.ok(p.returncode == 0, f"umask {umask:03o}: another user can run the launcher", p.stderr)
            t.ok(not (n.path("/opt/kubefence/bin").stat().st_mode | n.path("/opt").stat().st_mode) & 0o022,
                 f"umask {umask:03o}: only root can write")
        with NodeRoot() as n:
            n.path("/opt").mkdir(mode=0o755)
            old = os.umask(umask)
            try:
                p = subprocess.run([BIN / "kubefence", "node", "programs", "--host-root", n.dir], capture_output=True, text=True)
            finally:
                os.umask(old)
            missing = [x for x in MODES if not n.path(x).exists()]
            t.ok(p.returncode == 0 and not wrong(n, *missing) and n.path(LAUNCHER).exists() and n.path(GUARD).exists(),
                 f"umask {umask:03o}: the same of 'node programs'", f"{p.stderr}{wrong(n)}")


def predecessor(t, tools) -> None:
    """0700 with scripts around the launcher, as the Go implementation leaves it."""
    def leave(n: NodeRoot, mode: int, uid: int = 0) -> None:
        n.write("/opt/nono-nri/nono-wrapper.sh", "#!/bin/sh\nexec nono \"$@\"\n", 0o755)
        n.write("/opt/nono-nri/x\x1b[2J", "")
        n.path("/opt/nono-nri").chmod(mode)
        os.chown(n.path("/opt/nono-nri"), uid, uid)

    for mode, uid in ((0o700, 0), (0o750, 0), (0o777, 0), (0o755, 1000)):
        what = f"left {mode:04o} by uid {uid}"
        with NodeRoot() as n:
            leave(n, mode, uid)
            p = subprocess.run([BIN / "kubefence", "node", "programs", "--host-root", n.dir], capture_output=True, text=True)
            s = n.path("/opt/nono-nri").stat()
            t.equal((p.returncode, oct(s.st_mode & 0o7777), s.st_uid), (0, "0o755", 0), f"{what}: 'node programs' puts it right")
            t.ok("foreign /opt/nono-nri/nono-wrapper.sh" in p.stdout and "foreign /opt/nono-nri/nono\n" not in p.stdout,
                 f"{what}: what is foreign is named, ours is not", p.stdout)
            t.ok(n.path("/opt/nono-nri/nono-wrapper.sh").exists(), f"{what}: and stays")
            t.ok("\x1b" not in p.stdout and "\\x1b[2J" in p.stdout, f"{what}: a file's name is printed escaped", repr(p.stdout))
            p = subprocess.run([BIN / "kubefence", "node", "programs", "--host-root", n.dir], capture_output=True, text=True)
            t.equal((p.returncode, p.stdout), (0, ""), f"{what}: the second time there is nothing to do")
    with NodeRoot(tools.program("containerd", "2.4"), config=b"version = 3\n") as n:
        leave(n, 0o700)
        code, said, err = n.node("install")
        acts = {(e["action"], e["object"]) for e in said.get("events", [])}
        t.ok(code == 0 and {("put right", "/opt/nono-nri"), ("foreign", "/opt/nono-nri/nono-wrapper.sh")} <= acts,
             "'node install' puts it right and names what is foreign", err or said)
        t.ok(reachable(n.path(LAUNCHER)).returncode == 0, "another user can run the launcher")
        settled = n.snapshot()
        t.ok(n.node("install")[1].get("state") == "nothing to do" and n.snapshot() == settled, "control: then there is nothing to do")
        def closed() -> list:
            return [e["object"] for e in n.node("verify")[1]["events"] if e["action"] == "fail" and "0755" in e["detail"]]

        t.equal(closed(), [], "control: and verify finds no directory closed")
        n.path("/opt/nono-nri").chmod(0o700)
        t.equal(closed(), [LAUNCHER], "verify, and so the agent, sees one that is")
        t.ok(reachable(n.path(LAUNCHER)).returncode != 0, "control: another user needs the directory")
        code, said, err = n.node("install")
        t.ok(code == 0 and said["state"] != "nothing to do" and not wrong(n, "/opt/nono-nri/profiles", "/opt/nono-nri/profiles/mine"),
             "closed again later, the next install sees that", err or said)


def run(t, tools, everything: bool) -> None:
    t.case("every umask", every_umask, t, tools)
    t.case("predecessor", predecessor, t, tools)

# SPDX-License-Identifier: Apache-2.0
"""Containers that differ in their sandbox only, each with a worker (worker.c) in it that measures what it is told to.

    with Containers("/path/to/rootfs") as c:
        bare, boxed = c.bare(), c.boxed("default", "restricted")
        bare.ask("call", "open", 1000, "/etc/passwd")

All are run by the same runc, share a root file system (an overlay, as containerd makes), a volume at /work, which is the
work directory, and the network of this machine.  Those in a sandbox are run through the guard, as on a node.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / d) for d in ("guard", "workloads")] + [str(TESTS)]

import lib_guard  # noqa: E402
import roots  # noqa: E402
from lib import kubelet, tools  # noqa: E402

LEVELS = ("runtime-default", "agent", "restricted")


def kubefence(*args: str) -> str:
    return subprocess.run([lib_guard.BIN / "kubefence", *args], capture_output=True, text=True, check=True).stdout


class Worker:
    def __init__(self, name: str, node: lib_guard.Node, command: list[str], cid: str):
        self.name, self.node, self.cid = name, node, cid
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name}: the worker does not start")

    def ask(self, *words) -> list[float]:
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"{self.name}: {words}: no answer")
        return list(map(float, answer))

    def run(self, script: str) -> tuple[float, float]:
        """Milliseconds of wall time and of processor time."""
        wall, cpu, status = self.ask("run", "sh", "-ec", script)
        if status:
            raise RuntimeError(f"{self.name}: {script}: ended with {status:.0f}")
        return wall / 1e6, cpu / 1e6

    def close(self) -> None:
        self.process.stdin.close()
        self.node.delete(self.cid)
        self.process.wait()
        self.process.stdout.close()


class Containers:
    def __init__(self, lower: str):
        self.folder = tempfile.TemporaryDirectory(prefix="kf-bench-")
        self.dir = Path(self.folder.name)
        self.workers: list[Worker] = []
        self.overlay = roots.Overlay(lower, str(self.dir))
        self.rootfs = Path(self.overlay.path)
        self.volume = self.dir / "volume"
        self.volume.mkdir()
        self.node = lib_guard.Node(str(tools.program("runc")))
        (self.rootfs / "opt").mkdir(exist_ok=True)
        subprocess.run(["gcc", "-O2", "-static", "-o", self.rootfs / "opt/worker", HERE / "worker.c"], check=True)

    def __enter__(self) -> "Containers":
        return self

    def __exit__(self, *exc) -> None:
        for w in self.workers:
            w.close()
        self.node.close()
        self.overlay.close()
        self.folder.cleanup()

    def _start(self, name: str, args: list[str], seccomp: dict | None, guarded: bool) -> Worker:
        b = self.node.bundle(args)
        b.config["root"]["path"] = str(self.rootfs)
        b.config["mounts"].append({"destination": "/work", "type": "bind", "source": str(self.volume), "options": ["bind", "rw"]})
        b.config["process"].update(cwd="/work", env=["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "LC_ALL=C.UTF-8"])
        linux = b.config["linux"]
        linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "network"]
        if seccomp:
            linux["seccomp"] = seccomp
        b.write()
        cid = self.node.id()
        self.workers.append(Worker(name, self.node, self.node.command("run", "--bundle", b.dir, cid, bare=not guarded), cid))
        return self.workers[-1]

    def bare(self, level: str = "") -> Worker:
        """Without us; @level: "" for no filter, the runtime's own with "RuntimeDefault", or one of LEVELS, which runc loads."""
        seccomp = None
        if level == "RuntimeDefault":
            seccomp = kubelet.config(self.dir, [], seccomp=True)["linux"]["seccomp"]
        elif level:
            seccomp = json.loads(kubefence("seccomp", "show", level, "-o", "oci"))
        return self._start(f"bare, {level}" if level else "bare", ["/opt/worker"], seccomp, False)

    def one_rule(self) -> Worker:
        """In a Landlock domain with one rule, without a filter."""
        return self._start("one rule", ["/opt/worker", "--landlock"], None, False)

    def boxed(self, profile: str, level: str = "") -> Worker:
        """Through the guard, under @profile and a seccomp level."""
        # As soon as one lies beside the launcher, the built-in ones are off.
        for name in {"default", profile}:
            self.node.profile(name, *(kubefence("profile", "compile", name).splitlines()[2:-1]))
        self.node.settings(default=profile, seccomp=level)
        return self._start(f"{profile}, {level}" if level else profile, ["/opt/worker"], None, True)

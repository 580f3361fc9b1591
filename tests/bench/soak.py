# SPDX-License-Identifier: Apache-2.0
"""Creations without end while things break around the plugin and the guard: none may fail, and nothing may grow.

The plugin is connected to the real adaptation package, which plays pods' lives.  Meanwhile, by turns: the runtime is killed;
it closes its socket; the plugin's configuration changes, is broken, comes back; the file system of its state fills up; the
guard's records of containers come and go, late and all at once.  The guard creates and deletes containers in front of a
runtime that does nothing, and now and then dies.
"""
import contextlib
import ctypes
import hashlib
import itertools
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / d) for d in ("bench-nri", "conformance", "guard")] + [str(TESTS)]

import harness  # noqa: E402
import lib_guard  # noqa: E402
import players  # noqa: E402
from lib import figures  # noqa: E402
from lib.wait import wait_until  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_pidfd_getfd = 438
CREATES = 100_000  # of them a part through the guard
PER_GUARD = 50  # creations of the plugin for one of the guard
BATCH = 100
ROOT_OF_RUNTIME = "/run/containerd/runc/k8s.io"
SETTLED = 0.1  # of all creations, after which nothing may grow any more
GROWTH_KIB = 256


class Failures(list):
    """Creations that did not come to a good end."""

    def watch(self, what: str, fn, *args):
        try:
            return fn(*args)
        except RuntimeError as e:
            self.append(f"{what}: {e}")
            return None


class Plugin:
    """nono-nri with a runtime, a small file system for its state, and what happens to them."""

    def __init__(self, version: harness.Version, guarded: bool):
        self.guarded, self.runtime = guarded, players.Runtime(version)
        self.folder = self.runtime.dir / "ours10"
        self.state = self.runtime.dir / "small"
        self.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", self.state], check=True)
        self.runtime.start()
        self.runtime.state = self.state
        self.process = self.runtime.ours(guarded)
        self.runtime.wait(1)
        self.config = (self.folder / "config").read_text()
        self.number = 0  # of the last life that this runtime has played

    def close(self) -> None:
        self.runtime.close_plugins()
        subprocess.run(["umount", "-l", self.state], check=True)
        self.runtime.close()

    def use(self) -> dict[str, int]:
        return {"resident KiB": players.status(self.process.pid, "VmRSS"), "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd")),
                "threads": players.status(self.process.pid, "Threads")}

    def entries(self) -> int:
        return sum(len(files) for _, _, files in os.walk(self.state))

    def batch(self, failures: Failures, meanwhile=None) -> None:
        """Lives of pods in scope, one out of scope in ten; @meanwhile happens while they are played."""
        todo = threading.Thread(target=meanwhile) if meanwhile else None
        if todo:
            todo.start()
        for handler, n in (("nono-runc", BATCH - BATCH // 10), ("runc", BATCH // 10)):
            failures.watch(f"{'with' if self.guarded else 'without'} the guard, {handler}", self.runtime.lives, handler, n)
        if todo:
            todo.join()
        if self.guarded:
            self.records(range(self.number + 1, self.number + BATCH - BATCH // 10 + 1))
        self.number += BATCH

    def records(self, lives) -> None:
        """Those of the guard: written, as late as they can be, and gone again."""
        folder = self.folder / "records"
        names = []
        for n in lives:
            cid = f"c{n:063d}"
            names.append(folder / hashlib.sha256(f"{ROOT_OF_RUNTIME}\n{cid}".encode()).hexdigest())
            fresh = folder / "new"
            fresh.write_text(f"root {ROOT_OF_RUNTIME}\nid {cid}\nbundle /b\nruntime /usr/bin/runc\nprofile default\nlabel \n")
            fresh.rename(names[-1])
        for name in names:
            name.unlink()

    # ---- faults: (what, before a batch, while it runs) ----

    def killed(self) -> None:
        self.runtime.again()
        self.number = 0

    def closed(self) -> None:
        """Both ends of the connection see its end."""
        synced = self.runtime.call("status").get("synced", 0)
        pidfd = os.pidfd_open(self.process.pid)
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            copy = LIBC.syscall(SYS_pidfd_getfd, pidfd, int(fd), 0)
            if copy < 0 or not stat.S_ISSOCK(os.fstat(copy).st_mode):
                if copy >= 0:
                    os.close(copy)
                continue  # not a socket, or closed since it was listed
            with socket.socket(fileno=copy) as s, contextlib.suppress(OSError):  # one that listens has no peer
                if s.getpeername() == str(self.runtime.socket):
                    s.shutdown(socket.SHUT_RDWR)
        os.close(pidfd)
        self.runtime.wait(synced + 1)

    def reconfigured(self) -> None:
        for text in (self.config.replace('"default"', '"strict"'), "not = [a configuration", self.config):
            fresh = self.folder / "config.new"
            fresh.write_text(text)
            fresh.rename(self.folder / "config")
            time.sleep(0.02)  # so that it is read while pods are created; nothing waits for it

    def full(self) -> None:
        fill = self.state / "fill"
        with contextlib.suppress(OSError), open(fill, "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
        time.sleep(0.02)  # as above
        fill.unlink()

    def faults(self):
        return itertools.cycle((("nothing", None, None), ("the configuration changes", None, self.reconfigured), ("the disk is full", None, self.full),
                                ("nothing", None, None), ("the socket is closed", self.closed, None), ("nothing", None, None),
                                ("the configuration changes on a full disk", None, lambda: (self.full(), self.reconfigured())),
                                ("nothing", None, None), ("nothing", None, None), ("the runtime is killed", self.killed, None)))


def plugin(t, version: harness.Version, guarded: bool, creates: int, points: list) -> None:
    failures, seen, early = Failures(), {}, {}
    how = f"NRI {version.name}, {'with' if guarded else 'without'} the guard"
    with contextlib.closing(Plugin(version, guarded)) as p:
        for n, (what, before, meanwhile) in zip(range(0, creates, BATCH), p.faults()):
            if before:
                before()
            p.batch(failures, meanwhile)
            seen[what] = seen.get(what, 0) + 1
            if n < max(2 * BATCH, creates * SETTLED):
                early = {k: max(v, early.get(k, 0)) for k, v in p.use().items()}
            if n % max(BATCH, creates // 40 // BATCH * BATCH) == 0:
                points.append((how, n + BATCH, p.use()["resident KiB"]))
        adjusted = p.runtime.call("create", **players.request("nono-runc"))["adjust"]
        t.ok(adjusted, f"{how}: at the end a container in scope is still adjusted", adjusted)
        p.killed()  # tells the plugin that no container lives
        wait_until(lambda: p.entries() <= 1, "the state entries to go")
        late = p.use()
    t.equal(failures[:5], [], f"{how}: none of {creates} creations failed")
    t.ok(late["resident KiB"] - early["resident KiB"] <= GROWTH_KIB, f"{how}: memory grew by {late['resident KiB'] - early['resident KiB']} KiB, at most {GROWTH_KIB}", (early, late))
    # One may be open for a moment, to read or write a file.
    t.ok(late["descriptors"] <= early["descriptors"] + 1 and late["threads"] == early["threads"], f"{how}: descriptors and threads are no more than before", (early, late))
    print(f"# {how}: batches of {BATCH} while: " + ", ".join(f"{k} {v}" for k, v in seen.items()) + f"; {late}", flush=True)


def guard(t, creates: int) -> None:
    """Create and delete in front of a runtime that does nothing, and dies at every tenth creation."""
    failures = Failures()
    node = lib_guard.Node("/bin/true")
    try:
        runtime, deadly = node.dir / "runtime", node.dir / "deadly"
        runtime.write_text(f"#!/bin/sh\n[ ! -e {deadly} ] || kill -9 $$\n")
        runtime.chmod(0o755)
        node.runtimes(str(runtime))
        b = node.bundle(["true"])

        def kept() -> list[str]:
            return [f.name for f in lib_guard.RECORDS.glob("*") if f.is_file() and str(node.dir) in f.read_text(errors="replace")]

        for n in range(creates):
            dies = n % 10 == 9
            if dies:
                deadly.touch()
            cid = node.id()
            b.write()
            r = node.call("create", "--bundle", b.dir, cid)
            if dies == (r.code == 0):
                failures.append(f"runtime {'dies' if dies else 'works'}: {r.code} {r.err}")
            deadly.unlink(missing_ok=True)
            node.call("delete", "--force", cid)
        t.equal(failures[:5], [], f"guard: {creates} creations end as the runtime's")
        t.equal(kept(), [], "guard: no record is left")
    finally:
        node.close()


def run(t, creates: int = CREATES) -> None:
    lib_guard.own_mount_namespace()
    points: list = []
    cases = [(harness.VERSIONS[v], g) for v in ("0.10", "newest") for g in (True, False)]
    for version, guarded in cases:
        plugin(t, version, guarded, creates // len(cases), points)
    guard(t, creates // PER_GUARD)
    if creates >= CREATES and not t.failed:
        figures.keep("soak", {"creates": creates, "guard": creates // PER_GUARD, "points": points})

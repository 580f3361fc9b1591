#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: what runs, and how, while things are broken.

For each containerd line, each fault and each strength of enforcement it starts
pods and execs into them and says what became of them:

    sandboxed   runs with the whole sandbox
    refused     did not run; the CRI client got an error
    bare        ran without the sandbox

With the guard, "bare" never happens: that is the assertion.  The plugin by
itself is recorded, and the control without both must be bare, else the probe
would prove nothing.

    faults.py [--line 2.4]... [--strength guard]... [--fault NAME]... [--docs]

--docs writes what was run into docs/fault-matrix.md; cells of other runs stay.
"""
import argparse
import collections
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from lib import images, node, tools  # noqa: E402
from lib.containerd import Containerd  # noqa: E402
from lib.cri import DEADLINE, CriError, Timeout, wait_until  # noqa: E402
from lib.pods import Container, Pod  # noqa: E402
from lib.tap import Tap  # noqa: E402

LINES = ("1.7", "2.1", "2.2", "2.4")
GUARD, REQUIRED, PLUGIN, NEITHER = "guard", "plugin, required", "plugin", "neither"
STRENGTHS = (GUARD, REQUIRED, PLUGIN, NEITHER)
KILLAT = Path(HERE).parent / "lib/killat.py"

# Bare: /etc can be written.  Sandboxed: it cannot, though /tmp can.  Anything else is a fault of ours.
PROBE = "if touch /etc/p 2>/dev/null; then echo bare; elif touch /tmp/p; then echo sandboxed; else echo odd; fi"


class Node:
    """One containerd with one strength of enforcement."""

    def __init__(self, line: str, strength: str):
        self.line, self.strength = line, strength
        nri = {}
        if strength == REQUIRED and line not in ("1.7", "2.1"):  # the validator exists since NRI 0.10
            nri = {"default_validator": {"enable": True}}
        self.c = Containerd(line, handlers=node.GUARDED if strength == GUARD else {}, nri=nri)
        self.plugin: node.Plugin | None = None
        self.before: Container | None = None  # runs since before the fault; entered while it lasts
        self.victim: Pod | None = None  # too; stopped and removed while it lasts
        self.stoppable = True

    def __enter__(self) -> "Node":
        self.c.__enter__()
        node.install(self.c, guard=self.strength == GUARD)
        self.image = self.c.load(images.busybox())
        return self

    def __exit__(self, *_) -> None:
        self.c.close()

    def healthy(self) -> None:
        """The plugin runs, as it should."""
        if self.strength == NEITHER:
            return
        if self.plugin is None:
            self.plugin = node.Plugin(self.c)
        if self.plugin.process is None or self.plugin.process.poll() is not None:
            self.plugin.start()

    def pod(self) -> Pod:
        annotations = {"required-plugins.noderesource.dev": '["nono-nri"]'} if self.strength == REQUIRED else {}
        return self.c.pod(handler="nono-runc", annotations=annotations)

    def create(self) -> tuple[str, Container | None, Pod | None]:
        """A pod with one container that probes and then stays: what became of it."""
        try:
            pod = self.pod()
        except CriError:
            return "refused", None, None
        try:
            ctr = pod.container(self.image, ["sh", "-c", f"{PROBE}; exec sleep 3600"]).start()
        except CriError:
            return "refused", None, pod
        said = wait_until(ctr.log, "the probe's word", 60).strip()
        return said if said in ("sandboxed", "bare") else f"odd: {said}", ctr, pod

    def execs(self, ctr: Container | None) -> list[str]:
        """The same through ExecSync (probes, hooks) and through the streaming server (kubectl exec)."""
        out = []
        for fn in (ctr.exec, ctr.exec_stream) if ctr else ():
            try:
                r = fn("sh", "-c", PROBE)
                out.append(r.out.strip() if r.code == 0 else f"odd: {r}")
            except CriError:
                out.append("refused")
        return out


class Outcome:
    def __init__(self) -> None:
        self.created: collections.Counter = collections.Counter()
        self.execed: collections.Counter = collections.Counter()
        self.note = ""

    def every(self) -> set[str]:
        return set(self.created) | set(self.execed)

    def __str__(self) -> str:
        def words(counter: collections.Counter) -> str:
            return " or ".join(sorted(counter, key=lambda k: -counter[k]))

        exec_part = words(self.execed)
        return words(self.created) + (f"; exec {exec_part}" if exec_part else "") + (
            f" ({self.note})" if self.note else "")


def creations(n: Node, out: Outcome, count: int = 2, parallel: bool = False) -> None:
    """Create pods and exec into those that run and into the one from before; stop another from before."""
    results = []

    def one() -> None:
        try:
            results.append(n.create())
        except Exception as e:  # in a thread it would be lost
            results.append((f"odd: {e!r}", None, None))

    if parallel:
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for _ in range(count):
            one()
    for i, (what, ctr, _pod) in enumerate(results):
        out.created[what] += 1
        if i < 2:
            out.execed.update(n.execs(ctr))
    out.execed.update(n.execs(n.before))
    for pod in [n.victim, *(pod for _what, _ctr, pod in results)]:
        try:
            if pod:
                pod.remove()
        except CriError:
            n.stoppable = False
    n.victim = None


# -- faults: each gets a node whose plugin runs, and leaves one that can be healed -------------

Fault = collections.namedtuple("Fault", "name title run")
FAULTS: list[Fault] = []


def fault(title: str):
    def register(fn):
        FAULTS.append(Fault(fn.__name__, title, fn))
        return fn

    return register


@fault("nothing is wrong")
def none(n: Node, out: Outcome) -> None:
    creations(n, out)


@fault("plugin never started on this node")
def never(n: Node, out: Outcome) -> None:
    if n.plugin:
        n.plugin.stop()
    for path in (node.SETTINGS, "/opt/nono-nri/profiles"):
        n.c.sh(f"[ ! -e {path} ] || mv {path} {path}.away")
    creations(n, out)
    for path in (node.SETTINGS, "/opt/nono-nri/profiles"):
        n.c.sh(f"rm -rf {path}; [ ! -e {path}.away ] || mv {path}.away {path}")


@fault("plugin stopped (SIGTERM)")
def stopped(n: Node, out: Outcome) -> None:
    n.plugin.stop()
    creations(n, out)


@fault("plugin killed while idle")
def killed(n: Node, out: Outcome) -> None:
    n.plugin.stop(signal.SIGKILL)
    creations(n, out, 3)


@fault("plugin killed at each system call of a request")
def killed_at_each_point(n: Node, out: Outcome) -> None:
    # Every point on the newest containerd; elsewhere, where each request is the same, every seventh.
    step = 1 if n.line == LINES[-1] else 7
    point = 1
    while True:
        n.healthy()
        tracer = subprocess.Popen([sys.executable, KILLAT, str(n.plugin.pid), str(point)], stdout=subprocess.PIPE)
        tracer.stdout.readline()
        what, ctr, pod = n.create()
        out.created[what] += 1
        out.execed.update([*n.execs(ctr), *n.execs(n.before)] if point % 5 == 1 else [])
        if pod:
            pod.remove()
        survived = n.plugin.process.poll() is None
        tracer.kill()
        tracer.wait()
        if survived:
            break
        n.plugin.process.wait()
        point += step
    n.plugin.stop(signal.SIGKILL)  # traced, it may have been too slow for the runtime
    out.note = f"{(point - 1) // step} points"
    if point < 20:
        out.created["odd: too few points"] += 1


@fault("plugin's helper killed, runtime killed and started again")
def helper_killed(n: Node, out: Outcome) -> None:
    n.plugin.send_helper(signal.SIGKILL)
    if n.plugin.process.wait(DEADLINE) != 1 or not n.plugin.entries("helper-ended", level="error"):
        out.created["odd: the plugin did not say what it ended for"] += 1
    creations(n, out, 1)
    n.c.restart(signal.SIGKILL)
    creations(n, out, 1)


@fault("plugin hangs (SIGSTOP)")
def hung(n: Node, out: Outcome) -> None:
    n.plugin.send(signal.SIGSTOP)
    try:
        creations(n, out)
    finally:
        n.plugin.stop(signal.SIGKILL)


@fault("plugin hangs, killed in the middle of a request")
def hung_then_killed(n: Node, out: Outcome) -> None:
    n.plugin.send(signal.SIGSTOP)
    timer = threading.Timer(0.5, n.plugin.send, [signal.SIGKILL])
    timer.start()
    try:
        creations(n, out)
    finally:
        timer.join()
        n.plugin.stop(signal.SIGKILL)


def cpu_cgroup(name: str) -> tuple[Path, dict[str, str]]:
    v1 = Path("/sys/fs/cgroup/cpu")
    if v1.is_dir():
        return v1 / name, {"cpu.cfs_period_us": "1000000", "cpu.cfs_quota_us": "1000"}
    return Path("/sys/fs/cgroup") / name, {"cpu.max": "1000 1000000"}


@fault("plugin starved of CPU (0.1 percent, shared with eight others)")
def starved(n: Node, out: Outcome) -> None:
    group, values = cpu_cgroup(f"{n.c.name}-starved")
    group.mkdir()
    hogs = []
    try:
        for file, value in values.items():
            (group / file).write_text(value)
        for _ in range(8):
            hogs.append(subprocess.Popen(["sh", "-c", "while :; do :; done"]))
        for p in [*hogs, n.plugin.process]:
            (group / "cgroup.procs").write_text(str(p.pid))
        creations(n, out, 4, parallel=True)
    finally:
        for p in hogs:
            p.kill()
        n.plugin.stop(signal.SIGKILL)
        for p in hogs:
            p.wait()
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the starved plugin to end")
        group.rmdir()


@fault("plugin out of memory (every further allocation fails)")
def out_of_memory(n: Node, out: Outcome) -> None:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        resource.prlimit(n.plugin.pid, limit, (1, 1))
    results = []
    for _ in range(3):  # a big pod needs memory that a small one would find in the allocator's pockets
        try:
            pod = n.pod()
        except CriError:
            out.created["refused"] += 1
            continue
        try:
            env = {f"BIG{i}": "x" * 30000 for i in range(20)}
            ctr = pod.container(n.image, ["sh", "-c", f"{PROBE}; exec sleep 3600"], env=env).start()
            said = wait_until(ctr.log, "the probe's word", 60).strip()
            out.created[said] += 1
            out.execed.update([*n.execs(ctr), *n.execs(n.before)])
        except CriError:
            out.created["refused"] += 1
        results.append(pod)
    for pod in results:
        pod.remove()
    n.plugin.stop(signal.SIGKILL)


@fault("configuration broken, plugin restarted")
def wrong_configuration(n: Node, out: Outcome) -> None:
    n.plugin.stop()
    bad = node.Plugin(n.c, name="bad", nono_bin_path="relative", default_profile=None).spawn()
    if bad.process.wait(10) == 0:
        out.created["odd: started with a wrong configuration"] += 1
    creations(n, out)


@fault("two instances of the plugin")
def two_instances(n: Node, out: Outcome) -> None:
    second = node.Plugin(n.c, name="second").spawn()
    creations(n, out, 4, parallel=True)
    second.stop(signal.SIGKILL)


@fault("rolling update (old one stops, new one starts, pods arrive all the time)")
def rolling_update(n: Node, out: Outcome) -> None:
    done = threading.Event()
    results: list[tuple] = []

    def arrivals() -> None:
        while not done.is_set():
            results.append(n.create())

    threads = [threading.Thread(target=arrivals) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        n.plugin.stop()
        n.plugin.start()
    done.set()
    for thread in threads:
        thread.join()
    for what, _ctr, _pod in results:
        out.created[what] += 1
    out.execed.update(n.execs(results[-1][1]))
    for _what, _ctr, pod in results:
        if pod:
            pod.remove()


@fault("runtime killed and started again (pods arrive before the plugin is back)")
def runtime_restart(n: Node, out: Outcome) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        before = n.plugin.connections()
        n.plugin.send(signal.SIGSTOP)  # the moment before it reconnects, made long
        n.c.restart(sig)
        what, ctr, pod = n.create()
        n.plugin.send(signal.SIGCONT)
        out.created[what] += 1
        out.execed.update(n.execs(ctr))
        if pod:
            pod.remove()
        n.plugin.wait_connected(before)
        creations(n, out, 1)


def mounted(n: Node, out: Outcome, path: str, options: str, fill: bool) -> None:
    """Have a file system of its own at @path that is full, or cannot be written."""
    n.c.sh(f"mkdir -p {path} && mount -t tmpfs -o size=64k,nr_inodes=64,mode=700 full {path}")
    try:
        if fill:
            n.c.sh(f"cat /dev/zero >{path}/fill", check=False)
            n.c.sh(f"i=0; while : >{path}/f$i; do i=$((i + 1)); done", check=False)
        n.c.sh(f"mount -o remount,{options} {path}")
        creations(n, out)
    finally:
        n.c.sh(f"umount -l {path}")


@fault("disk of the plugin's state directory full")
def full_state(n: Node, out: Outcome) -> None:
    mounted(n, out, node.STATE, "rw", True)


@fault("plugin's state directory read-only")
def read_only_state(n: Node, out: Outcome) -> None:
    mounted(n, out, node.STATE, "ro", False)


@fault("disk of the guard's record directory full")
def full_records(n: Node, out: Outcome) -> None:
    if n.strength == GUARD:
        mounted(n, out, node.RECORDS, "rw", True)


@fault("guard's record directory read-only")
def read_only_records(n: Node, out: Outcome) -> None:
    if n.strength == GUARD:
        mounted(n, out, node.RECORDS, "ro", False)


@fault("/opt of the node read-only")
def read_only_opt(n: Node, out: Outcome) -> None:
    n.c.sh("mount -o remount,bind,ro /opt")
    try:
        n.plugin.stop()
        n.plugin.spawn()
        creations(n, out)
    finally:
        n.plugin.stop(signal.SIGKILL)
        n.c.sh("mount -o remount,bind,rw /opt")


@fault("launcher removed from the node")
def launcher_removed(n: Node, out: Outcome) -> None:
    n.c.sh(f"mv {node.LAUNCHER} {node.LAUNCHER}.away")
    try:
        creations(n, out)
    finally:
        n.c.sh(f"mv {node.LAUNCHER}.away {node.LAUNCHER}")


@fault("guard removed from the node")
def guard_removed(n: Node, out: Outcome) -> None:
    if n.strength != GUARD:
        return
    n.c.sh(f"mv {node.GUARD} {node.GUARD}.away")
    try:
        creations(n, out)
    finally:
        n.c.sh(f"mv {node.GUARD}.away {node.GUARD}")


@fault("settings for the guard damaged")
def settings_damaged(n: Node, out: Outcome) -> None:
    if n.strength != GUARD:
        return
    good = n.c.host(node.SETTINGS).read_text()
    n.c.write(node.SETTINGS, good.replace("exec sandbox", "exec  sandbox"))
    try:
        creations(n, out)
    finally:
        n.c.write(node.SETTINGS, good)


@fault("110 pods at once")
def burst(n: Node, out: Outcome) -> None:
    creations(n, out, 110, parallel=True)


NEEDS_NO_PLUGIN = {"none", "never", "burst"}


def cell(line: str, strength: str, names: list[str]):
    """All faults on one node: yields (fault, outcome)."""
    with Node(line, strength) as n:
        for f in FAULTS:
            if names and f.name not in names:
                continue
            if strength == NEITHER and f.name not in NEEDS_NO_PLUGIN:
                continue
            out = Outcome()
            n.healthy()
            what, n.before, before = n.create()
            _what, _ctr, n.victim = n.create()
            n.stoppable = True
            f.run(n, out)
            n.healthy()
            healed, _ctr, pod = n.create()
            for old in (before, pod, n.victim):
                if old:
                    old.remove()
            yield f, out, what, healed, n.stoppable


def run(t: Tap, lines=LINES, names: list[str] | None = None, strengths=STRENGTHS) -> dict:
    table: dict = {}
    for line in lines:
        for strength in strengths:
            if strength == REQUIRED and line in ("1.7", "2.1"):
                continue
            label = f"containerd {line}, {strength}"
            # Plugin alone on an old NRI: its work cannot be done, so it blocks the start.
            well = {GUARD: "sandboxed", NEITHER: "bare"}.get(
                strength, "sandboxed" if line not in ("1.7", "2.1") else "refused")
            try:
                for f, out, before, healed, stoppable in cell(line, strength, names or []):
                    if not out.every():
                        continue
                    table[f.name, line, strength] = str(out)
                    t.equal((before, healed), (well, well), f"{label}, {f.title}: before and after it, pods are {well}")
                    # Without the runtime's program nothing of it can be stopped: why it is never removed early.
                    can = (strength, f.name) != (GUARD, "guard_removed")
                    t.equal(stoppable, can, f"{label}, {f.title}: pods can{'' if can else 'not'} be stopped meanwhile")
                    if strength == GUARD:
                        t.ok(out.every() <= {"sandboxed", "refused"}, f"{label}, {f.title}: {out}", out.every())
                    elif strength == NEITHER:
                        t.equal(out.every(), {"bare"}, f"{label}, {f.title}: the control is bare")
                    else:
                        t.ok(out.every() <= {"sandboxed", "refused", "bare"}, f"{label}, {f.title}: {out}", out.every())
            except (CriError, Timeout, tools.ToolError, RuntimeError, OSError) as e:
                t.ok(False, f"{label}: the node", repr(e))
    return table


def read_docs() -> dict:
    """The table that docs/fault-matrix.md holds."""
    table: dict = {}
    names = {f.title: f.name for f in FAULTS}
    strength, columns = "", []
    for line in DOCS.read_text().splitlines() if DOCS.exists() else ():
        cells = [x.strip() for x in line.strip("|").split("|")]
        if line.startswith("## "):
            strength = next((k for k, v in TITLES.items() if v == line[3:]), "")
        elif cells[0] == "fault":
            columns = [x.removeprefix("containerd ") for x in cells[1:]]
        elif cells[0] in names:
            table |= {(names[cells[0]], c, strength): x for c, x in zip(columns, cells[1:]) if x}
    return table


def write_docs(table: dict) -> None:
    out = [Path(HERE, "fault-matrix.head.md").read_text()]
    for strength in STRENGTHS:
        columns = [line for line in LINES if any(key[1:] == (line, strength) for key in table)]
        if not columns:
            continue
        out.append(f"\n## {TITLES[strength]}\n\n| fault | " + " | ".join(f"containerd {x}" for x in columns) + " |\n")
        out.append("|---" * (len(columns) + 1) + "|\n")
        for f in FAULTS:
            row = [table.get((f.name, line, strength), "") for line in columns]
            if any(row):
                out.append(f"| {f.title} | " + " | ".join(row) + " |\n")
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text("".join(out))


DOCS = node.ROOT / "docs/fault-matrix.md"
TITLES = {
    GUARD: "With the guard",
    REQUIRED: "The plugin, required by the pod's annotation `required-plugins.noderesource.dev`",
    PLUGIN: "The plugin by itself",
    NEITHER: "Control: neither",
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", action="append", choices=LINES)
    parser.add_argument("--strength", action="append", choices=STRENGTHS)
    parser.add_argument("--fault", action="append")
    parser.add_argument("--docs", action="store_true")
    args = parser.parse_args()
    tap = Tap()
    found = run(tap, args.line or LINES, args.fault, args.strength or STRENGTHS)
    if args.docs:
        write_docs({**read_docs(), **found})
    sys.exit(tap.done())

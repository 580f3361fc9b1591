# SPDX-License-Identifier: Apache-2.0
"""Pods start while their profile changes every 100 ms: each runs under exactly one whole version.

Version N lies in two files: live.json grants /data/vN-a and extends part.json, which grants
/data/vN-b. They change together as a ConfigMap does, by the swap of "..data". A pod that sees one
of the two alone, or two versions, has got a mixture. Every fourth version is broken, in turn in
each of four ways; what it grants must never be seen.
"""
import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib import images, node
from lib.containerd import Containerd
from lib.cri import wait_until
from lib.tap import Tap

VERSIONS = 120  # then it starts over; twelve seconds
PERIOD = 0.1
LATE = 3.0  # seconds that a version may take to be in force, on a busy machine
PODS, AT_ONCE, EXECS = 200, 8, 40
PROBE = (
    f"i=0; while [ $i -lt {VERSIONS} ]; do for s in a b; do "
    "{ true </data/v$i-$s/f; } 2>/dev/null && echo $i$s; done; i=$((i + 1)); done"
)


def broken(n: int) -> bool:
    return n % 4 == 3


def version(n: int) -> dict[str, str]:
    """Its files; a broken one says what it would grant all the same."""
    live = {"extends": "part", "filesystem": {"grant": [{"path": f"/data/v{n}-a", "access": "r"}]}}
    part = {"filesystem": {"grant": [{"path": f"/data/v{n}-b", "access": "r"}]}}
    files = {"part.json": json.dumps(part)}
    kind = n // 4 % 4 if broken(n) else -1
    if kind == 0:
        live["filesystem"]["deny"] = ["/data"]
    elif kind == 1:
        files["part.json"] = files["part.json"][:-1]
    elif kind == 2:
        live["no_such_key"] = True
    elif kind == 3:
        del files["part.json"]
    return {**files, "live.json": json.dumps(live)}


class ConfigMap:
    """A volume as the kubelet writes it: files are links through "..data", which is renamed over."""

    def __init__(self, c: Containerd):
        self.dir = c.host("/run/profiles")
        self.dir.mkdir()
        self.history: list[tuple[float, int]] = []
        self.swaps = 0
        self.put(0)

    def put(self, n: int) -> None:
        self.swaps += 1
        fresh, link = self.dir / f"..{self.swaps}", self.dir / "..data"
        fresh.mkdir(mode=0o755)
        files = version(n)
        for name, text in files.items():
            (fresh / name).write_text(text)
            if not (self.dir / name).is_symlink():
                (self.dir / name).symlink_to(f"..data/{name}")
        old = os.readlink(link) if link.is_symlink() else None
        (self.dir / "..data_tmp").symlink_to(fresh.name)
        self.history.append((time.monotonic(), n))
        (self.dir / "..data_tmp").rename(link)
        for path in self.dir.glob("*.json"):
            if path.name not in files:
                path.unlink()
        if old:
            shutil.rmtree(self.dir / old)

    def run(self, stop: threading.Event) -> None:
        n, at = 0, time.monotonic()
        while not stop.is_set():
            n, at = (n + 1) % VERSIONS, at + PERIOD
            self.put(n)
            stop.wait(max(0.0, at - time.monotonic()))

    def current(self, since: float, until: float) -> set[int]:
        """The versions that could have been in force at some time in between."""
        good = [(when, n) for when, n in self.history if not broken(n)]
        first = max((i for i, (when, _n) in enumerate(good) if when <= since - LATE), default=0)
        return {n for when, n in good[first:] if when <= until}


def verdict(out: str, allowed: set[int]) -> str:
    """"" or what is wrong with what a process saw."""
    seen = out.split()
    numbers = {int(x[:-1]) for x in seen}
    if len(seen) != 2 or len(numbers) != 1:
        return f"a mixture: {seen}"
    n = numbers.pop()
    return f"version {n} is broken" if broken(n) else "" if n in allowed else f"version {n} is not of that time"


def strength(t: Tap, guard: bool) -> None:
    label = "plugin and guard" if guard else "plugin"
    with Containerd(handlers=node.GUARDED if guard else {}) as c:
        node.install(c, guard=guard)
        image = c.load(images.busybox())
        data = c.host("/run/data")
        for n in range(VERSIONS):
            for s in "ab":
                (data / f"v{n}-{s}").mkdir(parents=True)
                (data / f"v{n}-{s}/f").write_text("x")
        volume = ConfigMap(c)
        plugin = node.Plugin(c, profiles_dir="/run/profiles", default_profile="live").start()
        options = {"handler": "nono-runc", "mounts": [(str(data), "/data", "ro")]}
        control = c.run(image, ["sh", "-c", PROBE], **{**options, "handler": "runc"})
        t.equal(len(control.out.split()), 2 * VERSIONS, f"{label}: without the sandbox all versions' directories can be read")
        wrong, versions = [], set()

        def judge(what: str, out: str, start: float) -> None:
            why = verdict(out, volume.current(start, time.monotonic()))
            if why:
                wrong.append(f"{what}: {why}")
            else:
                versions.add(int(out.split()[0][:-1]))

        def one(i: int) -> None:
            start = time.monotonic()
            try:
                judge(f"pod {i}", c.run(image, ["sh", "-c", PROBE], **options).out, start)
            except Exception as e:  # each is a pod that did not run
                wrong.append(f"pod {i}: {e}")

        stop = threading.Event()
        changes = threading.Thread(target=volume.run, args=(stop,))
        changes.start()
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(one, range(PODS)))
            t.ok(not wrong, f"{label}: {PODS} pods, each under one whole version of its time, none of them broken",
                 "\n".join(wrong[:20]))
            t.ok(len(versions) > 20, f"{label}: ... of {len(versions)} versions, {volume.swaps} changes meanwhile")
            if guard:
                del wrong[:]
                ctr = c.pod(handler="nono-runc").container(image, ["sleep", "600"], mounts=options["mounts"]).start()
                for i in range(EXECS):
                    start = time.monotonic()
                    judge(f"exec {i}", ctr.exec("sh", "-c", PROBE).out, start)
                t.ok(not wrong, f"{label}: so does each of {EXECS} processes that enter a running pod", "\n".join(wrong[:20]))
        finally:
            stop.set()
            changes.join()
        reported = {e["reason"] for e in plugin.entries("configuration-warning")}
        for text in ("no_such_key", "part"):
            t.ok(any(text in r for r in reported), f"{label}: the log names what is broken: {text}", reported)
        volume.put(1)
        wait_until(lambda: c.run(image, ["sh", "-c", PROBE], **options).out.split() == ["1a", "1b"], "the last version")
        t.ok(True, f"{label}: the last version is in force at the end")
        t.equal(plugin.process.poll(), None, f"{label}: the plugin lives")


def run(t: Tap) -> None:
    for guard in (False, True):
        t.case("hot update", strength, t, guard)

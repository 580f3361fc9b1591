# SPDX-License-Identifier: Apache-2.0
"""Much of everything: containers in Synchronize, pods at once on a real containerd, processes that enter a container, and what
one start costs with many rules, denials, mounts and arguments.  SVG plots are drawn from it.
"""
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / d) for d in ("bench-nri", "conformance", "guard")] + [str(TESTS)]

import harness  # noqa: E402
import lib_guard  # noqa: E402
import players  # noqa: E402
from lib import build, figures, images, node, tools  # noqa: E402
from lib.containerd import Containerd  # noqa: E402
from lib.cri import CriError  # noqa: E402

PODS = 500
BESIDE = 50  # pods that are started side by side
MEMORY_MIB = 28  # of a pod: shim, pause, container
EXEC_SECONDS = 12
CONTAINERS = (0, 500, 1000, 2000, 3500, 5000)
MANY = (0, 50, 100, 200, 400)
ROUNDS = 15


# ---- Synchronize ----


def synchronize(t) -> None:
    """What the plugin needs to be told of all containers of a node, beside a plugin that does not look at them."""
    build.meson("tests", "tests/bench-nri/reference")
    times: dict[str, dict[int, list[float]]] = {"nono-nri": {}, "a null plugin": {}}
    memory: dict[int, float] = {}  # the most that was seen
    for n in CONTAINERS:
        for _ in range(3):
            for name, start in (("nono-nri", lambda r: r.ours(True)), ("a null plugin", lambda r: r.reference())):
                with contextlib.closing(players.Runtime(harness.VERSIONS["newest"])) as r:
                    r.start(Pods=n, Containers=n, ContainerSize=500)
                    start(r)
                    r.wait(1)
                    times[name].setdefault(n, []).append(r.call("status")["ns"][-1] / 1e6)
                    if name == "nono-nri":
                        memory[n] = max(memory.get(n, 0), players.status(r.plugins[0].pid, "VmRSS") / 1024)
    ms = {name: [[n, round(min(v), 2)] for n, v in of.items()] for name, of in times.items()}
    print(f"# Synchronize: {ms}; resident MiB {memory}", flush=True)
    ours, null = (ms[name][-1][1] for name in times)
    t.ok(ours < 2000, f"Synchronize of {CONTAINERS[-1]} containers takes {ours:.0f} ms ({null:.0f} ms a null plugin), less than the 2 s that a runtime waits")
    t.ok(memory[CONTAINERS[-1]] <= 16, f"and leaves {memory[CONTAINERS[-1]]:.1f} MiB resident, at most 16")
    figures.keep("synchronize", {"ms": ms, "memory": [[n, round(v, 2)] for n, v in memory.items()]})


# ---- pods ----


def bearable(wanted: int) -> int:
    """Pods that this machine has the memory for."""
    free = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable")) >> 10
    return min(wanted, free * 3 // 4 // MEMORY_MIB)


def start_pods(c: Containerd, image: str, handler: str, n: int) -> tuple[list, list[str], float]:
    """Pods, each with a container that runs; why others do not; seconds."""
    pods, failures, lock = [], [], threading.Lock()

    def one(_: int) -> None:
        try:
            pod = c.pod(handler=handler)
            with lock:
                pods.append(pod)
            pod.container(image, ["sleep", "36000"], security={"seccomp": {"profile_type": "RuntimeDefault"}}).start()
        except CriError as e:
            with lock:
                failures.append(str(e))

    begin = time.monotonic()
    with ThreadPoolExecutor(BESIDE) as pool:
        try:
            list(pool.map(one, range(n)))
        except BaseException:  # told to end: no more of them
            pool.shutdown(cancel_futures=True)
            raise
    return pods, failures, time.monotonic() - begin


def pods_at_once(t, wanted: int = PODS) -> None:
    n = bearable(wanted)
    found = {}
    with Containerd(handlers=node.GUARDED) as c:
        node.install(c, guard=True)
        image = c.load(images.busybox())
        plugin = node.Plugin(c).start()
        for handler in ("runc", "nono-runc"):
            pods, failures, seconds = start_pods(c, image, handler, n)
            t.equal(failures[:3], [], f"{n} pods at once, {BESIDE} side by side, {handler}: none fails")
            found[handler] = {"seconds": round(seconds, 1), "failures": len(failures)}
            if handler == "nono-runc":
                status = Path(f"/proc/{plugin.process.pid}/status").read_text()
                found["plugin KiB"] = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
                entries = plugin.entries("injected")
                t.equal(len(entries), n, f"the plugin has adjusted each of the {n}")
            with ThreadPoolExecutor(BESIDE) as pool:
                list(pool.map(lambda p: p.remove(), pods))
    ratio = found["nono-runc"]["seconds"] / found["runc"]["seconds"]
    print(f"# {n} pods at once: {found}, ratio {ratio:.3f}", flush=True)
    figures.keep("pods-at-once", {"pods": n, "wanted": wanted, "beside": BESIDE, "ratio": round(ratio, 3), **found})


# ---- exec ----


def exec_rate(t, seconds: float = EXEC_SECONDS) -> None:
    """How many processes a second enter a container, two callers side by side, by turns with and without the guard."""
    n = lib_guard.Node(str(tools.program("runc")))
    rates: dict[str, list[float]] = {"bare runtime": [], "guard": []}
    try:
        running = {bare: n.start(n.bundle(["sleep", "36000"]).write(), bare=bare) for bare in (True, False)}
        text = json.dumps({"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})

        def caller(number: int, bare: bool, end: float) -> int:
            process, done = n.dir / f"process-{number}.json", 0
            command = n.command("exec", "--process", process, running[bare], bare=bare)
            while time.monotonic() < end:
                process.write_text(text)  # the guard rewrites it
                if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode:
                    raise RuntimeError(f"{command} failed")
                done += 1
            return done

        for i in range(6):
            for bare in (True, False) if i % 2 else (False, True):
                begin = time.monotonic()
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    done = sum(pool.map(caller, range(os.cpu_count()), [bare] * os.cpu_count(), [begin + seconds / 6] * os.cpu_count()))
                rates["bare runtime" if bare else "guard"].append(done / (time.monotonic() - begin))
        for bare, cid in running.items():
            n.delete(cid, bare)
    finally:
        n.close()
    bare, guard = (statistics.median(v) for v in rates.values())
    print(f"# exec: {bare:.0f} a second without the guard, {guard:.0f} with it, ratio {guard / bare:.3f}", flush=True)
    t.ok(guard >= 0.8 * bare, f"{guard:.0f} processes a second enter through the guard, {bare:.0f} without: ratio {guard / bare:.3f}, at least 0.8")
    figures.keep("exec", {"bare": round(bare, 1), "guard": round(guard, 1), "ratio": round(guard / bare, 3)})


# ---- what one start costs, by what there is of something ----


def spawned(spawn: Path, commands: list[list[str]], cwd: Path, env: dict) -> list[float]:
    """Medians, in microseconds, by turns."""
    words = [str(spawn), "300", *commands[0]]
    for command in commands[1:]:
        words += ["/", *command]
    p = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True, cwd=cwd, env=env)
    return list(map(float, p.stdout.split()))


def policy(folder: Path, name: str, rules: list[str]) -> None:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / name).write_text(lib_guard.summed(f"nono-policy 1\nname {name}\n" + "".join(f"{r}\n" for r in rules)))


def launcher_by(what: str, tmp: Path, spawn: Path) -> list:
    """Start through the launcher with as many rules, or denials in a directory that is granted, as MANY says."""
    folder = tmp / what
    folder.mkdir()
    subprocess.run(["cp", lib_guard.BIN / "nono", folder], check=True)
    for n in MANY:
        tree = folder / f"tree{n}"
        tree.mkdir()
        names = [tree / f"{i:04}" for i in range(n)]
        for name in names:
            name.write_text("x")
        more = [f"fs rw {p}" for p in names] if what == "rules" else [f"fs rwx {tree}", *(f"fs deny {p}" for p in names)]
        policy(folder, f"n{n}", ["fs rx-root", "fs r /proc", *more])
    commands = [[folder / "nono", "wrap", "--profile", f"n{n}", "--", "/bin/true"] for n in MANY]
    return [[n, us] for n, us in zip(MANY, spawned(spawn, commands, Path("/"), {"PATH": "/bin"}))]


def guard_by(what: str) -> list:
    """Processor time of the guard's create in front of a runtime that does nothing."""
    n = lib_guard.Node("/bin/true")
    try:
        found: dict[int, list[float]] = {}
        b = n.bundle(["true"])
        mounts, args = b.config["mounts"], b.config["process"]["args"]
        for _ in range(ROUNDS):
            for many in MANY:
                if what == "mounts":
                    b.config["mounts"] = mounts + [{"destination": f"/data/{i}", "type": "bind", "source": f"/var/lib/data/{i}", "options": ["rbind", "ro"]}
                                                   for i in range(many)]
                else:
                    b.config["process"]["args"] = args + [f"--option-{i}=some value" for i in range(many)]
                b.write()
                command = n.command("create", "--bundle", b.dir, n.id())
                _, status, used = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
                if status:
                    raise RuntimeError(f"{what}: create failed")
                found.setdefault(many, []).append((used.ru_utime + used.ru_stime) * 1e6)
        return [[many, round(statistics.median(v))] for many, v in found.items()]
    finally:
        n.close()


def by_size(t) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-bench-") as name:
        tmp = Path(name)
        tmp.chmod(0o755)
        spawn = tmp / "spawn"
        subprocess.run(["gcc", "-O2", "-static", "-o", spawn, HERE / "spawn.c"], check=True)
        found = {"rules": launcher_by("rules", tmp, spawn), "denials": launcher_by("denials", tmp, spawn),
                 "mounts": guard_by("mounts"), "args": guard_by("args")}
    for what, points in found.items():
        print(f"# by {what}, us: {points}", flush=True)
        # Twice as much of something costs at most about twice as much: nothing is quadratic.
        first, half, last = (points[i][1] for i in (0, -2, -1))
        t.ok(last - first <= 3.2 * max(half - first, 0.1 * first), f"cost grows no faster than the number of {what}: {points}")
    figures.keep("by-size", found)

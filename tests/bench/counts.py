# SPDX-License-Identifier: Apache-2.0
"""What a load on the machine does not change: instructions of user space, system calls, page faults.  What makes the plugin's answer,
the guard's work or the launcher's start longer by more than SLACK fails here.  callgrind counts instructions of plugin and guard,
steps.c counts of the very programs that nodes get.  The C library chooses its functions by the processor, which is a few per cent.
"counts.py" prints what it measures.
"""
import contextlib
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / d) for d in ("bench-nri", "conformance", "guard", "sandbox")] + [str(TESTS)]

import box  # noqa: E402
import harness  # noqa: E402
import lib_guard  # noqa: E402
import players  # noqa: E402
from lib import build  # noqa: E402
from lib.tap import Tap  # noqa: E402

SLACK = 1.15
COUNTED = ("calls", "faults")
# For one request or command, when this was last looked at.  Lower them with the code; who raises one says why in the commit.
LIMITS = {
    "plugin, a pod's life out of scope, with the guard": 7_100,
    "plugin, a pod's life in scope, with the guard": 139_000,
    "plugin, a pod's life out of scope, without the guard": 21_100,
    "plugin, a pod's life in scope, without the guard": 452_000,
    "guard, create, instructions": 1_577_000,
    "guard, create, calls": 163,
    "guard, create, faults": 60,
    "guard, exec, instructions": 243_000,
    "guard, exec, calls": 114,
    "guard, exec, faults": 23,
    "launcher, instructions": 81_400,
    "launcher, calls": 195,
    "launcher, faults": 18,
}
LIVES = 60
ENTRY = {"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}


def total(file: Path) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("totals:"))


def callgrind(out: Path, function: str) -> list:
    return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={function}"]


def plugin(binary: Path, guarded: bool, handler: str) -> int:
    """What answering costs, and what comes after the answer, for a life of a pod."""
    with contextlib.closing(players.Runtime(harness.VERSIONS["newest"])) as r:
        r.start()
        out = r.dir / "callgrind"
        r.prefix, r.program = callgrind(out, "nri_plugin_request"), binary
        p = r.ours(guarded)
        r.wait(1)
        r.lives(handler, LIVES)
        p.terminate()
        p.wait()
        return total(out) // LIVES


def steps(where: Path) -> Path:
    """steps.c as a program for any root file system."""
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Werror", "-o", where, HERE / "steps.c"], check=True)
    return where


def launcher(every: bool) -> dict[str, int]:
    """With "default" in a container as a kubelet's, with the least of images; @every: instructions, too, one by one, which takes a busy
    machine minutes."""
    with box.Box() as b:
        program = steps(Path(b.rootfs) / "steps")
        b.start()
        counts = {}
        for what in ("instructions", *COUNTED) if every else COUNTED:
            p = b.exec([f"/{program.name}", what, "/nono/nono", "wrap", "--", "/bin/true"])
            if p.returncode:
                raise RuntimeError(p.stderr)
            counts[what] = int(p.stdout)
        return counts


def guard(binary: Path) -> dict[str, int]:
    """In front of a runtime that cannot be executed: callgrind forgets what came before a program that is."""
    lib_guard.own_mount_namespace()
    node = lib_guard.Node("/usr/sbin/runc")
    try:
        running = node.start(node.bundle(["sleep", "600"]).write())
        record = lib_guard.RECORDS / hashlib.sha256(f"{node.root}\n{running}".encode()).hexdigest()
        text = record.read_text()
        nothing = node.dir / "nothing"
        nothing.write_text("no program")
        nothing.chmod(0o755)
        record.write_text(text.replace(f"runtime {node.runtime}", f"runtime {nothing}"))
        node.runtimes(str(nothing))
        node.guard_path.write_bytes(binary.read_bytes())
        shim = node.dir / "openat2.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", shim, HERE / "openat2.c"], check=True)
        process = node.dir / "process.json"
        process.write_text(json.dumps(ENTRY))
        b, counts = node.bundle(["true"]).write(), {}
        commands = {"create": node.command("create", "--bundle", b.dir, node.id()), "exec": node.command("exec", "--process", process, running)}
        for what, command in commands.items():
            out = node.dir / what
            p = subprocess.run(list(map(str, callgrind(out, "main") + command)), capture_output=True, text=True,
                               env={**os.environ, "LD_PRELOAD": str(shim)})
            if f"run '{nothing}'" not in p.stderr:
                raise RuntimeError(p.stderr)
            counts[f"{what}, instructions"] = total(out)
        # The real one, in front of a program that is executed.
        node.guard_path.write_bytes((lib_guard.BIN / "nono-runc").read_bytes())
        program = steps(node.dir / "steps")
        record.write_text(text.replace(f"runtime {node.runtime}", "runtime /bin/true"))
        node.runtimes("/bin/true")
        for what, command in commands.items():
            for counted in COUNTED:
                b.write()
                process.write_text(json.dumps(ENTRY))
                p = subprocess.run(list(map(str, [program, counted, *command])), capture_output=True, text=True)
                if p.returncode:
                    raise RuntimeError(p.stderr)
                counts[f"{what}, {counted}"] = int(p.stdout)
        record.write_text(text)
        node.runtimes()
        node.delete(running)
        return counts
    finally:
        node.close()


def counts(every: bool) -> dict[str, int]:
    folder = build.meson("valgrind", "src/nono-nri/nono-nri", "src/nono-runc/nono-runc", setup=("-Dstatic=false",))
    found = {}
    for guarded in (True, False):
        for scope, handler in (("out of", "runc"), ("in", "nono-runc")):
            what = f"plugin, a pod's life {scope} scope, {'with' if guarded else 'without'} the guard"
            found[what] = plugin(folder / "src/nono-nri/nono-nri", guarded, handler)
    for what, n in guard(folder / "src/nono-runc/nono-runc").items():
        found[f"guard, {what}"] = n
    for what, n in launcher(every).items():
        found[f"launcher, {what}"] = n
    return found


def main(t: Tap, every: bool) -> None:
    for what, n in counts(every).items():
        t.ok(n <= LIMITS[what] * SLACK, f"{what}: {n}, at most {SLACK} times {LIMITS[what]}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    for counted, number in counts(True).items():
        print(f"{number:10} {counted}")

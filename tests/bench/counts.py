# SPDX-License-Identifier: Apache-2.0
"""Instructions of user space, counted by callgrind: a load on the machine does not change them, so what makes the plugin's
answer or the guard's work longer by more than SLACK fails here.  The C library chooses its functions by the processor, which is a
few per cent.  "counts.py" prints what it measures.
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
sys.path[:0] = [str(TESTS / d) for d in ("bench-nri", "conformance", "guard")] + [str(TESTS)]

import harness  # noqa: E402
import lib_guard  # noqa: E402
import players  # noqa: E402
from lib import build  # noqa: E402
from lib.tap import Tap  # noqa: E402

SLACK = 1.15
# For one request or command, when this was last looked at.  Lower them with the code; who raises one says why in the commit.
LIMITS = {
    "plugin, a pod's life out of scope, with the guard": 7_100,
    "plugin, a pod's life in scope, with the guard": 139_000,
    "plugin, a pod's life out of scope, without the guard": 21_100,
    "plugin, a pod's life in scope, without the guard": 452_000,
    "guard, create": 1_853_000,
    "guard, exec": 262_000,
}
LIVES = 60


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
        process.write_text(json.dumps({"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}))
        b, counts = node.bundle(["true"]).write(), {}
        for what, command in (("create", node.command("create", "--bundle", b.dir, node.id())), ("exec", node.command("exec", "--process", process, running))):
            out = node.dir / what
            p = subprocess.run(list(map(str, callgrind(out, "main") + command)), capture_output=True, text=True,
                               env={**os.environ, "LD_PRELOAD": str(shim)})
            if f"run '{nothing}'" not in p.stderr:
                raise RuntimeError(p.stderr)
            counts[what] = total(out)
        record.write_text(text)
        node.runtimes()
        node.delete(running)
        return counts
    finally:
        node.close()


def counts() -> dict[str, int]:
    folder = build.meson("valgrind", "src/nono-nri/nono-nri", "src/nono-runc/nono-runc", setup=("-Dstatic=false",))
    found = {}
    for guarded in (True, False):
        for scope, handler in (("out of", "runc"), ("in", "nono-runc")):
            what = f"plugin, a pod's life {scope} scope, {'with' if guarded else 'without'} the guard"
            found[what] = plugin(folder / "src/nono-nri/nono-nri", guarded, handler)
    for what, n in guard(folder / "src/nono-runc/nono-runc").items():
        found[f"guard, {what}"] = n
    return found


def main(t: Tap) -> None:
    for what, n in counts().items():
        t.ok(n <= LIMITS[what] * SLACK, f"{what}: {n} instructions, at most {SLACK} times {LIMITS[what]}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    for counted, number in counts().items():
        print(f"{number:10} {counted}")

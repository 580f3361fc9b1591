# SPDX-License-Identifier: Apache-2.0
"""What the guard adds to create and exec, beside the bare runtime in the same run, alternating."""
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import time

from lib_guard import BIN, RECORDS
from parts import main

ROUNDS = 40


def clock(fn):
    start = time.perf_counter()
    r = fn()
    took = (time.perf_counter() - start) * 1000
    if r.code:
        raise RuntimeError(r.err)
    return took


def on_tmpfs(*folders) -> contextlib.ExitStack:
    """As on a node, where bundles and what the guard keeps lie below /run; in this program's own mount namespace."""
    stack = contextlib.ExitStack()
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
        stack.callback(subprocess.run, ["umount", "-l", folder], check=True)
    return stack


def own_cost(node):
    """Processor time of the guard alone, in front of a runtime that does nothing, so that load counts little."""
    with on_tmpfs(RECORDS.parent, node.dir / "bundles"):
        running = node.start(node.bundle(["sleep", "600"]).write())
        record = RECORDS / hashlib.sha256(f"{node.root}\n{running}".encode()).hexdigest()
        text = record.read_text()
        record.write_text(text.replace(f"runtime {node.runtime}", "runtime /bin/true"))
        b, cid, process = node.bundle(["true"]), node.id(), node.dir / "bundles/process.json"
        node.runtimes("/bin/true")
        entry = {"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
        times = {}
        for what, command in (("nothing", ["/bin/true"]), ("create", node.command("create", "--bundle", b.dir, cid)),
                              ("exec", node.command("exec", "--process", process, running)), ("state", node.command("state", cid))):
            taken = []
            for _ in range(ROUNDS):
                b.write()
                process.write_text(json.dumps(entry))
                _, status, used = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
                if status:
                    raise RuntimeError(what)
                taken.append((used.ru_utime + used.ru_stime) * 1000)
            times[what] = statistics.median(taken)
        node.runtimes()
        record.write_text(text)
        node.delete(running)
    base = times.pop("nothing")
    print("# guard's own processor time: " + ", ".join(f"{k} {v - base:.2f} ms" for k, v in times.items())
          + " (targets: create 1.0, exec 0.5)", flush=True)


def report(t, node, what, times, limit=1.5):
    """A process's way into its cgroup can wait for the kernel's grace period, of 16 ms say, in either runtime: where the medians
    are such steps apart, the fastest tenth tells more."""
    for name, pick in (("median", statistics.median), ("fastest tenth", lambda v: sorted(v)[len(v) // 10])):
        bare, guard = (pick(times[b]) for b in (True, False))
        print(f"# {node.name} {what}, {name}: bare {bare:.2f} ms, guard {guard:.2f} ms, ratio {guard / bare:.3f}, added "
              f"{guard - bare:.2f} ms (target {limit} ms, launcher included)", flush=True)


def create_and_exec(t, node):
    times = {k: {True: [], False: []} for k in ("create", "exec")}
    # A pod with RuntimeDefault: loading a filter costs the runtime far more than anything here.
    seccomp = json.loads(subprocess.check_output([BIN / "kubefence", "seccomp", "show", "runtime-default", "-o", "oci"]))
    running = {}
    for bare in (True, False):
        b = node.bundle(["sleep", "600"])
        b.config["linux"]["seccomp"] = seccomp
        running[bare] = node.start(b.write(), bare=bare)
    process = node.dir / "process.json"
    for i in range(ROUNDS):
        for bare in ((True, False) if i % 2 else (False, True)):
            b = node.bundle(["true"])
            b.config["linux"]["seccomp"] = seccomp
            cid = node.id()
            b.write()
            times["create"][bare].append(clock(lambda: node.call("create", "--bundle", b.dir, cid, bare=bare)))
            node.delete(cid, bare)
            process.write_text(json.dumps({"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}))
            times["exec"][bare].append(clock(lambda: node.call("exec", "--process", process, running[bare], bare=bare)))
    for what in ("create", "exec"):
        report(t, node, what, times[what])
    own_cost(node)
    t.ok(True, "measured")


main([create_and_exec])

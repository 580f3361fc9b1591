# SPDX-License-Identifier: Apache-2.0
"""What the guard adds to create and exec, beside the bare runtime in the same run, alternating."""
import json
import statistics
import time

from lib_guard import Node
from parts import main

ROUNDS = 60


def clock(fn):
    start = time.perf_counter()
    r = fn()
    took = (time.perf_counter() - start) * 1000
    if r.code:
        raise RuntimeError(r.err)
    return took


def report(t, node, what, times, limit=1.5):
    bare, guard = (statistics.median(times[b]) for b in (True, False))
    print(f"# {node.name} {what}: bare {bare:.2f} ms, guard {guard:.2f} ms, ratio {guard / bare:.3f}, added {guard - bare:.2f} ms"
          f" (target {limit} ms, launcher included)", flush=True)


def create_and_exec(t, node):
    times = {k: {True: [], False: []} for k in ("create", "exec")}
    running = {bare: node.start(node.bundle(["sleep", "600"]).write(), bare=bare) for bare in (True, False)}
    process = node.dir / "process.json"
    for i in range(ROUNDS):
        for bare in ((True, False) if i % 2 else (False, True)):
            b = node.bundle(["true"])
            cid = node.id()
            b.write()
            times["create"][bare].append(clock(lambda: node.call("create", "--bundle", b.dir, cid, bare=bare)))
            node.delete(cid, bare)
            process.write_text(json.dumps({"args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}))
            times["exec"][bare].append(clock(lambda: node.call("exec", "--process", process, running[bare], bare=bare)))
    for what in ("create", "exec"):
        report(t, node, what, times[what])
    t.ok(True, "measured")


main([create_and_exec])

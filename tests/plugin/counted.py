# SPDX-License-Identifier: Apache-2.0
"""Decisions by profile and reason, and what the guard, a process that is gone, has refused: each counted once."""
import json
import random
import re
import signal
import time
import urllib.request

from lib.tap import Tap

import harness
from flood import free_port
from harness import DEADLINE, Node

SH = "arg=/bin/sh"


def metrics(port: int, family: str) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as f:
        text = f.read().decode()
    return {labels: int(n) for labels, n in re.findall(rf"^{family}\{{(.*?)\}} (\d+)$", text, re.MULTILINE)}


def decisions(t: Tap) -> None:
    port = free_port()
    with Node(allowed_profiles=["strict", "codex"]) as n:
        n.start("--listen", f"127.0.0.1:{port}")
        for i in range(3):
            n.must(f"create id=a-{i} uid=u-{i} {SH}")
        n.must(f"create id=b uid=u-b {SH} annotation=nono.sh/profile:strict")
        wrong = (("annotation=nono.sh/profile:gemini " + SH, "", "profile-not-allowed"), ("annotation=nono.sh/profile:no/name " + SH, "", "profile-name"),
                 ("annotation=nono.sh/profile:strict", "strict", "command"), (f"mount=/nono:/x {SH}", "default", "mount"),
                 (f"{SH} env=NONO_PROFILE=a env=NONO_PROFILE=b", "default", "environment"))
        for attempt in range(20):  # a kubelet tries again, each time with another container
            for i, (words, _, _) in enumerate(wrong):
                a = n.call(f"create id=r-{i}-{attempt} uid=refused-{i} {words}")
                t.ok(not a["ok"], f"control: refused {words}", a) if not attempt else None
        n.call(f"create id=other uid=another-pod {wrong[0][0]}")
        got = metrics(port, "nono_nri_decisions_total")
        want = {'decision="inject",profile="default",reason=""': 3, 'decision="inject",profile="strict",reason=""': 1}
        for i, (_, profile, reason) in enumerate(wrong):
            want[f'decision="refuse",profile="{profile}",reason="{reason}"'] = 2 if i == 0 else 1
        t.equal(got, want, "decisions by profile and reason; what is tried 20 times is one refusal")
        t.equal(metrics(port, "nono_nri_containers_total")['decision="refuse"'], 20 * len(wrong) + 1, "control: they were 20 each")
        t.equal(metrics(port, "nono_nri_handler_guarded"), {'handler="nono-runc"': 0}, "handlers, and whether they have the guard")
        t.equal(metrics(port, "nono_nri_runtime_info"), {'runtime="containerd 2.3.4",validates="true"': 1}, "the runtime")
        t.equal(len(metrics(port, "nono_nri_program_info")), 1, "programs of ours on the node")


def line(**more) -> str:
    d = {"time": int(time.time()), "command": "create", "id": "c", "namespace": "ns", "pod": "p", "uid": "u", "container": "main", "profile": "strict",
         "reason": "why", **more}
    return "\t".join(map(str, d.values())) + "\n"


def guard_refused(t: Tap) -> None:
    def counted() -> dict[str, int]:
        return metrics(port, "nono_nri_guard_refused_total")

    port = free_port()
    with Node() as n:
        refused = n.dir / "refused"
        refused.mkdir(mode=0o700)
        log = refused / "log"
        n.start("--listen", f"127.0.0.1:{port}")
        t.equal(counted(), {}, "control: nothing was refused")
        with open(log, "a", encoding="utf-8") as f:
            for attempt in range(30):
                f.write(line(id=f"c-{attempt}"))
            f.write(line(container="side"))
            f.write(line(command="exec", profile="default", reason="exec is denied"))
        strict, entered = 'command="create",profile="strict"', 'command="exec",profile="default"'
        t.equal(counted(), {strict: 2, entered: 1}, "each container and reason once, however often it is tried")
        t.equal(counted(), {strict: 2, entered: 1}, "and once however often somebody asks")
        with open(log, "a", encoding="utf-8") as f:
            f.write(line(uid="new")[:10])
            f.flush()
            t.equal(counted()[strict], 2, "half a line waits for its other half")
            f.write(line(uid="new")[10:])
        t.equal(counted()[strict], 3, "... and is counted then")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=DEADLINE) as f:
            shown = [(r["by"], r["pod"], r["container"], r["reason"]) for r in json.load(f)["refused"]]
        t.equal(shown, [("nono-runc", "p", "main", "why"), ("nono-runc", "p", "main", "exec is denied"), ("nono-runc", "p", "side", "why"),
                        ("nono-runc", "p", "main", "why")], "the page shows them, the last one first")
        log.rename(refused / "log.1")
        log.write_text(line(uid="after"))
        t.equal(counted()[strict], 4, "a file that was put aside is read to its end, and the next one from its begin")
        rng = random.Random(7)
        with open(log, "ab") as f:
            f.write(rng.randbytes(100_000) + b"\n" + line(profile="bad\"}", uid="x").encode() + line(command="other", uid="y").encode())
        for _ in range(20):
            last = counted()
        t.equal(last, {strict: 5, entered: 1, 'command="create",profile=""': 1}, "what is no line of the guard's, or no profile's name, is no label")
        log.unlink()
        t.equal(counted(), last, "no file: nothing more")


def not_told_twice(t: Tap) -> None:
    """What the guard refuses while no plugin runs is counted by the next one, and what was counted is not again."""
    def counted() -> int:
        return sum(metrics(port, "nono_nri_guard_refused_total").values())

    def shown() -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=DEADLINE) as f:
            return [r["pod"] for r in json.load(f)["refused"]]

    port = free_port()
    with Node() as n:
        log = n.dir / "refused/log"
        log.parent.mkdir(mode=0o700)

        def write(*uids: str) -> None:
            with open(log, "a", encoding="utf-8") as f:
                f.writelines(line(uid=uid, pod=f"pod-{uid}") for uid in uids)

        def restart(sig: int) -> None:
            harness.end(n.plugins[-1], sig)
            n.start("--listen", f"127.0.0.1:{port}")

        write("a", "b", "a")
        n.start("--listen", f"127.0.0.1:{port}")
        t.equal(counted(), 2, "the first plugin counts what was refused before it")
        pods = ["b", "a"]
        for sig in (signal.SIGTERM, signal.SIGKILL):
            write("a")
            restart(sig)
            t.equal((counted(), shown()), (0, [f"pod-{p}" for p in pods]), f"after {sig.name}: what was counted is not again, however often it is tried, and is shown")
            write("c" + sig.name)
            t.equal(counted(), 1, f"after {sig.name}: what comes then is")
            log.rename(log.with_name("log.1"))
            write("d" + sig.name)
            restart(sig)
            t.equal(counted(), 1, f"after {sig.name}: what was refused meanwhile, in the next file, is counted")
            pods[:0] = ["d" + sig.name, "c" + sig.name]
        (n.state / ".refused").unlink()
        (n.state / ".refused").mkdir()
        restart(signal.SIGTERM)
        t.equal(counted(), 0, "a position that cannot be kept: nothing is counted that may have been")
        e = n.wait_entry("state-not-written", level="warn")
        t.ok(".refused" in e["error"], "... and the log says so", e)
        write("e")
        t.equal(counted(), 1, "... but what comes then is")

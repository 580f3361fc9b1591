# SPDX-License-Identifier: Apache-2.0
"""Decisions of the plugin and refusals of the guard as events of the Open Cybersecurity Schema Framework (--ocsf)."""
import json
import os
import signal
import socket
import subprocess

from lib import hostile, ocsf
from lib.tap import Tap
from lib.wait import wait_until

import counted
import harness
from harness import DEADLINE, Node

SH = "arg=/bin/sh"
DENIED, ALLOWED = {"action_id": 2, "disposition_id": 2, "status_id": 2, "severity_id": 2}, {"action_id": 1, "disposition_id": 1, "status_id": 1, "severity_id": 1}


def events(n: Node) -> list[dict]:
    out = [json.loads(line) for line in n.log.read_text().splitlines() if line.startswith("{")]
    return [e for e in out if "class_uid" in e]


def said(e: dict) -> tuple:
    """Who decided what about whom, and why."""
    return (e["api"]["service"]["name"], e["api"]["operation"], [r.get("name") for r in e["resources"]], e.get("policy", {}).get("name"),
            e.get("status_code"), e["count"])


def decisions(t: Tap) -> None:
    with Node() as n:
        n.start("--ocsf")
        n.must(f"create id=a name=app {SH}")
        n.must(f"create id=skipped handler=runc {SH}")
        for i in range(3):
            n.call(f"create id=b-{i} name=other {SH} annotation=nono.sh/profile:nope")
        n.call(f"create id=c name=third mount=/nono:/x {SH}")
        n.call(f"validate id=d name=fourth {SH} args=/evil")
        n.call(f"start id=e name=fifth bare=1 {SH}")
        refused = n.dir / "refused/log"
        with open(refused, "a", encoding="utf-8") as f:
            f.writelines([counted.line(), counted.line(id="again"), counted.line(command="exec", namespace="", pod="", uid="", container="", id="x")])
        got = wait_until(lambda: (e := events(n))[6:] and e, "what the guard refused")
        t.equal([said(e) for e in got], [
            ("nono-nri", "CreateContainer", ["pod-1", "app"], "default", None, 1), ("nono-nri", "CreateContainer", ["pod-1", "other"], None, "profile-unknown", 1),
            ("nono-nri", "CreateContainer", ["pod-1", "third"], "default", "mount", 1), ("nono-nri", "ValidateContainerAdjustment", ["pod-1", "fourth"], None, None, 1),
            ("nono-nri", "StartContainer", ["pod-1", "fifth"], None, None, 1), ("nono-runc", "create", ["p", "main"], "strict", None, 1),
            ("nono-runc", "exec", [None], "strict", None, 1)], "each decision is one event, what is tried again is none")
        t.equal([{k: e[k] for k in DENIED} for e in got], [ALLOWED, *[DENIED] * 6], "... which was let through or denied")
        t.ok(all(e["class_uid"] == 6003 and e["message"] and (e["status_id"] == 1 or e["status_detail"] in e["message"]) for e in got), "... an API Activity, with the reason", got)
        t.equal({(e["actor"]["app_name"], e["src_endpoint"]["hostname"]) for e in got}, {("containerd 2.3.4", os.uname().nodename)}, "... of this node's runtime")
        t.equal([f for e in got for f in ocsf.faults(e)], [], "the framework's schema has nothing against any")
        t.equal(ocsf.control(got[0]), [], "control: it does where something is wrong")
        t.ok(n.entries("injected") and n.entries("refused") and not [e for e in n.entries("injected") if "class_uid" in e], "the log is beside them, as it was")
        n.must("close")
        n.connect(sync="n=2 wrapped=0 arg=sh")
        found = wait_until(lambda: (e := events(n)[len(got):])[1:] and e, "what runs outside")
        t.equal([(e["class_uid"], e["severity_id"], e["action_id"], e["resources"][1]["uid"], e["finding_info"]["uid"]) for e in found],
                [(2004, 4, 1, f"container-{i}", f"container-{i}") for i in range(2)], "a container that is found outside of the sandbox is a finding of high severity")
        t.ok(all("outside the sandbox: args do not start with" in e["message"] for e in found), "... which says why", found)
        t.equal([f for e in found for f in ocsf.faults(e)], [], "... against which the schema has nothing")
        # As long as it does not run.
        harness.end(n.plugins[-1], signal.SIGTERM)
        with open(refused, "a", encoding="utf-8") as f:
            f.writelines([counted.line(), counted.line(uid="meanwhile", pod="meanwhile")])
        before = len(events(n))
        n.start("--ocsf")
        wait_until(lambda: len(events(n)) > before, "what was refused meanwhile")
        n.must(f"create id=last {SH}")
        wait_until(lambda: [e for e in events(n)[before:] if e["status_id"] == 1], "a last decision")
        t.equal([said(e)[2][0] for e in events(n)[before:]], ["meanwhile", "pod-1"], "what was refused while it did not run is told once it does, and nothing twice")


def foreign(t: Tap) -> None:
    """Names and reasons that others choose."""
    with Node() as n:
        n.start("--ocsf", "--json=false")
        names = [s for s in hostile.STRINGS.values() if not {"\n", "\r", "\t", " ", "\0"} & set(s) and len(s) < 200]
        for i, s in enumerate(names):
            n.call(f"create id=c-{i} uid=u-{i} name={s} {SH} annotation=nono.sh/profile:{s}")
        got = wait_until(lambda: (e := events(n))[len(names) - 1:] and e, "the refusals")
        t.equal([f for e in got for f in ocsf.faults(e)], [], f"{len(names)} hostile names: the schema has nothing against any")
        t.ok(not hostile.raw(n.log.read_bytes()), "... and nothing is raw", hostile.raw(n.log.read_bytes()))


def switched_off(t: Tap) -> None:
    with Node() as n:
        n.start()
        n.must(f"create {SH}")
        n.wait_entry("injected")
        t.equal(events(n), [], "without --ocsf there are none")
    with Node() as n:
        ours, theirs = socket.socketpair()
        env = {"NRI_PLUGIN_NAME": "nono-nri", "NRI_PLUGIN_IDX": "10", "NRI_PLUGIN_SOCKET": str(theirs.fileno())}
        p = subprocess.run(n.command("--ocsf"), env=env, pass_fds=[theirs.fileno()], capture_output=True, timeout=DEADLINE)
        ours.close()
        theirs.close()
        t.equal(p.returncode, 1, "a plugin that the runtime starts has nowhere to write them, and does not start with --ocsf")

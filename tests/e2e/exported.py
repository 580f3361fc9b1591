# SPDX-License-Identifier: Apache-2.0
"""Decisions on a real containerd as events of the Open Cybersecurity Schema Framework: what the plugin puts into the sandbox and
refuses, what the real guard refuses, also while no plugin runs, and what is counted of it."""
import json
import subprocess

from lib import images, node, ocsf
from lib.containerd import Containerd
from lib.cri import CriError
from lib.tap import Tap
from lib.wait import wait_until


def events(plugin: node.Plugin) -> list[dict]:
    return [e for line in plugin.log().splitlines() if line.startswith("{") and "class_uid" in (e := json.loads(line))]


def told(e: dict) -> tuple:
    return e["api"]["service"]["name"], e["api"]["operation"], [r.get("uid") for r in e["resources"]], e["action_id"], e.get("status_code")


def counted(c: Containerd) -> dict[str, str]:
    p = subprocess.run(["curl", "-s", "--unix-socket", str(c.host(f"{node.STATE}/.http")), "http://x/metrics"], capture_output=True, text=True, check=True)
    return dict(line.rsplit(" ", 1) for line in p.stdout.splitlines() if line.startswith("nono_nri_guard_refused_total{"))


def refused(fn, *args, **kw) -> bool:
    try:
        fn(*args, **kw)
    except CriError:
        return True
    return False


def run(t: Tap) -> None:
    with Containerd(handlers=node.GUARDED) as c:
        node.install(c)
        ref = c.load(images.busybox())
        plugin = node.Plugin(c, exec="deny").start("--ocsf")
        pods = [c.pod(handler="nono-runc") for _ in range(2)]
        ctrs = [pod.container(ref, ["sleep", "600"]).start() for pod in pods]
        wrong = c.pod(handler="nono-runc", annotations={"nono.sh/profile": "nope"})
        t.ok(all([refused(wrong.container, ref, ["sleep", "600"], name="app") for _ in range(3)]), "control: a profile that does not exist is refused")
        t.ok(all([refused(ctrs[0].exec, "true") for _ in range(3)]), "control: so is an exec")
        got = wait_until(lambda: (e := events(plugin))[3:] and e, "the guard's refusal")
        t.equal([told(e) for e in got[:2]], [("nono-nri", "CreateContainer", [p.uid, x.id], 1, None) for p, x in zip(pods, ctrs)],
                "each container that is put into the sandbox is an event, with the runtime's ID and the pod's UID")
        t.equal((told(got[2])[:2], told(got[2])[2][0], told(got[2])[3:]), (("nono-nri", "CreateContainer"), wrong.uid, (2, "profile-unknown")),
                "what the plugin refuses is one, however often the runtime asks")
        t.equal(told(got[3]), ("nono-runc", "exec", [pods[0].uid, ctrs[0].id], 2, None), "and so is what the guard refuses")
        t.equal((got[4:], [f for e in got for f in ocsf.faults(e)]), ([], []), "these are all, and the framework's schema has nothing against any")
        t.ok(all(e["actor"]["app_name"].startswith("containerd ") for e in got), "they name the runtime that asked", got[0]["actor"])
        key = 'nono_nri_guard_refused_total{command="exec",profile="default"}'
        t.equal(counted(c), {key: "1"}, "the guard's refusal is counted")
        plugin.stop()
        t.ok(refused(ctrs[0].exec, "true") and refused(ctrs[1].exec, "true"), "control: without a plugin the guard refuses all the same")
        plugin.start("--ocsf")
        wait_until(lambda: len(events(plugin)) > 4, "what was refused meanwhile")
        t.equal((counted(c), [told(e) for e in events(plugin)[4:]]), ({key: "1"}, [("nono-runc", "exec", [pods[1].uid, ctrs[1].id], 2, None)]),
                "the next plugin counts and tells what was refused meanwhile, and nothing again")
        plugin.stop()

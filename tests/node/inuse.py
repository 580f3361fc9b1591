# SPDX-License-Identifier: Apache-2.0
"""When the guard may go: real containerd and CRI-O with pods that run, have ended, and are not ours."""
import json
import subprocess

from lib import images, node as lib_node
from lib.containerd import Containerd
from lib.crio import Crio
from lib.runtime import Runtime
from node_root import BIN

# Read after ours: the guard as a handler of CRI-O's, whatever else install writes there.
CRIO_HANDLER = """[crio.runtime.runtimes.nono-runc]
runtime_path = "/opt/kubefence/bin/nono-runc"
runtime_type = "oci"
runtime_root = "/run/nono-runc"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
"""


def place(c: Runtime, program: str) -> None:
    """The runtime's program where a distribution has it."""
    c.sh(f"mkdir {c.dir}/bin && cp {c.bin}/{program} {c.dir}/bin/ && mount --bind {c.dir}/bin /usr/local/bin")


def node(c: Runtime, kind: str, command: str, *args: str) -> tuple[int, dict]:
    cmd = [BIN / "kubefence", "node", command, "-o", "json", "--no-restart", "--distribution", kind, "--payload", BIN, *args]
    p = subprocess.run(c.inside(cmd), capture_output=True, text=True, timeout=120)
    return p.returncode, json.loads(p.stdout or "{}") or {"error": p.stderr}


def users(c: Runtime, kind: str) -> tuple[str, str]:
    """How many pods need the guard, as "node status" says, and which."""
    _, said = node(c, kind, "status")
    event = next(e for e in said["events"] if e["action"] == "pods")
    return event["object"], event["detail"]


def kept(c: Runtime, kind: str) -> str:
    """Why "node uninstall" leaves the guard, "" if it does not."""
    _, said = node(c, kind, "uninstall")
    return next((e["detail"] for e in said["events"] if e["action"] == "kept"), "")


def series(t, c: Runtime, kind: str, name: str) -> None:
    image = c.load(images.busybox())
    there = c.host(lib_node.GUARD).exists
    t.equal(users(c, kind), ("0", ""), f"{name}: a node without pods: nobody needs the guard")
    plain = c.pod("plain", handler="runc").container(image, ["sleep", "600"]).start()
    ended = c.pod("ended", handler="nono-runc", namespace="jobs").container(image, ["true"]).start()
    t.equal(ended.wait(), 0, f"{name}: control: a container of the guard's ran to its end")
    t.equal(users(c, kind), ("1", "jobs/ended"), f"{name}: an exited container: its pod is named, once, and the plain pod is not")
    why = kept(c, kind)
    t.ok("jobs/ended" in why and "delete" in why and there(), f"{name}: ... uninstall keeps the guard and names it", why)
    crash = c.pod("crash", handler="nono-runc").container(image, ["sh", "-c", "exit 3"]).start()
    crash.wait()
    runs = c.pod("runs", handler="nono-runc").container(image, ["sleep", "600"]).start()
    t.equal(users(c, kind), ("3", "default/crash, default/runs, jobs/ended"), f"{name}: three pods, each named once, no pause container counted")
    # As the kubelet does with a container that crashes: the next one of the same pod needs the handler.
    again = crash.pod.container(image, ["sh", "-c", "exit 0"]).start()
    t.equal(again.wait(), 0, f"{name}: the pod in a crash loop starts its next container")
    c.stop()
    found = users(c, kind)
    t.ok(found[0] != "0" and kept(c, kind) and there(), f"{name}: a runtime that is away: what runs is found all the same", found)
    c.start()
    t.equal(users(c, kind)[0], "3", f"{name}: ... and all three again when it is back")
    for ctr in (ended, crash, runs):
        ctr.pod.remove()
    t.ok(True, f"{name}: all three pods can be removed")
    t.equal(users(c, kind), ("0", ""), f"{name}: ... and then nobody needs the guard")
    t.ok(plain.exec("true").code == 0, f"{name}: the plain pod has lived through it")


def containerd(t, line: str) -> None:
    c = Containerd(line, standard_paths=True)
    c.handlers.pop("nono-runc")
    with c:
        name = f"containerd {line}"
        place(c, "containerd")
        code, said = node(c, "containerd", "install")
        t.ok(code == 0, f"{name}: installed", said)
        c.restart()
        series(t, c, "containerd", name)
        code, said = node(c, "containerd", "uninstall")
        t.ok(code == 0 and said["state"] == "done" and not c.host("/opt/kubefence").exists(), f"{name}: uninstalled", said)


def crio(t) -> None:
    with Crio() as c:
        place(c, "crio")
        code, said = node(c, "crio", "install")
        t.ok(code == 0, "CRI-O: installed", said)
        c.put("/etc/crio/crio.conf.d/95-test.conf", CRIO_HANDLER)
        c.restart()
        series(t, c, "crio", "CRI-O")
        c.sh("rm /etc/crio/crio.conf.d/95-test.conf")
        code, said = node(c, "crio", "uninstall")
        t.ok(code == 0 and said["state"] == "done" and not c.host("/opt/kubefence").exists(), "CRI-O: uninstalled", said)


def run(t, tools, everything: bool) -> None:
    for line in ("1.7", "2.4") if everything else ("2.4",):
        t.case(f"in use, containerd {line}", containerd, t, line)
    t.case("in use, CRI-O", crio, t)

# SPDX-License-Identifier: Apache-2.0
"""Devices on a real containerd, as a kubelet asks for them - by path and by CDI - under the plugin alone, the guard alone, and both."""
import json
import subprocess
import tempfile
from pathlib import Path

from lib import crun, images, node
from lib.containerd import Containerd
from lib.crio import Crio
from lib.runtime import Runtime
from lib.tap import Tap

ATTACK = Path(__file__).resolve().parents[1] / "sandbox/attack.c"
# A device of CDI that has two nodes, one of them in a directory, as a vendor's toolkit writes it.
CDI = {"cdiVersion": "0.6.0", "kind": "kubefence.test/accel", "devices": [{"name": "all", "containerEdits": {"deviceNodes": [
    {"path": "/dev/accel/cdi0", "hostPath": "/dev/full", "type": "c"}, {"path": "/dev/cdi-ctl", "hostPath": "/dev/zero", "type": "c"}]}}]}
CDI_NAME = "kubefence.test/accel=all"
IMAGE = "localhost/kubefence/attack:1"
NODES = ["/dev/fuse", "/dev/accel/cdi0", "/dev/cdi-ctl"]
ASK = f"attack device {' '.join(NODES)}; attack thread_comm"
BARE = "/dev/fuse ok ENOTTY\n/dev/accel/cdi0 ok ENOTTY\n/dev/cdi-ctl ok ENOTTY\nthread_comm ok\n"
NONE = "".join(f"{n} EACCES -\n" for n in NODES)


def image(c: Runtime) -> str:
    """busybox and a program that tries what it is told: IMAGE."""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["gcc", "-O1", "-static", "-o", f"{d}/attack", ATTACK], check=True)
        return c.load(images.build(IMAGE, {"bin/attack": images.File(Path(f"{d}/attack").read_bytes())}, base=images.busybox()))


def all_capabilities() -> bool:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    bounding = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    return int(bounding.split()[1], 16) == (1 << last + 1) - 1


def cdi(c: Runtime) -> None:
    c.write("/run/cdi/kubefence.json", json.dumps(CDI))


def pods(t: Tap, c: Runtime, ref: str, how: str) -> None:
    def said(handler: str = "nono-runc", profile: str = "default", **options) -> tuple[str, str]:
        pod = c.pod(handler=handler, annotations={"nono.sh/profile": profile}, linux={"security_context": {"privileged": "privileged" in options}})
        ctr = pod.container(ref, ["sh", "-c", f"{ASK}; exec sleep 60"], devices=["/dev/fuse", CDI_NAME], **options).start()
        entered = ctr.exec("sh", "-c", ASK).out
        ctr.stop()
        pod.remove()
        return ctr.log(), entered

    t.equal(said("runc"), (BARE, BARE), f"{how}: control: devices of both kinds, and a thread's name")
    first, entered = said()
    t.equal(first, BARE, f"{how}: as without us")
    if "guard" in how:
        t.equal(entered, BARE, f"{how}: for a process that enters, too")
    t.equal(said(profile="strict")[0], f"{NONE}thread_comm ok\n", f"{how}: 'strict' leaves the devices out")
    what = f"{how}: a privileged pod has them all, and gets none"
    if "CRI-O" in how and not all_capabilities():
        t.skip(what, "crun gives a privileged container every capability, and this machine lacks one")
    else:
        t.equal(said(privileged=True)[0], f"{NONE}thread_comm EACCES\n", what)


def on_crio(t: Tap) -> None:
    """The guard alone, on crun."""

    def prepare(c: Runtime) -> None:
        crun.install(c)
        node.install(c)
        cdi(c)
        c.write(node.SETTINGS, node.sealed(
            f"kubefence-settings 1\nhandler nono-runc\ndefault default\nlauncher {node.LAUNCHER}\nseccomp restricted\nexec sandbox\n"))

    with Crio(handlers=node.GUARDED, runc=crun.PATH, prepare=prepare) as c:
        pods(t, c, image(c), "CRI-O and the guard")


def run(t: Tap, line: str = "") -> None:
    """The plugin alone first, since nothing brings the guard in later."""
    for handlers in ({}, node.GUARDED):
        with Containerd(line, handlers=handlers) as c:
            node.install(c, guard=bool(handlers))
            cdi(c)
            ref = image(c)
            plugin = node.Plugin(c).start()
            pods(t, c, ref, "plugin and guard" if handlers else "the plugin")
            if handlers:
                plugin.stop()
                pods(t, c, ref, "the guard")

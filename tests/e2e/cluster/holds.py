# SPDX-License-Identifier: Apache-2.0
"""What took the sandbox away before, through a real kubelet, crun and the guard alone: refused or sandboxed, never open.

On containerd and on CRI-O; and what each gives a container is what tests/lib/recorded says."""
import json

from lib import crun, images, node, record
from lib.cluster import Cluster
from lib.cri import wait_until
from lib.images import Dir, File
from lib.runtime import Runtime
from lib.tap import Tap

from .pods import pod

WROTE = "if (echo x >/etc/kf) 2>/dev/null; then echo open; else echo closed; fi"
STAY = f"{WROTE}; exec sleep 600"
# In the launcher's place it needs no permission to say so.
EVIL = b"#!/bin/sh\n" + WROTE.encode() + b"; exec sleep 600\n"
OVER_THE_LAUNCHER = "/proc/net/../fd"
IMAGE = "localhost/kubefence/volume:1"
# A policy that answers for the kernel, so that the launcher believes that all is done.
LIES = {
    "landlock_restrict_self": ("landlock_restrict_self", 0, [{"index": 0, "value": 0, "op": "SCMP_CMP_NE"}]),
    "prctl": ("prctl", 117, [{"index": 0, "value": 0x6B666E6F, "op": "SCMP_CMP_EQ"}]),
}


def prepare(c: Runtime) -> None:
    crun.install(c)
    node.install(c)
    node.settings(c)


def verdict(k: Cluster, name: str) -> str:
    """"open", "closed", or "refused: " and why the container does not run."""

    def ended() -> str:
        statuses = k.get("pod", name)["status"].get("containerStatuses", [])
        state = next((s["state"] for s in statuses if s["name"] == "main"), {})
        why = state.get("waiting", {})
        if "Error" in why.get("reason", ""):
            return f"refused: {why.get('message')}"
        if "running" not in state and "terminated" not in state:
            return ""
        said = k.kubectl("logs", name, "-c", "main", check=False).out.strip()
        return said or ("terminated" in state and f"refused: it ended with {state['terminated'].get('exitCode')}") or ""

    return wait_until(ended, f"pod {name}'s container to run or to be refused")


def holds(t: Tap, k: Cluster, what: str, make, answers: tuple[str, ...] = ("closed", "refused")) -> None:
    """@make(name, sandbox=...) is a pod; without the sandbox it is open."""
    for name, sandbox in (("hostile", True), ("hostile-control", False)):
        k.apply(make(name, sandbox=sandbox))
        said = verdict(k, name)
        if not sandbox:
            t.equal(said, "open", f"{what}: control: open")
        else:
            t.ok(said.split(":")[0] in answers, f"{what}: {' or '.join(answers)}", said)
            print(f"# {said[:300]}", flush=True)
            if said == "closed":
                t.equal(k.exec(name, "sh", "-c", WROTE, container="main").out.strip(), "closed", f"{what}: exec too")
        k.kubectl("delete", "pod", name, "--wait=true")


def plain(t: Tap, k: Cluster) -> None:
    """The guard is there, and refuses no pod that asks for nothing."""
    holds(t, k, "a plain pod", lambda name, sandbox: pod(name, STAY, sandbox=sandbox), ("closed",))


def policies_that_lie(t: Tap, k: Cluster) -> None:
    for name, (call, errno, args) in LIES.items():
        k.c.put(f"{k.data}/kubelet/seccomp/{name}.json", json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
            "syscalls": [{"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": args}]}))
        holds(t, k, f"a Localhost policy answers {call} with {errno}", lambda pod_name, sandbox, name=name: pod(
            pod_name, STAY, sandbox=sandbox,
            main={"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": f"{name}.json"}}}))


def volume_over_the_launcher(t: Tap, k: Cluster) -> None:
    """A mount where the launcher's descriptor is, spelt so that crun finds it there."""

    def make(name: str, sandbox: bool) -> dict:
        # Without the guard nobody starts descriptor 3; the control does it itself.
        command = ["sh", "-c", STAY] if sandbox else ["/proc/self/fd/3"]
        p = pod(name, sandbox=sandbox, main={"command": command, "volumeMounts": [{"name": "out", "mountPath": OVER_THE_LAUNCHER}]})
        p["spec"]["initContainers"] = [{
            "name": "fill", "image": "localhost/kubefence/busybox:1", "imagePullPolicy": "Never",
            "command": ["sh", "-c", 'printf %s "$0" >/out/3 && chmod 755 /out/3', EVIL.decode()],
            "volumeMounts": [{"name": "out", "mountPath": "/out"}]}]
        return p

    holds(t, k, f"a volume at {OVER_THE_LAUNCHER}", make)


def image_volume_over_the_launcher(t: Tap, k: Cluster) -> None:
    """The same as an image's VOLUME, which no admission policy sees."""
    k.c.load(images.build(IMAGE, {"proc/net": Dir(), "proc/fd/3": File(EVIL)}, base=images.busybox(),
                          Volumes={OVER_THE_LAUNCHER: {}}))
    holds(t, k, f"an image's VOLUME {OVER_THE_LAUNCHER}",
          lambda name, sandbox: pod(name, STAY, sandbox=sandbox, main={"image": IMAGE}))


def as_recorded(t: Tap, k: Cluster, flavour: str) -> None:
    fresh, stored = record.recorded(k), json.loads((record.STORED / f"{flavour}.json").read_text())
    for key in sorted({*fresh, *stored}):
        t.equal(fresh.get(key), stored.get(key), f"{key} is as recorded; tests/lib/record.py {flavour} records again")


def run(t: Tap) -> None:
    for flavour in ("containerd", "crio"):
        # CRI-O's other way with an image's volumes, which mounts them; by default it makes directories.
        options = {"image": {"image_volumes": "bind"}} if flavour == "crio" else {}
        with record.cluster(flavour, prepare, handlers=node.GUARDED, **options) as k:
            k.c.load(images.busybox())
            k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nono-runc"}, "handler": "nono-runc"})
            ok = t.ok
            t.ok = lambda good, name, detail="", ok=ok, flavour=flavour: ok(good, f"{flavour}: {name}", detail)
            try:
                t.case("as recorded", as_recorded, t, k, flavour)
                for part in (plain, policies_that_lie, volume_over_the_launcher, image_volume_over_the_launcher):
                    t.case(part.__name__.replace("_", " "), part, t, k)
            finally:
                t.ok = ok

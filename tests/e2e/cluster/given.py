# SPDX-License-Identifier: Apache-2.0
"""Devices through a real kubelet: a device plugin that gives nodes, one that gives a CDI device, with the guard on containerd and runc, and on CRI-O and crun."""
import given
from lib import node, record, tools
from lib.cluster import Cluster
from lib.cri import wait_until
from lib.crio import Crio
from lib.runtime import Runtime
from lib.tap import Tap

from . import holds
from .pods import pod

RESOURCES = {"kubefence.test/node": ["/dev/fuse", "/dev/full:/dev/accel/plugin0"], "kubefence.test/cdi": [given.CDI_NAME]}
ASK = "attack device /dev/fuse /dev/accel/plugin0 /dev/accel/cdi0 /dev/cdi-ctl /dev/kmsg; attack thread_comm; attack oom_self"
BARE = [*(f"/dev/{d} ok ENOTTY" for d in ("fuse", "accel/plugin0", "accel/cdi0", "cdi-ctl")), "/dev/kmsg ENOENT -", "thread_comm ok", "oom_self ok"]


def prepare(c: Runtime) -> None:
    """As holds.prepare(), and the kubelet's directory of device plugins, a fixed path, is this node's own."""
    holds.prepare(c)
    given.cdi(c)
    c.sh("mkdir -p /var/lib/kubelet/device-plugins && mount -t tmpfs plugins /var/lib/kubelet/device-plugins")


def plugins(k: Cluster) -> None:
    for resource, devices in RESOURCES.items():
        log = k.c.dir / f"logs/{resource.replace('/', '-')}.log"
        with open(log, "ab") as out:
            k.processes[resource] = k.c.spawn([tools.program("deviceplugin"), resource, *devices], stdout=out, stderr=out)

    def known() -> bool:
        there = k.get("nodes")["items"][0]["status"]["allocatable"]
        return all(there.get(r) == "4" for r in RESOURCES)

    k._wait("the node to have the devices", known, 120)


def asked(k: Cluster, name: str, *, sandbox: bool, **spec) -> tuple[list[str], list[str]]:
    """What the first process of a pod and one that enters say."""
    main = {"image": given.IMAGE, "resources": {"limits": dict.fromkeys(RESOURCES, "1")}, **spec.pop("main", {})}
    k.apply(pod(name, f"{ASK}; exec sleep 600", sandbox=sandbox, main=main, **spec))
    k.wait_pod(name)
    first = wait_until(lambda: "oom_self" in (out := k.logs(name)) and out.splitlines(), f"pod {name} to speak")
    entered = k.exec(name, "sh", "-c", ASK).out.splitlines()
    # Its devices come back when it has gone; the next pods wait for them.
    k.kubectl("delete", "pod", name, "--wait=false")
    return first, entered


def cases(t: Tap, k: Cluster) -> None:
    plugins(k)
    t.equal(asked(k, "control", sandbox=False), (BARE, BARE), "control: what two device plugins gave")
    t.equal(asked(k, "given", sandbox=True), (BARE, BARE), "what two device plugins gave is used as in the control, by whoever enters, too")
    none = [*(f"{line.split()[0]} EACCES -" for line in BARE[:4]), *BARE[4:]]
    t.equal(asked(k, "strict", sandbox=True, annotations={"nono.sh/profile": "strict"}), (none, none), "'strict' leaves them out")
    user = {"securityContext": {"runAsUser": 1000, "runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    t.equal(asked(k, "nonroot", sandbox=True, main=user), asked(k, "nonroot-control", sandbox=False, main=user), "a user without capabilities: as in the control")
    shared = asked(k, "shared", sandbox=True, shareProcessNamespace=True)[0]
    t.equal(shared, [*BARE[:-2], "thread_comm EACCES", "oom_self EACCES"], "a PID namespace that is shared: devices, and /proc to be read")
    if isinstance(k.c, Crio) and not given.all_capabilities():
        t.skip("a privileged pod has the node's devices, and gets none", "crun gives it every capability, and this machine lacks one")
        return
    privileged = asked(k, "privileged", sandbox=True, main={"securityContext": {"privileged": True}})[0]
    t.ok(all(" EACCES " in f"{line} " for line in privileged), "a privileged pod has the node's devices, and gets none", privileged)


def run(t: Tap) -> None:
    for flavour in ("containerd", "crio"):
        k = record.cluster(flavour, prepare, handlers=node.GUARDED) if flavour == "crio" else Cluster(handlers=node.GUARDED, prepare=prepare)
        with k:
            given.image(k.c)
            k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nono-runc"}, "handler": "nono-runc"})
            ok = t.ok
            t.ok = lambda good, name, detail="", ok=ok, flavour=flavour: ok(good, f"{flavour}: {name}", detail)
            try:
                t.case("given", cases, t, k)
            finally:
                t.ok = ok
                for resource in RESOURCES:
                    k._end(resource)

# SPDX-License-Identifier: Apache-2.0
"""containerd's own default validator with required plugins, and pods of a service mesh."""
import signal

from lib import images, node
from lib.containerd import Containerd
from lib.cri import CriError
from lib.tap import Tap

REQUIRED = {"required-plugins.noderesource.dev": '["nono-nri"]'}


def outcome(c: Containerd, image: str, **options) -> str:
    """"sandboxed", "bare" or the message that refused the container."""
    try:
        return "sandboxed" if node.sandboxed(node.probe(c, image, **options)) else "bare"
    except CriError as e:
        return str(e)


def per_pod(t: Tap, line: str) -> None:
    """The annotation on a pod makes the plugin's absence an error of that pod only."""
    with Containerd(line, nri={"default_validator": {"enable": True}}) as c:
        node.install(c, guard=False)
        image = c.load(images.busybox())
        plugin = node.Plugin(c).start()
        mine = {"handler": "nono-runc", "annotations": REQUIRED}
        t.equal(outcome(c, image, **mine), "sandboxed", f"{line}: required and connected: sandboxed")
        for sig in (signal.SIGTERM, signal.SIGKILL):
            plugin.stop(sig)
            for attempt in ("first", "second"):
                said = outcome(c, image, **mine)
                t.ok(said not in ("sandboxed", "bare"), f"{line}: plugin ended by {sig.name}, {attempt} pod: refused", said)
            t.ok("nono-nri" in said, f"{line}: ... and the message names the plugin", said)
            t.equal(outcome(c, image, handler="nono-runc"), "bare", f"{line}: ... the pod without the annotation is bare")
            plugin.start()
        t.equal(outcome(c, image, **mine), "sandboxed", f"{line}: back again: sandboxed")


def whole_node(t: Tap, line: str) -> None:
    """required_plugins for the node stops every pod but those that tolerate it."""
    tolerate = "tolerate-missing-plugins.example.org"
    validator = {"enable": True, "required_plugins": ["nono-nri"], "tolerate_missing_plugins_annotation": tolerate}
    with Containerd(line, nri={"default_validator": validator}) as c:
        node.install(c, guard=False)
        image = c.load(images.busybox())
        for handler in ("runc", "nono-runc"):
            said = outcome(c, image, handler=handler)
            t.ok("nono-nri" in said, f"{line}: required on the node, no plugin: a pod of {handler} is refused", said)
        tolerated = c.run(image, ["echo", "up"], handler="runc", annotations={tolerate: "true"})
        t.equal(tolerated.out, "up\n", f"{line}: the plugin's own pod runs, with the toleration")
        node.Plugin(c).start()
        t.equal(outcome(c, image, handler="nono-runc"), "sandboxed", f"{line}: with the plugin, sandboxed")
        t.equal(c.run(image, ["echo", "up"], handler="runc").out, "up\n", f"{line}: ... and other pods run")


def untouched_seccomp(t: Tap, line: str) -> None:
    """A node may refuse every adjustment of the runtime's own seccomp policy: with the guard there is none."""
    validator = {"enable": True, "reject_runtime_default_seccomp_adjustment": True}
    for guard in (False, True):
        with Containerd(line, nri={"default_validator": validator}, handlers=node.GUARDED if guard else {}) as c:
            node.install(c, guard=guard)
            image = c.load(images.busybox())
            node.Plugin(c, seccomp_profile="restricted").start()
            said = outcome(c, image, handler="nono-runc", security={"seccomp": {"profile_type": 0}})
            if guard:
                t.equal(said, "sandboxed", f"{line}: the node refuses seccomp adjustments: with the guard a pod is sandboxed")
                run = c.run(image, ["sh", "-c", "grep Seccomp: /proc/self/status; unshare -U true && echo unshared"], handler="nono-runc")
                t.ok("2" in run.out and "unshared" not in run.out, f"{line}: ... under the level's policy", run)
            else:
                t.ok("seccomp" in said.lower(), f"{line}: control: without the guard it is refused", said)


SIDECAR = f"cat {node.TOKEN_PATH}/token; touch /etc/p 2>/dev/null && echo bare || echo boxed"


def mesh(t: Tap, guard: bool) -> None:
    """A sidecar with a profile of its own keeps the token that the application loses."""
    label = "guard" if guard else "plugin"
    with Containerd(handlers=node.GUARDED if guard else {}) as c:
        node.install(c, guard=guard)
        image = c.load(images.busybox())
        node.Plugin(c).start()
        said = {}
        for sidecar in ("in-cluster", ""):
            annotations = {"nono.sh/profile.istio-proxy": sidecar} if sidecar else {}
            pod = c.pod(handler="nono-runc", annotations=annotations)
            for name in ("istio-proxy", "app"):
                ctr = pod.container(image, ["sh", "-c", SIDECAR], name=name, mounts=[node.token(c)])
                ctr.start().wait()
                said[name, sidecar] = ctr.log("stdout")
            pod.remove()
        t.equal(said["istio-proxy", "in-cluster"], "secret\nboxed\n", f"{label}: istio-proxy with in-cluster reads its token")
        t.equal(said["app", "in-cluster"], "boxed\n", f"{label}: the application beside it does not")
        t.equal(said["istio-proxy", ""], "boxed\n", f"{label}: without the annotation, neither does the sidecar")


def run(t: Tap, lines=("2.2", "2.4")) -> None:
    for line in lines:
        t.case(f"required per pod, {line}", per_pod, t, line)
        t.case(f"required on the node, {line}", whole_node, t, line)
        t.case(f"seccomp adjustments refused, {line}", untouched_seccomp, t, line)
    for guard in (False, True):
        t.case("mesh", mesh, t, guard)

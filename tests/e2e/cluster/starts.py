# SPDX-License-Identifier: Apache-2.0
"""Starts that fail, as a kubelet sees them: probes, hooks, kubectl exec and containers whose program is missing,
each beside the same pod without the sandbox.  On containerd with runc and on CRI-O with crun."""
import re

from lib import images, node, record
from lib.cluster import Cluster
from lib.cri import wait_until
from lib.tap import Tap

from .holds import prepare
from .pods import STAY, pod

MISSING = {"exec": {"command": ["no-such"]}}


def both(k: Cluster, name: str, *, script: str = STAY, **spec) -> dict[str, str]:
    """The pod with the sandbox and without, applied: sandboxed or plain -> its name."""
    names = {"sandboxed": name, "plain": f"{name}-plain"}
    for which, n in names.items():
        k.apply(pod(n, script, sandbox=which == "sandboxed", **spec))
    return names


def status(k: Cluster, name: str) -> dict:
    return (k.get("pod", name)["status"].get("containerStatuses") or [{}])[0]


def event(k: Cluster, name: str, reason: str, times: int = 1) -> str:
    """The message of an event that has come so often."""

    def come() -> str:
        items = k.get("events", f"--field-selector=involvedObject.name={name}")["items"]
        found = [e for e in items if e["reason"] == reason]
        return found[0].get("message", "") if sum(e.get("count") or 1 for e in found) >= times else ""

    return wait_until(come, f"{times} events {reason} of pod {name}", 120)


def kind_of(message: str) -> str:
    """What a kubelet says up to the reason, which is the runtime's own."""
    return re.split(r": (?:rpc error|failed|command)|, message:", message)[0]


def probes(t: Tap, k: Cluster) -> None:
    names = both(k, "probed", script="until [ -e /out/end ]; do sleep 1; done; exit 3", main={"livenessProbe": {**MISSING, "periodSeconds": 1, "failureThreshold": 1}})
    said = {which: event(k, name, "Unhealthy", 5) for which, name in names.items()}
    print(f"# {said}", flush=True)
    t.ok("errored" in said["plain"], "control: a liveness probe whose program is missing errors", said)
    t.equal(kind_of(said["sandboxed"]), kind_of(said["plain"]), "the same event with the sandbox")
    t.ok("cannot start 'no-such': executable file not found in $PATH" in said["sandboxed"], "which says why", said)
    for which, name in names.items():
        t.equal((status(k, name).get("restartCount"), "running" in status(k, name).get("state", {})), (0, True),
                f"{which}: 0 restarts after five such probes")
    for name in names.values():
        k.exec(name, "touch", "/out/end", container="main")

    def ended(name: str) -> dict:
        return wait_until(lambda: status(k, name).get("lastState", {}).get("terminated"), f"{name}'s first container to end", 120)

    ends = {which: ended(name) for which, name in names.items()}
    t.equal(ends["sandboxed"].get("message"), ends["plain"].get("message"), "and its termination message is as without the sandbox")


def kubectl_exec(t: Tap, k: Cluster) -> None:
    names = both(k, "entered")
    for name in names.values():
        k.wait_pod(name)
    for what, args in {"a missing program": ["no-such"], "a missing path": ["/no/such"], "what may not be executed": ["/etc/passwd"]}.items():
        got = {which: k.kubectl("exec", name, "--", *args, check=False) for which, name in names.items()}
        t.ok(got["sandboxed"].code == got["plain"].code != 0, f"kubectl exec of {what}: the exit status of one without the sandbox", got)
        t.ok(f"cannot start '{args[0]}'" in got["sandboxed"].err, f"kubectl exec of {what}: says why", got["sandboxed"].err)
    got = {which: k.kubectl("exec", name, "--", "sh", "-c", "exit 7", check=False).code for which, name in names.items()}
    t.equal(got, {"sandboxed": 7, "plain": 7}, "control: a program's own status")


def hooks(t: Tap, k: Cluster) -> None:
    names = both(k, "hooked", main={"lifecycle": {"postStart": MISSING}})
    said = {which: event(k, name, "FailedPostStartHook") for which, name in names.items()}
    t.equal(kind_of(said["sandboxed"]), kind_of(said["plain"]), "a postStart hook whose program is missing: the same event")


def containers(t: Tap, k: Cluster, flavour: str) -> None:
    for what, command in {"a command": ["no-such"], "a path": ["/no/such"]}.items():
        name = f"missing-{len(command[0])}"
        names = both(k, name, restartPolicy="Never", main={"command": command})

        def failed(n: str) -> tuple:
            s = status(k, n).get("state", {})
            end, wait = s.get("terminated"), s.get("waiting", {})
            if end:
                return end.get("reason"), end.get("exitCode"), end.get("message", "")
            # CRI-O looks when it creates the container.
            return ("waiting", wait["reason"], wait.get("message", "")) if "Error" in wait.get("reason", "") else ()

        got = {which: wait_until(lambda n=n: failed(n), f"pod {n} to fail", 120) for which, n in names.items()}
        print(f"# {flavour}: {got}", flush=True)
        t.equal(got["sandboxed"][:2], got["plain"][:2], f"{what} that is missing: reason and exit code as without the sandbox")
        t.ok(f"cannot start '{command[0]}'" in got["sandboxed"][2], f"{what} that is missing: the status says why", got["sandboxed"])
        if flavour == "containerd":
            t.equal(got["plain"][:2], ("StartError", 128), "control: StartError, 128")


def run(t: Tap) -> None:
    for flavour in ("containerd", "crio"):
        k = record.cluster(flavour, prepare, handlers=node.GUARDED) if flavour == "crio" else \
            Cluster(prepare=prepare, handlers=node.GUARDED)
        with k:
            k.c.load(images.busybox())
            k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nono-runc"}, "handler": "nono-runc"})
            ok = t.ok
            t.ok = lambda good, name, detail="", ok=ok, flavour=flavour: ok(good, f"{flavour}: {name}", detail)
            try:
                for part in (kubectl_exec, containers, hooks, probes):
                    args = (flavour,) if part is containers else ()
                    t.case(part.__name__.replace("_", " "), part, t, k, *args)
            finally:
                t.ok = ok

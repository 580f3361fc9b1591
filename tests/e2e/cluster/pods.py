# SPDX-License-Identifier: Apache-2.0
"""Pods as a kubelet runs them: what becomes of each kind under the RuntimeClass, beside controls."""
import json

from lib.cluster import Cluster
from lib.cri import Timeout, wait_until
from lib.tap import Tap

IMAGE = "localhost/kubefence/busybox:1"
# Written by whom it concerns, whoever that is: everybody may write /usr/open but a sandboxed process.
PROBE = (
    "if touch /usr/open/p 2>/dev/null; then echo bare; "
    "elif grep -q 'NoNewPrivs:.*1' /proc/self/status; then echo sandboxed; else echo odd; fi"
)
STAY = f"{PROBE}; exec sleep 600"


def pod(name: str, script: str = STAY, *, sandbox: bool = True, annotations: dict | None = None, **spec) -> dict:
    """A pod with one container; @spec replaces keys of the pod's spec, "main" those of the container."""
    main = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "out", "mountPath": "/out"}],
        **spec.pop("main", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {
            **({"runtimeClassName": "nono-runc"} if sandbox else {}),
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "out", "emptyDir": {}}],
            "containers": [main],
            **spec,
        },
    }


def container(name: str, script: str, **more) -> dict:
    return {"name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "out", "mountPath": "/out"}], **more}


def execute(script: str) -> dict:
    return {"exec": {"command": ["sh", "-c", script]}}


# name: (pod, what else wrote its verdict where)
def kinds() -> dict[str, dict]:
    drop = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    to = f"{{ {PROBE}; }}"
    return {
        "plain": pod("plain"),
        "nonroot": pod("nonroot", securityContext={"runAsUser": 1000, "runAsNonRoot": True},
                       main={"securityContext": drop}),
        "usernamespace": pod("usernamespace", hostUsers=False),
        "hostnetwork": pod("hostnetwork", hostNetwork=True),
        "init": pod("init", initContainers=[
            container("first", f"{PROBE} >/out/init"),
            container("sidecar", f"{PROBE} >/out/sidecar; exec sleep 600", restartPolicy="Always"),
        ]),
        "probes": pod("probes", main={
            "startupProbe": {**execute(f"{to} >/out/startup"), "periodSeconds": 1},
            "readinessProbe": {**execute(f"{to} >/out/readiness"), "periodSeconds": 1},
            "livenessProbe": {**execute(f"{to} >/out/liveness"), "periodSeconds": 1},
        }),
        # It ends when told to; a busy machine's preStop gets its time.
        "hooks": pod("hooks", f"trap 'exit 0' TERM; {PROBE}; while :; do sleep 0.2; done", terminationGracePeriodSeconds=60, main={"lifecycle": {
            "postStart": execute(f"{to} >/out/poststart"), "preStop": execute(f"{to} >/out/prestop"),
        }}, volumes=[{"name": "out", "hostPath": {"path": "/run/kf-out/hooks", "type": "DirectoryOrCreate"}}]),
    }


WRITES = {"init": ("init", "sidecar"), "probes": ("startup", "readiness", "liveness"), "hooks": ("poststart",)}


def verdicts(log: str) -> list[str]:
    """What PROBE said in it; runtimes warn there of what they do not like."""
    return [line for line in log.splitlines() if line in ("bare", "sandboxed", "odd")]


def kind_by_kind(t: Tap, k: Cluster) -> None:
    """Every kind of pod, with and without the RuntimeClass, all at once."""
    pairs = []
    for name, spec in kinds().items():
        pairs.append((name, spec, "sandboxed"))
        control = json.loads(json.dumps(spec))
        control["metadata"]["name"] = f"{name}-control"
        del control["spec"]["runtimeClassName"]
        for volume in control["spec"]["volumes"]:
            if "hostPath" in volume:
                volume["hostPath"]["path"] += "-control"
        pairs.append((f"{name}-control", control, "bare"))
    k.apply([spec for _name, spec, _want in pairs])
    for name, _spec, want in pairs:
        try:
            k.wait_pod(name)
        except Timeout as e:
            t.ok(False, f"pod {name} runs", e)
            continue
        said = wait_until(lambda: verdicts(k.logs(name, "-c", "main")), f"pod {name}'s log")
        t.equal(said, [want], f"pod {name}: its process is {want}")
        r = k.exec(name, "sh", "-c", PROBE, container="main")
        t.equal(r.out.strip(), want, f"pod {name}: kubectl exec is {want}")
        for file in WRITES.get(name.removesuffix("-control"), ()):
            said = wait_until(lambda: k.exec(name, "cat", f"/out/{file}", container="main").out.strip(), f"/out/{file}")
            t.equal(said, want, f"pod {name}: {file} is {want}")
    k.kubectl("delete", "pod", *(name for name, _spec, _want in pairs), "--wait=true")
    t.ok(True, "all are deleted")
    for name, want in (("hooks", "sandboxed"), ("hooks-control", "bare")):
        t.equal(k.c.host(f"/run/kf-out/{name}/prestop").read_text().strip(), want, f"pod {name}: prestop is {want}")


def token_and_readonly(t: Tap, k: Cluster) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    script = f"test -s {token} && echo token || echo no token; grep NoNewPrivs /proc/self/status; exec sleep 600"
    for name, sandbox in (("readonly", True), ("readonly-control", False)):
        k.apply(pod(name, script, sandbox=sandbox, main={"securityContext": {"readOnlyRootFilesystem": True}}))
        k.wait_pod(name)
        first, second = wait_until(lambda: k.logs(name).split("\n")[:-1][:2], f"pod {name}'s log")
        t.equal(first, "no token" if sandbox else "token", f"pod {name}: {'no ' if sandbox else ''}service-account token")
        t.equal(second[-1], "1" if sandbox else "0", f"pod {name}: no_new_privs")
    k.kubectl("delete", "pod", "readonly", "readonly-control")


def refused(t: Tap, k: Cluster) -> None:
    """A refusal shows in the pod's events, and the pod can be deleted."""
    k.apply(pod("unknown", annotations={"nono.sh/profile": "no-such-profile"}))
    wait_until(lambda: any("no-such-profile" in e for e in k.events("unknown")), "the refusal in the pod's events")
    t.ok(True, "an unknown profile is refused in the pod's events")
    phase = k.get("pod", "unknown")["status"]["phase"]
    t.equal(phase, "Pending", "... and the pod does not run")
    k.kubectl("delete", "pod", "unknown", "--wait=true")
    t.ok(True, "... and can be deleted")


def job_debug_copy(t: Tap, k: Cluster) -> None:
    template = pod("x", PROBE, restartPolicy="Never")["spec"]
    k.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"},
             "spec": {"template": {"spec": template}, "backoffLimit": 0}})
    wait_until(lambda: k.get("job", "job")["status"].get("succeeded"), "the job", 60)
    t.equal(k.kubectl("logs", "job/job").strip(), "sandboxed", "a Job's pod is sandboxed")
    k.apply(pod("target"))
    k.wait_pod("target")
    k.kubectl("debug", "target", f"--image={IMAGE}", "--container=dbg", "--", "sh", "-c", STAY)
    said = wait_until(lambda: k.kubectl("logs", "target", "-c", "dbg", check=False).out.strip(), "the ephemeral container", 60)
    t.equal(said, "sandboxed", "an ephemeral debug container is sandboxed")
    (k.c.dir / "copied").write_text("copied\n")
    k.kubectl("cp", f"{k.c.dir}/copied", "target:/tmp/copied")
    t.equal(k.exec("target", "cat", "/tmp/copied").out, "copied\n", "kubectl cp into a sandboxed pod")
    k.kubectl("delete", "job/job", "pod/target")


def run(t: Tap, k: Cluster) -> None:
    for part in (kind_by_kind, token_and_readonly, refused, job_debug_copy):
        t.case(part.__name__.replace("_", " "), part, t, k)

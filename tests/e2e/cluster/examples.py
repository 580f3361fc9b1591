# SPDX-License-Identifier: Apache-2.0
"""The manifests of examples/agents, applied as they are: a stand-in for each agent's image says how it lives."""
import json

from lib import images, node
from lib.cluster import Cluster
from lib.tap import Tap

from . import pods

EXAMPLES = node.ROOT / "examples/agents"
# What an agent needs: its state, its work, its key; and what it must not have.
AGENT = f"""#!/bin/sh
{pods.PROBE}
echo "profile $NONO_PROFILE"
mkdir -p "$HOME/.cache" && echo x >"$HOME/.cache/probe" && echo "home writable"
echo x >./probe && echo "work $(pwd) writable"
[ -n "$ANTHROPIC_API_KEY$OPENAI_API_KEY$GEMINI_API_KEY$GOOGLE_API_KEY" ] && echo "key there"
[ -e /var/run/secrets/kubernetes.io/serviceaccount/token ] || echo "no token"
echo "uid $(id -u)"
"""
SANDBOX_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "sandboxes.agents.x-k8s.io",
                 "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
    "spec": {
        "group": "agents.x-k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "Sandbox", "plural": "sandboxes", "singular": "sandbox"},
        "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}],
    },
}  # fmt: skip


def volume(k: Cluster, claim: str) -> dict:
    k.c.sh(f"mkdir -p -m 0777 /run/kf-out/pv-{claim}; chmod 0777 /run/kf-out/pv-{claim}")
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pv-{claim}"},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                     "claimRef": {"namespace": "default", "name": claim},
                     "hostPath": {"path": f"/run/kf-out/pv-{claim}"}}}  # fmt: skip


def stand_in(k: Cluster, ref: str, command: str) -> None:
    if command != "sleep":
        k.c.load(images.build(ref, {f"bin/{command}": AGENT.encode()}, base=images.busybox()))


def prepare(k: Cluster, spec: dict) -> None:
    """Its image and the Secret that the user makes."""
    for c in spec["containers"]:
        stand_in(k, c["image"], c["command"][0])
        for e in c.get("env", []):
            ref = e.get("valueFrom", {}).get("secretKeyRef")
            if ref:
                k.kubectl("create", "secret", "generic", ref["name"], f"--from-literal={ref['key']}=sk-1", check=False)


def judge(t: Tap, agent: str, said: str, uid: str = "1000") -> None:
    want = ["sandboxed", f"profile {agent}", "home writable", "work /work writable", "key there", "no token", f"uid {uid}"]
    t.equal(said.split("\n")[:-1], want, f"examples/agents/{agent}.yaml: the agent has what it needs, and no more")


def apply(t: Tap, k: Cluster, path) -> None:
    r = k.kubectl("apply", "--dry-run=server", "-o", "json", "-f", str(path), check=False)
    if not t.ok(r.code == 0 and not r.err, f"examples/agents/{path.name}: the API server takes it without a warning", r.err):
        return
    shown = json.loads(r.out)
    for o in shown.get("items", [shown]):  # a manifest of one object is not shown as a list
        if o["kind"] == "PersistentVolumeClaim":
            k.apply(volume(k, o["metadata"]["name"]))
        elif "template" in o["spec"]:
            prepare(k, o["spec"]["template"]["spec"])
    k.kubectl("apply", "-f", str(path))


def finish(t: Tap, k: Cluster, path) -> None:
    agent = path.stem
    k.kubectl("wait", "--for=condition=complete", f"job/{agent}", "--timeout=60s", check=False)
    judge(t, agent, k.kubectl("logs", f"job/{agent}", check=False).out)
    k.kubectl("delete", "-f", str(path), "--wait=false")


def sandbox(t: Tap, k: Cluster) -> None:
    """The controller of agent-sandbox makes a pod of the template; here the test does."""
    path = EXAMPLES / "agent-sandbox.yaml"
    k.apply(SANDBOX_CRD)
    k.kubectl("wait", "--for=condition=established", "crd/sandboxes.agents.x-k8s.io", "--timeout=30s")
    o = json.loads(k.kubectl("apply", "--dry-run=server", "-o", "json", "-f", str(path)))
    template = o["spec"]["podTemplate"]
    claim = o["spec"]["volumeClaimTemplates"][0]
    name = f"{claim['metadata']['name']}-{o['metadata']['name']}"
    stand_in(k, template["spec"]["containers"][0]["image"], "claude")
    spec = template["spec"]
    spec["volumes"].append({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}})
    k.apply([volume(k, name),
             {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": claim["spec"]},
             {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sandbox", **template["metadata"]}, "spec": spec}])
    k.wait_pod("sandbox")
    judge(t, "claude-code", k.exec("sandbox", "env", "ANTHROPIC_API_KEY=x", "claude").out)
    k.kubectl("delete", "pod", "sandbox")


def run(t: Tap, k: Cluster) -> None:
    jobs = [p for p in sorted(EXAMPLES.glob("*.yaml")) if p.stem != "agent-sandbox"]
    for step in (apply, finish):  # they run side by side
        for path in jobs:
            t.case(path.name, step, t, k, path)
    t.case("agent-sandbox.yaml", sandbox, t, k)

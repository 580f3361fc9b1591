# SPDX-License-Identifier: Apache-2.0
"""Plugin and guard on a real Kubernetes: every kind of pod, then things that go wrong on a node."""
from . import pods
from lib import images, node
from lib.cluster import Cluster
from lib.cri import wait_until
from lib.tap import Tap

BURST = 50


def verdicts(k: Cluster, selector: str) -> list[str]:
    """What the pods of a label said; only those that said something."""
    items = k.get("pods", "-l", selector)["items"]
    logs = [k.kubectl("logs", p["metadata"]["name"], check=False).out.strip() for p in items]
    return [x for x in logs if x]


def burst(t: Tap, k: Cluster, plugin: node.Plugin) -> None:
    """50 pods at once, the plugin killed and started again among them."""
    spec = pods.pod("x")
    template = {"metadata": {"labels": {"app": "burst"}}, "spec": {**spec["spec"], "terminationGracePeriodSeconds": 0}}
    k.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "burst"},
             "spec": {"replicas": BURST, "selector": {"matchLabels": {"app": "burst"}}, "template": template}})
    wait_until(lambda: verdicts(k, "app=burst"), "the first pod of the burst", 60)
    plugin.stop(9)
    plugin.start()
    wait_until(lambda: k.get("deployment", "burst")["status"].get("readyReplicas") == BURST, "all pods to be ready", 180)
    said = verdicts(k, "app=burst")
    t.equal(said, ["sandboxed"] * BURST, f"{BURST} pods at once, the plugin killed among them: all sandboxed")
    k.kubectl("delete", "deployment", "burst")
    wait_until(lambda: not k.get("pods", "-l", "app=burst")["items"], "the burst to be gone", 120)
    t.ok(True, "... and deleted")


def restarts(t: Tap, k: Cluster, plugin: node.Plugin) -> None:
    k.apply(pods.pod("lasting"))
    k.wait_pod("lasting")
    started = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    connections = plugin.connections()
    k.c.restart()
    plugin.wait_connected(connections)
    k.stop_kubelet()
    k.start_kubelet()
    k.wait_pod("lasting")
    now = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    t.equal(now, started, "containerd and kubelet restarted: the pod lives on")
    t.equal(k.exec("lasting", "sh", "-c", pods.PROBE).out.strip(), "sandboxed", "... and exec is sandboxed")
    k.apply(pods.pod("later"))
    k.wait_pod("later")
    t.equal(k.logs("later").strip(), "sandboxed", "... and the next pod too")
    k.kubectl("delete", "pod", "lasting", "later")


def run(t: Tap) -> None:
    with Cluster(handlers=node.GUARDED) as k:
        node.install(k.c)
        k.c.restart()  # containerd asks a runtime for its features when it starts
        k.wait_handler("nono-runc")
        k.c.load(images.busybox())
        k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nono-runc"},
                 "handler": "nono-runc"})
        plugin = node.Plugin(k.c).start()
        pods.run(t, k)
        t.case("burst", burst, t, k, plugin)
        t.case("restarts", restarts, t, k, plugin)

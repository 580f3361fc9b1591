#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real kubelet's runtime gives a plain container: tests/lib/recorded/NAME.json, and how it was recorded.

    tests/lib/record.py [containerd|crio]       boots a cluster on each, writes the descriptions again

The whole OCI configuration of POD's only container, in which what differs from one container, machine or kubelet
to the next is a @PLACEHOLDER@; kubelet.py makes containers of it. tests/e2e compares a fresh one with what is stored.
"""
import json
import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import crun, images  # noqa: E402
from lib.cluster import Cluster  # noqa: E402
from lib.crio import Crio  # noqa: E402
from lib.cri import wait_until  # noqa: E402

STORED = Path(__file__).with_name("recorded")
# By default Kubernetes asks for no seccomp policy; with it the description has the runtime's own as well.
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "recorded"},
    "spec": {
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "localhost/kubefence/busybox:1", "imagePullPolicy": "Never",
                        "command": ["sleep", "600"]}],
    },
}


def cluster(flavour: str, prepare=crun.install, **options) -> Cluster:
    """A cluster on that runtime and crun, not started."""
    options = {"runc": crun.PATH, "prepare": prepare, **options}
    return Cluster(runtime=Crio(network=True, **options)) if flavour == "crio" else Cluster(cgroup1=True, **options)


def spec(k: Cluster, pod: str, name: str) -> tuple[dict, dict]:
    """The OCI configuration that the runtime made for a container, and what CRI lists of the container."""
    listed = k.c.cri("RuntimeService/ListContainers", {"filter": {"label_selector": {
        "io.kubernetes.pod.name": pod, "io.kubernetes.container.name": name}}})["containers"]
    answer = k.c.cri("RuntimeService/ContainerStatus", {"container_id": listed[0]["id"], "verbose": True})
    return json.loads(answer["info"]["info"])["runtimeSpec"], listed[0]


def normalised(spec: dict, listed: dict) -> dict:
    """@spec with placeholders."""
    for m in spec["mounts"]:
        if m["type"] == "bind":
            m["source"] = "@FILES@/" + m["destination"].rsplit("/", 1)[1]
    for n in spec["linux"]["namespaces"]:
        if "path" in n:
            n["path"] = "@SANDBOX@"
    spec["root"]["path"] = "@ROOTFS@"
    spec["linux"]["cgroupsPath"] = "@CGROUP@"
    # On a machine with huge pages only.
    spec["linux"].get("resources", {}).pop("hugepageLimits", None)
    text = json.dumps(spec)
    for value, name in ((listed["id"], "@ID@"), (listed["pod_sandbox_id"], "@SANDBOX@"),
                        (listed["labels"]["io.kubernetes.pod.uid"], "@UID@")):
        text = text.replace(value, name)
    text = re.sub(r"(sha256:)?\b[0-9a-f]{64}\b", "@IMAGE@", text)
    text = re.sub(r"/containers/main/[0-9a-f]+", "/containers/main/@NAME@", text)
    text = re.sub(r"kube-api-access-\w+", "kube-api-access-@NAME@", text)
    text = re.sub(r"\b\d+\.\d+\.\d+\.\d+\b", "@ADDRESS@", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "@TIME@", text)
    # Directories of the test's instance, and of the runtime's storage.
    text = re.sub(r"/tmp/kf-\w+", "@NODE@", text)
    text = re.sub(r'("io\.kubernetes\.container\.hash"|\\"io\.kubernetes\.container\.hash\\"): ?("|\\")[0-9a-f]+', r"\1:\2@HASH@", text)
    return ordered(json.loads(text))


def ordered(spec: dict) -> dict:
    """Lists whose order means nothing, or is a matter of chance."""
    for key in ("maskedPaths", "readonlyPaths"):
        spec["linux"][key] = sorted(spec["linux"].get(key) or [])
    services = "KUBERNETES_"
    env = spec["process"]["env"]
    spec["process"]["env"] = [e for e in env if not e.startswith(services)] + sorted(e for e in env if e.startswith(services))
    return spec


def recorded(k: Cluster) -> dict:
    """The description of the running cluster @k."""
    k.c.load(images.busybox())
    k.apply(POD)
    k.wait_pod("recorded")
    try:
        return normalised(*spec(k, "recorded", "main"))
    finally:
        k.kubectl("delete", "pod", "recorded", "--wait=true")
        wait_until(lambda: not k.get("pods")["items"], "the recorded pod to be gone")


if __name__ == "__main__":
    for which in sys.argv[1:] or ("containerd", "crio"):
        with cluster(which) as running:
            text = json.dumps(recorded(running), indent=1, sort_keys=True)
        # Lists of words on one line each.
        text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s*\n\s*", " ", m[1]) + "]", text)
        (STORED / f"{which}.json").write_text(text + "\n")
        print(STORED / f"{which}.json")

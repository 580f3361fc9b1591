# SPDX-License-Identifier: Apache-2.0
"""The commands for a cluster of one's own, on a real Kubernetes: a registry with TLS that skopeo, Helm and the nodes reach,
images pulled from it, the chart from it and from the checkout, in the order of the pages; then the uninstallation."""
import os
import shlex
import subprocess

import commands
from lib import auditlog, images, node, tools
from lib.cluster import NODE, NODE_IP, Cluster
from lib.systemctl import Systemctl
from lib.tap import Tap
from lib.wait import wait_until
from play import play

REGISTRY = f"{NODE_IP}:5000"
CONFIG = """version: 0.1
storage: {filesystem: {rootdirectory: %(dir)s/registry}}
http: {addr: "%(registry)s", tls: {certificate: %(dir)s/pki/registry.crt, key: %(dir)s/pki/registry.key}}
"""
# docker.io is this registry, for the node.
MIRROR = f"""server = "https://{REGISTRY}"
[host."https://{REGISTRY}"]
  capabilities = ["pull", "resolve"]
"""
# What is installed is taken back by this block, after all others.
LAST = ("docs/kubernetes.md", "helm uninstall")


def registry(k: Cluster) -> None:
    """Started on the node, trusted by it, with busybox in it."""
    c, pki = k.c, k.pki
    (pki / "registry.ext").write_text(f"extendedKeyUsage=serverAuth\nsubjectAltName=IP:{NODE_IP}\n")
    subprocess.run(["sh", "-ec", "openssl ecparam -name prime256v1 -genkey -noout -out registry.key; "
                    "openssl req -new -key registry.key -subj /CN=registry -out registry.csr; "
                    "openssl x509 -req -in registry.csr -CA ca.crt -CAkey ca.key -set_serial 99 -days 30 -out registry.crt -extfile registry.ext"],
                   cwd=pki, check=True, capture_output=True)
    c.put("/etc/containerd/certs.d/docker.io/hosts.toml", MIRROR)
    c.sh(f"cat {pki}/ca.crt >>/etc/ssl/certs/ca-certificates.crt; "
         f"printf '%s\\n' \"[plugins.'io.containerd.cri.v1.images'.registry]\" \"config_path = '/etc/containerd/certs.d'\" >>{c.config_path}")
    c.restart()
    (c.dir / "registry.yaml").write_text(CONFIG % {"dir": c.dir, "registry": REGISTRY})
    with open(c.dir / "logs/registry.log", "wb") as log:
        c.spawn([tools.program("registry"), "serve", c.dir / "registry.yaml"], stdout=log, stderr=log)
    wait_until(lambda: c.sh(f"curl -sf https://{REGISTRY}/v2/", check=False).code == 0, "the registry to answer")
    c.sh(f"skopeo copy -q --all oci-archive:{images.busybox().tar} docker://{REGISTRY}/library/busybox:latest")
# The pod that they have.
READER = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": {
    "runtimeClassName": "nono-runc", "terminationGracePeriodSeconds": 0,
    "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100000"], "workingDir": "/work",
                    "volumeMounts": [{"name": "work", "mountPath": "/work"}]}],
    "volumes": [{"name": "work", "emptyDir": {}}]}}


class Reader:
    """Whoever reads the pages and types: their directory, their words, what they have ready."""

    def __init__(self, t: Tap, k: Cluster):
        self.t, self.k = t, k
        self.home = k.c.dir / "reader"
        self.home.mkdir()
        for name in os.listdir(commands.ROOT):
            if not name.startswith("."):
                (self.home / name).symlink_to(commands.ROOT / name)
        (self.home / "bin").mkdir()
        self.env = {"PATH": f"{node.BIN}:{k.bin}:{os.environ['PATH']}", "KUBECONFIG": f"{k.pki}/admin.kubeconfig", "HOME": str(self.home)}
        self.done: set[tuple[str, ...]] = set()

    def words(self) -> dict[str, str]:
        found = {"REGISTRY": REGISTRY, "NODE": NODE, "POD": "reader", "NAMESPACE": "default"}
        plugin = self.k.get("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=plugin")["items"]
        return {**found, **({"POD_IP": plugin[0]["status"].get("podIP", "")} if plugin else {})}

    def prepare(self, place: str, command: str) -> None:
        """What a reader has or does between the lines."""
        k = self.k
        if command.startswith("helm install") and k.helm("status", "kubefence", "-n", "kube-system", check=False).code == 0:
            k.kubectl("delete", "pods", "--all", "--wait=true")
            k.helm("uninstall", "kubefence", "-n", "kube-system", "--wait", deadline=400)
        elif command.startswith("kubectl run hello"):
            k.kubectl("delete", "pod", "hello", "--ignore-not-found", "--wait=true")
        elif "rolebinding" in command:
            k.kubectl("create", "namespace", command.split(" -n ")[1].split()[0], check=False)
        elif command.startswith("helm uninstall"):
            k.kubectl("delete", "pods", "--all", "--wait=true")
        if ("POD" in command or place == "pod") and "POD_IP" not in command and k.kubectl("get", "pod", "reader", check=False).code:
            k.apply(READER)
            k.wait_pod("reader", deadline=180)

    def without_broker(self) -> None:
        """This cluster's kubelet has its directory elsewhere, so that the broker's pod does not start; tests/egress-node has one that does."""
        self.k.helm("upgrade", "kubefence", str(commands.ROOT / "charts/kubefence"), "-n", "kube-system", "--reuse-values", "--set", "egress.enabled=false",
                    "--wait", deadline=400)

    def type(self, b: commands.Block) -> None:
        if tuple(b.commands()) in self.done:  # README and start.md have the same
            return
        self.done.add(tuple(b.commands()))
        for place, command in zip(b.places(), b.commands()):
            if place == "tree" and command.startswith("make"):
                play(self.t, b.file, command, list, {}, cwd=commands.ROOT)
            elif place in ("cluster", "tree", "pod"):
                self.prepare(place, command)
                typed = f"kubectl exec reader -- sh -c {shlex.quote(command)}" if place == "pod" else command
                asks = typed.startswith(("kubectl get", "kubectl logs", "kubectl exec", "kubectl nono", "helm test", "curl"))
                play(self.t, b.file, typed, lambda argv: self.k.c.inside(["env", "-C", self.home, *argv]), self.words(), env=self.env, again=60 if asks else 0)
                if "egress.enabled=true" in command:
                    self.without_broker()


def run(t: Tap, pages: list[str]) -> None:
    k = Cluster()
    k.c.handlers.pop("nono-runc")
    with auditlog.ours(), k:
        Systemctl(k.c)
        registry(k)
        reader = Reader(t, k)
        blocks = [b for b in commands.every() if not b.reason and {"cluster", "pod"} & set(b.places())]
        first = [b for b in blocks if any(c.startswith("helm install") for c in b.commands())]
        last = [b for b in blocks if b.file == LAST[0] and any(c.startswith(LAST[1]) for c in b.commands())]
        t.ok(len(first) >= 3 and len(last) == 1, "control: what installs and what uninstalls are found")
        for b in (*first, *(b for b in blocks if b not in first and b not in last), *last):
            if not pages or b.file in pages or b is first[0]:
                reader.type(b)

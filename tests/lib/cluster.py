# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes of one node: etcd, API server, scheduler, controllers, kubelet, containerd or CRI-O.

    with Cluster() as k:                              # about ten seconds once the programs are built
        k.c.load(images.busybox())                    # k.c is the node's containerd, see containerd.py
        k.apply({"apiVersion": "v1", "kind": "Pod", ...})       # or YAML text
        k.wait_pod("web")                             # "Running"; or k.wait_pod("job", "Succeeded")
        k.kubectl("get", "pods", "-o", "wide")        # its output; check=False gives a Result
        k.exec("web", "cat", "/etc/shadow")           # Result
        k.helm("install", "kf", "charts/kubefence", line="3")   # "" = Helm 4
        k.events("web")                               # the messages of its events

The node is the namespaces of a Containerd(network=True, standard_paths=True), or of the
Crio(network=True) that is given: /etc, /opt and /run are its own, the runtime is where an
administrator expects it and its restart is k.c.restart(). There is no DNS and no kube-proxy; the API
server answers at its service address.  own_network=False is for what the kernel does for the
machine's own network namespace alone, its audit log: there can be one such cluster at a time.
"""
import json
import os
import subprocess
import time
from pathlib import Path

from . import tools
from .containerd import Containerd
from .cri import CriError, Result, Timeout, wait_until
from .runtime import Runtime

BIN = Path(__file__).resolve().parents[2] / "out/bin"
NODE, NODE_IP, SERVICE_IP = "kfnode", "10.99.0.1", "10.96.0.1"
SYSCTLS = ("kernel.panic", "kernel.panic_on_oops", "vm.overcommit_memory")  # the kubelet sets them


class Cluster:
    def __init__(self, line: str = "", *, runtime: Runtime | None = None, **containerd):
        """@line and @containerd as in Containerd(), unless @runtime is given."""
        self.bin = tools.bindir("kubernetes")
        self.c = runtime or Containerd(line, network=True, standard_paths=True, **containerd)
        self.pki = self.c.dir / "pki"
        self.data = self.c.dir / "data"
        self.sysctls: dict[str, str] = {}
        self.groups: list[Path] = []
        self.processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Cluster":
        try:
            self.c.__enter__()
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for name in ("kubelet", "kube-scheduler", "kube-controller-manager"):
            self._end(name)
        for name in ("kube-apiserver", "etcd"):
            self._end(name)
        self.c.close()
        if not self.c.own_network:
            for address in (NODE_IP, SERVICE_IP):
                subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], stderr=subprocess.DEVNULL)
        for name, value in self.sysctls.items():
            Path("/proc/sys", name.replace(".", "/")).write_text(value)

    def _end(self, name: str) -> None:
        p = self.processes.pop(name, None)
        if p and p.poll() is None:
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def _start(self, name: str, *args) -> None:
        with open(self.c.dir / f"logs/{name}.log", "ab") as log:
            self.processes[name] = self.c.spawn([self.bin / name, *args], stdout=log, stderr=log)

    def log(self, name: str) -> str:
        return (self.c.dir / f"logs/{name}.log").read_text(errors="replace")

    # -- booting ------------------------------------------------------------

    def _boot(self) -> None:
        for name in SYSCTLS if self.c.own_network else (*SYSCTLS, "net.ipv4.ip_forward"):
            self.sysctls[name] = Path("/proc/sys", name.replace(".", "/")).read_text()
        self.c.sh(
            f"ip addr replace {NODE_IP}/32 dev lo; ip addr replace {SERVICE_IP}/32 dev lo; "
            "echo 1 >/proc/sys/net/ipv4/ip_forward"
        )
        self._certificates()
        etcd = "http://127.0.0.1:2379"
        peer = "http://127.0.0.1:2380"
        self._start(
            "etcd", "--name=e", f"--data-dir={self.data}/etcd", f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=e={peer}", "--unsafe-no-fsync", "--log-level=warn",
        )  # fmt: skip
        p = self.pki
        self._start(
            "kube-apiserver", f"--etcd-servers={etcd}", "--secure-port=443", "--bind-address=0.0.0.0",
            f"--advertise-address={NODE_IP}", f"--tls-cert-file={p}/apiserver.crt",
            f"--tls-private-key-file={p}/apiserver.key", f"--client-ca-file={p}/ca.crt",
            f"--kubelet-client-certificate={p}/kubelet-client.crt", f"--kubelet-client-key={p}/kubelet-client.key",
            f"--kubelet-certificate-authority={p}/ca.crt", "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={p}/sa.pub",
            f"--service-account-signing-key-file={p}/sa.key", f"--requestheader-client-ca-file={p}/ca.crt",
            "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={p}/front-proxy.crt", f"--proxy-client-key-file={p}/front-proxy.key",
            "--allow-privileged=true", "--v=1",
        )  # fmt: skip
        self._wait("the API server", lambda: self.kubectl("get", "--raw", "/readyz", check=False).code == 0, 90)
        # The controller would take five seconds more to make it.
        self.kubectl("create", "serviceaccount", "default", check=False)
        quick = ("--leader-elect=false", "--kube-api-qps=1000", "--kube-api-burst=1000", "--bind-address=127.0.0.1")
        self._start(
            "kube-controller-manager", f"--kubeconfig={p}/kcm.kubeconfig", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={p}/sa.key", f"--root-ca-file={p}/ca.crt",
            f"--cluster-signing-cert-file={p}/ca.crt", f"--cluster-signing-key-file={p}/ca.key", *quick,
        )  # fmt: skip
        self._start("kube-scheduler", f"--kubeconfig={p}/sched.kubeconfig", *quick)
        self.start_kubelet()
        self._wait("the default namespace's CA",
                   lambda: self.kubectl("get", "configmap", "kube-root-ca.crt", check=False).code == 0, 60)

    def _wait(self, what: str, condition, deadline: float) -> None:
        def check():
            for name, p in self.processes.items():
                if p.poll() is not None:
                    raise CriError(f"{name} ended with {p.returncode}:\n{self.log(name)[-3000:]}")
            return condition()

        end = time.monotonic() + deadline
        while not check():
            if time.monotonic() > end:
                raise Timeout(f"waited {deadline:g} s for {what}")
            time.sleep(0.1)

    def start_kubelet(self) -> None:
        """Start the kubelet (again) and wait until it says that the node is ready."""
        p, root = self.pki, f"/{self.c.name}"
        for top in (*Path("/sys/fs/cgroup").iterdir(), Path("/sys/fs/cgroup")):
            if top.is_dir() and (top / "cgroup.procs").exists():
                (top / self.c.name).mkdir(exist_ok=True)
        (self.c.dir / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "0.0.0.0",
            "healthzBindAddress": "127.0.0.1",
            "tlsCertFile": f"{p}/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{p}/kubelet-server.key",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": f"{p}/ca.crt"},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{self.c.address}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": root,
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": ["pods"],
            "oomScoreAdj": 0,
            "makeIPTablesUtilChains": False,
            "resolvConf": str(self.c.dir / "resolv.conf"),
            "clusterDomain": "cluster.local",
            "staticPodPath": str(self.c.dir / "manifests"),
            "volumePluginDir": str(self.data / "volplugins"),
            "podLogsDir": str(self.data / "pods"),
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%",
                             "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100,
            "syncFrequency": "5s",  # of ConfigMaps in volumes, too
        }  # fmt: skip
        (self.c.dir / "manifests").mkdir(exist_ok=True)
        (self.c.dir / "kubelet.json").write_text(json.dumps(config))
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._start(
            "kubelet", f"--config={self.c.dir}/kubelet.json", f"--kubeconfig={p}/node.kubeconfig",
            f"--root-dir={self.data}/kubelet", f"--hostname-override={NODE}", f"--node-ip={NODE_IP}", "--v=2",
        )  # fmt: skip

        def ready() -> bool:
            r = self.kubectl("get", "node", NODE, "-o", "json", check=False)
            conditions = json.loads(r.out)["status"].get("conditions", []) if r.code == 0 else []
            return any(
                x["type"] == "Ready" and x["status"] == "True" and x["lastHeartbeatTime"] >= since for x in conditions
            )

        self._wait("the node to be ready", ready, 180)

    def stop_kubelet(self) -> None:
        self._end("kubelet")

    def _certificates(self) -> None:
        self.pki.mkdir()
        alt = ",".join(
            [f"DNS:{x}" for x in ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")]
            + [f"IP:{x}" for x in ("127.0.0.1", NODE_IP, SERVICE_IP)]
        )
        server = "extendedKeyUsage=serverAuth,clientAuth"
        client = "extendedKeyUsage=clientAuth"
        script = [
            "openssl ecparam -name prime256v1 -genkey -noout -out ca.key",
            "openssl req -x509 -new -key ca.key -subj /CN=kf-ca -days 30 -out ca.crt "
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
            "openssl genrsa -out sa.key 2048",
            "openssl rsa -in sa.key -pubout -out sa.pub",
        ]
        self._openssl(script)
        self._sign({
            "apiserver": ("/CN=kube-apiserver", f"{server}\nsubjectAltName={alt}"),
            "kubelet-server": (f"/CN={NODE}", f"{server}\nsubjectAltName=DNS:{NODE},IP:{NODE_IP},IP:127.0.0.1"),
            "admin": ("/O=system:masters/CN=admin", client),
            "kubelet-client": ("/O=system:masters/CN=apiserver-kubelet-client", client),
            "node": (f"/O=system:nodes/CN=system:node:{NODE}", client),
            "kcm": ("/CN=system:kube-controller-manager", client),
            "sched": ("/CN=system:kube-scheduler", client),
            "front-proxy": ("/CN=front-proxy-client", client),
        }, 1)  # fmt: skip
        for user in ("admin", "node", "kcm", "sched"):
            self._kubeconfig(user)

    def _openssl(self, script: list[str]) -> None:
        r = subprocess.run(["sh", "-ec", "\n".join(script)], cwd=self.pki, capture_output=True, text=True)
        if r.returncode:
            raise CriError(f"openssl: {r.stderr}")

    def _sign(self, certificates: dict[str, tuple[str, str]], first: int) -> None:
        """Keys, and certificates with serial numbers from @first on: name -> (subject, extensions)."""
        script = []
        for i, (name, (subject, extensions)) in enumerate(certificates.items(), first):
            (self.pki / f"{name}.ext").write_text(extensions + "\n")
            script.append(
                f"openssl ecparam -name prime256v1 -genkey -noout -out {name}.key; openssl req -new -key {name}.key -subj '{subject}' -out {name}.csr; "
                f"openssl x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -set_serial {i} -days 30 "
                f"-out {name}.crt -extfile {name}.ext"
            )
        self._openssl(script)

    def _kubeconfig(self, user: str) -> None:
        keys = {"client-certificate": f"{self.pki}/{user}.crt", "client-key": f"{self.pki}/{user}.key"}
        server = {"server": "https://127.0.0.1:443", "certificate-authority": f"{self.pki}/ca.crt"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": keys}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (self.pki / f"{user}.kubeconfig").write_text(json.dumps(config))

    # -- using it -----------------------------------------------------------

    def user(self, name: str) -> None:
        """A user who may do nothing yet; the "user" of tool()."""
        self._sign({name: (f"/CN={name}", "extendedKeyUsage=clientAuth")}, 1000 + len(list(self.pki.glob("*.kubeconfig"))))
        self._kubeconfig(name)

    def client(self, *command, user: str = "admin") -> list[str]:
        """The command line that runs a client inside, as a user; kubectl finds our plugin."""
        env = [f"KUBECONFIG={self.pki}/{user}.kubeconfig", f"HOME={self.c.dir}", f"PATH={self.bin}:{BIN}:/usr/bin:/bin"]
        return self.c.inside(["env", *env, *command])

    def tool(self, program: Path, *args, check=True, stdin: str = "", deadline: float = 120, user: str = "admin"):
        """Run a client inside: its output; with check=False a Result."""
        p = subprocess.run(
            self.client(program, *args, user=user),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
        )
        if not check:
            return Result(p.returncode, p.stdout, p.stderr)
        if p.returncode:
            raise CriError(f"{program.name} {' '.join(map(str, args))}: {p.stderr.strip() or p.stdout.strip()}")
        return p.stdout

    def kubectl(self, *args, **options):
        return self.tool(self.bin / "kubectl", *args, **options)

    def helm(self, *args, line: str = "", **options):
        program = tools.program("helm", line) if line else self.bin / "helm"
        return self.tool(program, *args, **options)

    def apply(self, what: dict | list | str, *flags, **options):
        """Apply one object, a list of them, or YAML text."""
        if isinstance(what, list):
            what = {"apiVersion": "v1", "kind": "List", "items": what}
        text = what if isinstance(what, str) else json.dumps(what)
        return self.kubectl("apply", "-f", "-", *flags, stdin=text, **options)

    def get(self, *args) -> dict:
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def wait_pod(self, name: str, phase: str = "Running", *, namespace: str = "default", deadline: float = 60) -> dict:
        """Until the pod is in @phase (and, if Running, ready); the pod."""

        def there() -> dict | None:
            r = self.kubectl("get", "pod", name, "-n", namespace, "-o", "json", check=False)
            pod = json.loads(r.out) if r.code == 0 else {}
            status = pod.get("status", {})
            ready = any(x["type"] == "Ready" and x["status"] == "True" for x in status.get("conditions", []))
            return pod if status.get("phase") == phase and (ready or phase != "Running") else None

        try:
            return wait_until(there, f"pod {name} to be {phase}", deadline)
        except Timeout as e:
            raise Timeout(f"{e}\n" + self.kubectl("describe", "pod", name, "-n", namespace, check=False).out)

    def exec(self, pod: str, *command: str, container: str = "", namespace: str = "default", **options) -> Result:
        where = ["-c", container] if container else []
        return self.kubectl("exec", "-n", namespace, pod, *where, "--", *command, check=False, **options)

    def logs(self, pod: str, *flags: str, namespace: str = "default") -> str:
        return self.kubectl("logs", "-n", namespace, pod, *flags)

    def wait_handler(self, handler: str, feature: str = "userNamespaces", deadline: float = 60) -> None:
        """Until the kubelet reports the runtime handler, and that it has the feature."""

        def there() -> bool:
            handlers = self.get("node", NODE)["status"].get("runtimeHandlers", [])
            return any(h.get("name") == handler and h.get("features", {}).get(feature) for h in handlers)

        wait_until(there, f"the node to report the runtime handler {handler}", deadline)

    def events(self, name: str, namespace: str = "default") -> list[str]:
        items = self.get("events", "-n", namespace, f"--field-selector=involvedObject.name={name}")["items"]
        return [x.get("message", "") for x in items]

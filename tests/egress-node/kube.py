# SPDX-License-Identifier: Apache-2.0
"""kube.py all [containerd|crio]: the chart with egress.enabled on a real Kubernetes.  Pods of a namespace at Pod Security
"restricted" reach by name what their profile says, with a key that they never see, and nothing else: each way out that
matrix.py has is tried by the pod's first process, by who enters, by a second container, by an ephemeral one, and while
worker and parent are away; beside pods without the sandbox."""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]
from field import DNS, INTERNET, INTERNET6, OTHER, PORT, Field, Net, Sniffer, inside, own_place, sh  # noqa: E402
import hello  # noqa: E402
import matrix  # noqa: E402
from cluster import pods as shapes  # noqa: E402
from cluster.chart import CHART, SYSTEM, Installed  # noqa: E402
from lib import crun, images, node  # noqa: E402
from lib.cluster import NODE_IP, SERVICE_IP  # noqa: E402
from lib.crio import Crio  # noqa: E402
from lib.runtime import Runtime  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import wait_until  # noqa: E402

SPACE, IMAGE = "agents", "localhost/kubefence/ways:1"
KEY, NEW_KEY = "sk-the-first-key-of-this-test", "sk-the-second-key-of-this-test"
EGRESS = "app.kubernetes.io/component=egress"
RESTRICTED = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
# The node's and the world's ends of the link between them; addresses that the node cannot take for its own.
UPLINK = (("198.18.0.1/30", "fd00:77::1/64"), ("198.18.0.2/30", "fd00:77::2/64"))
PROFILE = {
    "extends": "default",
    "network": {"allow_domain": [{"domain": "ok.test", "ports": [80, 443]}, "node.test", "api-server.test", "metadata.test"], "ask": "#sandbox"},
    "credentials": [{"route": "/api", "upstream": "https://api.test", "secret": "agent-keys", "key": "key", "header": "x-api-key",
                     "env": "API_BASE_URL", "placeholder": "API_KEY"}],
}


def link(f: Field, c: Runtime) -> None:
    """The node's way to the world, and back to its pods."""
    sh("ip", "-n", f.world, "link", "add", "node", "type", "veth", "peer", "name", "uplink", "netns", c._holder.pid)
    node = ["nsenter", f"--net=/proc/{c._holder.pid}/ns/net", "ip"]
    for at, name, addresses in ((node, "uplink", UPLINK[0]), (["ip", "-n", f.world], "node", UPLINK[1])):
        for a in addresses:
            sh(*at, "address", "add", a, "dev", name, *(["nodad"] if ":" in a else []))
        sh(*at, "link", "set", name, "up")
    for to in (f"{INTERNET}/32", f"{OTHER}/32", f"{DNS}/32"):
        sh(*node, "route", "add", to, "via", UPLINK[1][0].split("/")[0])
    sh(*node, "-6", "route", "add", f"{INTERNET6}/128", "via", UPLINK[1][1].split("/")[0])
    sh("ip", "-n", f.world, "route", "add", "10.88.0.0/24", "via", UPLINK[0][0].split("/")[0])
    sh("ip", "-n", f.world, "-6", "route", "add", "fd00:88::/64", "via", UPLINK[0][1].split("/")[0])
    c.sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")


class Place(Installed):
    """The chart's cluster with a world behind the node."""

    def __init__(self, t: Tap, f: Field, runtime: Runtime | None):
        super().__init__(t, runtime)
        self.f = f
        self.k.c.network = "dual"

    def _load(self) -> None:
        c = self.k.c
        link(self.f, c)
        subprocess.run(["gcc", "-static", "-O1", "-o", f"{self.f.dir}/ways", f"{HERE}/ways.c"], check=True)
        c.load(images.build(IMAGE, {"bin/ways": images.File(self.f.dir / "ways")}, base=images.busybox()))
        shutil.copy(self.f.dir / "ca.pem", c.dir / "ca.pem")
        self.f.names.names.update({"node.test": [NODE_IP], "api-server.test": [SERVICE_IP], "metadata.test": ["169.254.169.254"]})
        super()._load()
        values = {"egress": {"enabled": True, "resolvers": [DNS], "ca": str(c.dir / "ca.pem"), "kubeletDir": f"{self.k.data}/kubelet"},
                  "profiles": {"agent": PROFILE, "other": {"extends": "default", "network": {"allow_domain": ["other.test"]}}}}
        self.file = c.dir / "values.json"
        self.file.write_text(json.dumps(values))

    # -- pods ---------------------------------------------------------------

    def secret(self, key: str) -> None:
        self.k.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "agent-keys", "namespace": SPACE},
                      "data": {"key": base64.b64encode(key.encode()).decode()}})

    def agent(self, name: str, script: str = "exec sleep 3600", *, sandbox: bool = True, side: str = "", namespace: str = SPACE, **annotations) -> dict:
        """A pod as Pod Security "restricted" wants it, with the Secret; @side: a second container with that profile."""
        main = {"image": IMAGE, "securityContext": CONTAINER, "volumeMounts": [{"name": "agent-keys", "mountPath": "/keys"}]}
        p = shapes.pod(name, script, sandbox=sandbox, annotations={"nono.sh/profile": "agent", **({"nono.sh/profile.side": side} if side else {}), **annotations},
                       main=main, securityContext=RESTRICTED, dnsPolicy="None", dnsConfig={"nameservers": [DNS]},
                       volumes=[{"name": "agent-keys", "secret": {"secretName": "agent-keys"}}])
        if side:
            p["spec"]["containers"].append({**p["spec"]["containers"][0], "name": "side", "command": ["sleep", "3600"]})
        p["metadata"]["namespace"] = namespace
        return p

    def start(self, pod: dict) -> Net:
        """The pod's network, once it is ready."""
        self.k.apply(pod)
        name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "default")
        self.k.wait_pod(name, namespace=namespace)
        return self.net(name, namespace)

    def net(self, name: str, namespace: str = SPACE) -> Net:
        c = self.k.c
        labels = {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace}
        found = c.cri("RuntimeService/ListContainers", {"filter": {"label_selector": labels, "state": {"state": "CONTAINER_RUNNING"}}})["containers"]
        answer = c.cri("RuntimeService/ContainerStatus", {"container_id": found[0]["id"], "verbose": True})
        path = f"/proc/{json.loads(answer['info']['info'])['pid']}/ns/net"
        inner = json.loads(sh("nsenter", f"--net={path}", "ip", "-j", "link", "show", "eth0"))[0]
        node = f"/proc/{c._holder.pid}/ns/net"
        outer = next(x for x in json.loads(sh("nsenter", f"--net={node}", "ip", "-j", "link")) if x["ifindex"] == inner["link_index"])
        with inside(node):
            return Net(path, Sniffer(outer["ifname"]), self.f.dir / "ca.pem")

    def ways(self, pod: str, *more: str, container: str = "main", namespace: str = SPACE) -> str:
        r = self.k.exec(pod, *matrix.ARGS, *(more or ("1",)), container=container, namespace=namespace)
        return r.out + r.err

    def fetch(self, pod: str, url: str, proxy: str = "http_proxy=http://127.0.0.1:3128") -> str:
        r = self.k.exec(pod, "env", proxy, "wget", "-q", "-O", "-", url, container="main", namespace=SPACE)
        return r.out + r.err

    def say(self, pod: str, data: bytes) -> bytes:
        """What the broker answers to @data from a process of the pod."""
        r = self.k.exec(pod, "ways", "say", data.hex(), container="main", namespace=SPACE)
        return bytes.fromhex(r.out)

    # -- the broker ---------------------------------------------------------

    def processes(self, word: str) -> dict[int, list[str]]:
        """nono-egress's of this node, by their first argument."""
        found, node = {}, os.readlink(f"/proc/{self.k.c._holder.pid}/ns/net")
        for d in Path("/proc").glob("[0-9]*"):
            try:
                words = (d / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0].endswith("nono-egress") and words[1:2] == [word] and os.readlink(d / "ns/net") == node:
                    found[int(d.name)] = words
            except OSError:
                continue
        return found

    def worker(self, pod: str, not_this: int = 0) -> int:
        return next((pid for pid, words in self.processes("worker").items() if f"--pod\0{SPACE}/{pod}/" in "\0".join(words) and pid != not_this), 0)

    def broker(self, away: bool) -> None:
        """Take the DaemonSet's pod away, or let it come back."""
        name = "kf-kubefence-egress"
        if away:
            patch = ("-p", json.dumps({"spec": {"template": {"spec": {"nodeSelector": {"example.org/nowhere": "x"}}}}}))
        else:
            patch = ("--type=json", "-p", json.dumps([{"op": "remove", "path": "/spec/template/spec/nodeSelector/example.org~1nowhere"}]))
        self.k.kubectl("patch", "daemonset", "-n", SYSTEM, name, *patch)
        wait_until(lambda: bool(self.processes("serve")) != away, "the broker's pod to go" if away else "the broker's pod to come back")

    def records(self) -> list[dict]:
        return [json.loads(x) for x in self.k.c.host("/run/kubefence/egress/connections.log").read_text().splitlines()]


def install(t: Tap, p: Place) -> None:
    p.helm("install", "kf", str(CHART), "-f", str(p.file))
    p.wait_ready()
    wait_until(lambda: all(x["status"] == "True" for pod in p.pods("app.kubernetes.io/instance=kf")
                           for x in pod["status"]["conditions"] if x["type"] == "Ready"), "all pods of the chart to be ready")
    t.ok(len(p.pods(EGRESS)) == 1, "the chart's broker runs, and is ready")
    p.k.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": SPACE, "labels": {f"pod-security.kubernetes.io/{x}": "restricted" for x in ("enforce", "warn", "audit")}}})
    wait_until(lambda: p.k.kubectl("get", "serviceaccount", "default", "-n", SPACE, check=False).code == 0, "the namespace's service account")
    p.secret(KEY)
    bad = p.agent("bad")
    bad["spec"]["containers"][0]["securityContext"] = {}
    r = p.k.apply(bad, check=False)
    t.ok(r.code and "restricted" in r.err, "control: the namespace enforces Pod Security 'restricted'", r.err)


def every_way(t: Tap, p: Place) -> None:
    open_root = p.agent("control", f"{' '.join(matrix.ARGS)} 1; exec sleep 3600", sandbox=False, namespace="default")
    open_root["spec"]["securityContext"] = {}
    open_root["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["NET_RAW"]}}  # which not every runtime gives
    open_root["spec"]["volumes"] = [{"name": "agent-keys", "emptyDir": {}}]
    root = p.start(open_root)
    matrix.opened(t, "a pod without the sandbox", *matrix.tried(root, lambda: p.ways("control", namespace="default")))
    user = p.start(p.agent("user", sandbox=False))
    matrix.opened(t, "a restricted pod without the sandbox", *matrix.tried(user, lambda: p.ways("user")), raw=False)
    said = p.k.exec("user", "cat", "/keys/key", container="main", namespace=SPACE)
    t.equal(said.out, KEY, "control: without the sandbox the key is in the container")

    # The first process tries before anybody else can have done anything.
    pod = p.start(p.agent("agent", f"{' '.join(matrix.ARGS)} 1; exec sleep 3600", side="default"))
    said, out = matrix.tried(pod, lambda: wait_until(lambda: (s := p.k.logs("agent", "-c", "main", namespace=SPACE)) and "uring" in s and s, "the first process to have tried"))
    matrix.closed(t, "the first process", said, out, each=True)
    matrix.closed(t, "kubectl exec", *matrix.tried(pod, lambda: p.ways("agent")))
    matrix.closed(t, "a second container with a weaker profile", *matrix.tried(pod, lambda: p.ways("agent", container="side")))

    def debug() -> str:
        p.k.kubectl("debug", "agent", "-n", SPACE, f"--image={IMAGE}", "--image-pull-policy=Never", "--profile=restricted", "-c", "debugger",
                    "--", *matrix.ARGS, "1")

        def ended() -> str:
            states = p.k.get("pod", "agent", "-n", SPACE)["status"].get("ephemeralContainerStatuses", [])
            return "terminated" in states[0]["state"] and p.k.logs("agent", "-c", "debugger", namespace=SPACE) if states else ""

        return wait_until(ended, "the ephemeral container to have tried")

    matrix.closed(t, "an ephemeral container", *matrix.tried(pod, debug))
    mark = next(w for line in pod.nft().splitlines() if "mark" in line for w in line.split() if w.startswith("0x"))
    t.ok("not permitted" in p.ways("agent", mark, "mark"), "who knows the mark cannot set it")
    table = pod.nft()
    t.ok("policy drop" in table and 'oif "lo" accept' in table, "nft: the pod's network is closed", table)
    listens = pod.run("ss", "-Hltn").stdout
    t.ok(f"127.0.0.1:{PORT}" in listens and f"[::1]:{PORT}" in listens, "ss: the broker listens on both loopbacks of the pod", listens)
    t.ok("nono-egress" not in user.nft() and "nono-egress" not in p.k.c.sh("nft list ruleset").out, "nft: the other pods' and the node's networks are as they were")


def serves(t: Tap, p: Place) -> None:
    t.ok("GET / HTTP" in p.fetch("agent", "http://ok.test/"), "an allowed host is reached by name")
    said = p.fetch("agent", "http://other.test/")
    t.ok("403" in said, "another host is refused", said)
    for name in ("node.test", "api-server.test", "metadata.test"):
        said = p.say("agent", f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        t.ok(b"403" in said and b"address" in said and b"#sandbox" in said, f"a name that leads there is refused: {name}", said)
    env = p.k.exec("agent", "env", container="main", namespace=SPACE).out
    t.ok(f"HTTPS_PROXY=http://127.0.0.1:{PORT}" in env and "API_BASE_URL=" in env and "API_KEY=" in env and KEY not in env, "the environment leads to the broker", env)
    t.ok(p.k.exec("agent", "ls", "/keys/key", container="main", namespace=SPACE).code, "the Secret is not in the container")

    def key_sent(key: str) -> bool:
        before = len(p.f.tls.requests)
        p.fetch("agent", f"http://127.0.0.1:{PORT}/api/v1", "http_proxy=")
        return any(f"x-api-key: {key}".encode() in head.lower() for head, _ in p.f.tls.requests[before:])

    t.ok(key_sent(KEY), "the key is added outside of the pod", p.f.tls.requests[-1:])
    p.secret(NEW_KEY)
    wait_until(lambda: key_sent(NEW_KEY), "the kubelet to have brought the new key", 180)
    t.ok(True, "a Secret that is changed counts when the kubelet has brought it")


def asked(t: Tap, p: Place) -> None:
    """kubectl nono says which rule decides."""
    def why(*hosts: str):
        words = [x for h in hosts for x in ("--host", h)]
        return p.k.tool(Path("/usr/bin/env"), f"PATH={p.k.bin}:/usr/bin:/bin", node.BIN / "kubectl-nono", "why", "agent", "-n", SPACE, *words, check=False)

    r = why("ok.test", "ok.test:80")
    t.ok(r.code == 0 and r.out.count("allowed") == 2 and "host ok.test" in r.out and "agent" in r.out, "kubectl nono why --host: allowed, by which rule of which profile", r)
    r = why("ok.test", "other.test")
    t.ok(r.code == 1 and "other.test: DENIED" in r.out, "... denied", r)
    r = p.k.tool(Path("/usr/bin/env"), f"PATH={p.k.bin}:/usr/bin:/bin", node.BIN / "kubectl-nono", "why", "user", "-n", SPACE, "--host", "ok.test", check=False)
    t.ok(r.code == 1 and "not sandboxed" in r.err, "... and that a pod has no sandbox", r)


def hellos(t: Tap, p: Place) -> None:
    """What follows CONNECT, from a process of the pod: tests/egress has all of them."""
    rows = [row for row in hello.table("ok.test", "other.test")]
    for what, data, reason in (r for r in rows if r[0] in ("OpenSSL's hello for another host", "OpenSSL's hello without a name", "an encrypted hello", "plain HTTP",
                                                         "... behind change_cipher_spec", "OpenSSL's hello")):
        before = len(p.f.tls.requests), p.f.tls.connections
        said = p.say("agent", b"CONNECT ok.test:443 HTTP/1.1\r\nHost: ok.test:443\r\n\r\n" + data)
        if reason:
            record = wait_until(lambda r=reason: any(x["reason"] == r for x in p.records()[-3:]), f"the record of '{what}'")
            t.ok(b" 200 " in said and record, f"refused: {what}", said)
        else:
            t.ok(b"\x16\x03" in said and p.f.tls.connections > before[1], f"control: {what} is answered by the host", said)
    for what, request in (("a Host that is not the target's", "GET http://ok.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n"),
                          ("two lengths", "POST http://ok.test/ HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
                          ("an address", f"CONNECT {INTERNET}:443 HTTP/1.1\r\nHost: {INTERNET}:443\r\n\r\n")):
        before = len(p.f.plain.requests)
        said = p.say("agent", request.encode())
        t.ok(said.startswith(b"HTTP/1.1 4") and len(p.f.plain.requests) == before, f"refused: {what}", said)


def workers(t: Tap, p: Place) -> None:
    pod = p.net("agent")
    for what, how in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
        old = p.worker("agent")
        os.kill(old, how)
        matrix.closed(t, f"its worker {what}", *matrix.tried(pod, lambda: p.ways("agent")))
        wait_until(lambda old=old: p.worker("agent", old) and "GET / HTTP" in p.fetch("agent", "http://ok.test/"), f"a new worker after one was {what}")
        t.ok(True, f"a worker that was {what} has a successor")


def doctor(p: Place) -> str:
    """What kubefence doctor says of the broker on the node."""
    r = p.k.c.sh(f"{node.BIN}/kubefence doctor", check=False)
    lines = r.out.splitlines()
    at = next((i for i, line in enumerate(lines) if "the egress broker" in line), None)
    return "\n".join(lines[at:at + 2]) if at is not None else r.out + r.err


def parents(t: Tap, p: Place) -> None:
    pod = p.net("agent")
    old, worker = next(iter(p.processes("serve"))), p.worker("agent")
    os.kill(old, signal.SIGKILL)
    matrix.closed(t, "the broker's container killed", *matrix.tried(pod, lambda: p.ways("agent")))
    wait_until(lambda: p.worker("agent", worker) and "GET / HTTP" in p.fetch("agent", "http://ok.test/"), "the kubelet to start the broker again, and it to take the pod up", 180)
    t.ok(old not in p.processes("serve"), "a broker that was killed is started again, and takes the running pod up")
    said = doctor(p)
    t.ok("nono-egress serves" in said, "kubefence doctor: the broker answers", said)
    p.broker(away=True)
    said = doctor(p)
    t.ok("nobody serves" in said, "... and does not while it is away", said)
    wait_until(lambda: not p.worker("agent"), "the worker to end with its parent")
    matrix.closed(t, "the broker's pod away", *matrix.tried(pod, lambda: p.ways("agent")))
    p.k.apply(p.agent("late"))
    said = wait_until(lambda: next((e for e in p.k.events("late", SPACE) if "egress broker" in e), ""), "the refusal in the pod's events")
    t.ok("starts when it runs" in said, "without the broker no pod with hosts starts, and its events say why", said)
    states = [s["state"] for s in p.k.get("pod", "late", "-n", SPACE)["status"]["containerStatuses"]]
    t.ok(not any("running" in s for s in states), "... nothing of it runs", states)
    p.broker(away=False)
    p.k.wait_pod("late", namespace=SPACE, deadline=300)
    t.ok("GET / HTTP" in p.fetch("late", "http://ok.test/"), "it starts when the broker is back, and is served")
    wait_until(lambda: "GET / HTTP" in p.fetch("agent", "http://ok.test/"), "the pod from before to be served again")
    t.ok("policy drop" in pod.nft(), "the pod from before too; nft: it is closed as it was")


def refusals(t: Tap, p: Place) -> None:
    for name, pod, words in (
        ("two", p.agent("two", side="other"), "different hosts"),
        ("nosecret", {**p.agent("nosecret"), "spec": {**p.agent("nosecret")["spec"], "volumes": [{"name": "agent-keys", "emptyDir": {}}]}}, "add a volume of that name"),
    ):
        p.k.apply(pod)
        said = wait_until(lambda name=name, words=words: next((e for e in p.k.events(name, SPACE) if words in e), ""), f"the refusal of pod {name}")
        t.ok(words in said, f"refused in the pod's events: {words}", said)
        p.k.kubectl("delete", "pod", name, "-n", SPACE, "--wait=false")
    # Outside of a restricted namespace a debugger may ask for more than the pod.
    p.k.kubectl("create", "secret", "generic", "agent-keys", "--from-literal=key=x")
    pod = p.start(p.agent("debugged", namespace="default"))
    p.k.kubectl("debug", "debugged", f"--image={IMAGE}", "--image-pull-policy=Never", "--profile=sysadmin", "-c", "debugger", "--", *matrix.ARGS, "1")
    said = wait_until(lambda: next((e for e in p.k.events("debugged") if "could open other ways" in e), ""), "the refusal of a privileged debugger")
    t.ok("CAP_" in said, "a privileged ephemeral container in a closed pod is refused", said)
    t.ok("policy drop" in pod.nft(), "nft: the pod stays closed")
    p.k.kubectl("delete", "pod", "debugged", "--wait=false")


def ends(t: Tap, p: Place) -> None:
    net = p.net("agent")
    inode = os.stat(net.path).st_ino
    worker, record = p.worker("agent"), p.k.c.host(f"/run/kubefence/egress/pods/{inode}")
    t.ok(worker and record.exists(), "control: the pod has a worker and a record")
    p.k.kubectl("delete", "pod", "agent", "-n", SPACE, "--wait=true")
    marks = p.k.c.host("/run/kubefence/egress/containers")
    wait_until(lambda: not Path(f"/proc/{worker}").exists() and not record.exists() and not [m for m in os.listdir(marks) if f".{inode}." in m], "the worker's end")
    t.ok(True, "a pod's end ends its worker and leaves nothing")


def prepare_crio(c: Runtime) -> None:
    crun.install(c)
    c.sh("mkdir -p /etc/crio/crio.conf.d")  # as packages do


def run(t: Tap, flavour: str) -> None:
    with Field() as f:
        runtime = Crio(network=True, runc=crun.PATH, prepare=prepare_crio) if flavour == "crio" else None
        with Place(t, f, runtime) as p:
            ok = t.ok
            t.ok = lambda good, name, detail="": ok(good, f"{flavour}: {name}", detail)
            try:
                t.case("install", install, t, p)
                for part in (every_way, serves, asked, hellos, workers, parents, refusals, ends) if not t.failed else ():
                    t.case(part.__name__.replace("_", " "), part, t, p)
                if t.failed:
                    print("\n".join(f"# {line}" for line in p.report().splitlines()))
            finally:
                t.ok = ok


def main() -> int:
    t = Tap()
    own_place()
    for flavour in sys.argv[2:] or ("containerd", "crio"):
        run(t, flavour)
    return t.done()


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The product on a real CRI-O, the newest and the oldest supported, with runc and crun: plugin, guard, and both.

What a container may do is asked inside it, of its first process and of what enters it later, beside the same
container of a handler without the sandbox. "crio.py [newest|1.34] [runc|crun] [plugin|guard|both|kubelet|chart]..." runs parts.
"""
import http.client
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from cluster import chart, pods as cluster_pods  # noqa: E402
from lib import crun, images, node, tools  # noqa: E402
from lib.cluster import Cluster  # noqa: E402
from lib.crio import Crio  # noqa: E402
from lib.cri import CriError, Timeout, wait_until  # noqa: E402
from lib.pods import Container, Pod  # noqa: E402
from lib.tap import Tap  # noqa: E402

LINES = {"newest": "", "1.34": "1.34"}  # as tests/lib/go has them
BEFORE_VALIDATION = {"1.34"}  # NRI 0.9.1: no arguments, no validation
RUNTIMES = {"runc": "/opt/kf/runc", "crun": crun.PATH}
PLUGIN, GUARD, BOTH = "plugin", "guard", "both"
STRENGTHS = (PLUGIN, GUARD, BOTH)
KUBELET, CHART = "kubelet", "chart"  # on top of both
BOX, BARE = "nono-runc", "runc"  # handlers
REQUIRED = {"required-plugins.noderesource.dev": '["nono-nri"]'}
# Of a pause container that ends on SIGTERM, as the usual ones do.
PAUSE = "localhost/kubefence/pause:2"
PAUSES = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]
LOCALHOST = "/etc/crio/seccomp-kf.json"

# One "name=value" a line. /usr/open may be written by anybody but a sandboxed process.
CHECK = r"""
f() { grep "^$1:" /proc/self/status | tr -d '\t '; }
t() { name=$1; shift; if "$@" 2>/dev/null; then echo "$name=done"; else echo "$name=refused"; fi; }
w() { (echo x >"$1") 2>/dev/null; }
f NoNewPrivs; f Seccomp
t etc w /etc/kf; t open w /usr/open/kf; t unshare unshare -U true; t tmp w /tmp/kf; t mkdir mkdir -p /tmp/kf.d
"""
STAY = f"{CHECK}\nexec sleep 600"
FREE = {"NoNewPrivs": "0", "Seccomp": "0", "etc": "done", "open": "done", "unshare": "done", "tmp": "done", "mkdir": "done"}
SANDBOXED = {**FREE, "NoNewPrivs": "1", "Seccomp": "2", "etc": "refused", "open": "refused", "unshare": "refused"}
# What a process has that enters a container of the plugin alone: the container's seccomp policy, which is ours.
ENTERED = {"Seccomp": "2", "unshare": "refused"}


def said(text: str) -> dict[str, str]:
    out = {}
    for line in text.splitlines():
        key, _, value = line.strip().replace(":", "=", 1).partition("=")
        if key in FREE:
            out[key] = value
    return out


@dataclass
class Kind:
    """A container: options of Pod.container(), and what becomes of FREE and SANDBOXED."""

    name: str
    options: dict = field(default_factory=dict)
    control: dict = field(default_factory=dict)  # in FREE
    both: dict = field(default_factory=dict)  # in both
    guarded: dict = field(default_factory=dict)  # in both, but not where the plugin is alone
    image: str = "busybox"
    entry: bool = False  # the image's own entry point is the check


def seccomp(kind: int, ref: str = "") -> dict:
    return {"security": {"seccomp": {"profile_type": kind, "localhost_ref": ref}}}


READ_ONLY = {"etc": "refused", "open": "refused", "tmp": "refused", "mkdir": "refused"}
# Answers mkdir with an error of its own; all else is free.
POLICY = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
          "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]}
KINDS = (
    Kind("a plain container"),
    Kind("a terminal", {"tty": True}),
    Kind("an image's USER", image="user", control={"etc": "refused"}),
    Kind("uid 1000 and a read-only root", {"user": 1000, "readonly": True}, both=READ_ONLY),
    Kind("an image's entry point", image="entry", entry=True),
    Kind("RuntimeDefault", seccomp(0), control={"Seccomp": "2", "unshare": "refused"}),
    Kind("Unconfined", seccomp(1)),
    # CRI-O does not show the plugin what policy there is: the plugin replaces it.
    Kind("Localhost", seccomp(2, LOCALHOST), control={"Seccomp": "2", "mkdir": "refused"}, guarded={"mkdir": "refused"}),
)


class Node:
    """A CRI-O with one strength of enforcement, its images, its plugin."""

    def __init__(self, line: str, runtime: str, strength: str, crio: dict | None = None):
        self.line, self.strength = line, strength
        self.name = f"CRI-O {line}, {runtime}, {strength}"
        self.validates = line not in BEFORE_VALIDATION
        self.plugin: node.Plugin | None = None
        self.c = Crio(LINES[line], handlers=node.GUARDED if strength != PLUGIN else {}, runc=RUNTIMES[runtime], prepare=self._prepare,
                      **(crio or {}))
        self.c.env["TMPDIR"] = "/run/tmp"  # for what CRI-O hands to a runtime

    def _prepare(self, c: Crio) -> None:
        crun.install(c)
        crun.front(c, RUNTIMES["runc"], tools.program("runc"))
        node.install(c, guard=self.strength != PLUGIN)
        if self.strength == GUARD:
            node.settings(c)
        c.sh("mkdir -m 1777 /run/tmp")
        c.put(LOCALHOST, json.dumps(POLICY))

    def __enter__(self) -> "Node":
        c = self.c.__enter__()
        try:
            base = images.busybox()
            entry = images.build("localhost/kubefence/entry:1", {"entry": images.File(f"#!/bin/sh\n{STAY}\n".encode())}, base=base, Entrypoint=["/entry"])
            user = images.build("localhost/kubefence/user:1", {}, base=base, User="1000:1000")
            c.load(images.build(PAUSE, {}, base=base, Entrypoint=PAUSES))
            self.images = {name: c.load(i) for name, i in (("busybox", base), ("entry", entry), ("user", user))}
            self.image = self.images["busybox"]
            if self.strength != GUARD:
                self.plugin = node.Plugin(c).start()
        except BaseException:
            c.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.c.close()

    def stay(self, pod: Pod, kind: Kind = KINDS[0], **options) -> Container:
        """A running container of @kind that has said what it may."""
        args = {} if kind.entry else {"args": ["sh", "-c", STAY]}
        ctr = pod.container(self.images[kind.image], **args, **kind.options, **options).start()
        wait_until(lambda: len(said(ctr.log())) == len(FREE) or ctr.state == "exited", f"the word of {kind.name}")
        return ctr

    def outcome(self, **options) -> str:
        """What becomes of a pod: "sandboxed", "bare", or why it was refused."""
        pod = self.c.pod(handler=BOX, **options)
        try:
            ctr = self.stay(pod)
        except CriError as e:
            pod.remove()
            return str(e)
        answers = [said(x) for x in (ctr.log(), ctr.exec("sh", "-c", CHECK).out)]
        end(pod, ctr)
        return next((word for word, all_ in (("sandboxed", SANDBOXED), ("bare", FREE)) if answers == [all_, all_]), str(answers))


def end(pod: Pod, *containers: Container) -> None:
    """A pod's own end waits long for a first process that ignores SIGTERM."""
    for ctr in containers:
        ctr.stop()
    pod.remove()


def refusal(fn, *args, **options) -> str:
    try:
        fn(*args, **options)
    except CriError as e:
        return str(e)
    return ""


def enter(ctr: Container) -> dict[str, dict]:
    """What each way into a container says there."""
    return {"ExecSync": said(ctr.exec("sh", "-c", CHECK).out), "streaming exec": said(ctr.exec_stream("sh", "-c", CHECK).out),
            "exec with a terminal": said(ctr.exec_tty("sh", "-c", f"{CHECK}\necho all of it; read _", until="all of it").out)}


# ---- what a container may, and how it behaves ----


def kinds(t: Tap, n: Node) -> None:
    """Every kind of container and every way into it, beside the control."""
    for kind in KINDS:
        own = {**kind.both, **(kind.guarded if n.strength != PLUGIN else {})}
        for handler, what in ((BARE, "control"), (BOX, "sandboxed")):
            pod = n.c.pod(handler=handler)
            ctr = n.stay(pod, kind)
            control = {**FREE, **kind.control, **kind.both}
            want = control if handler == BARE else {**SANDBOXED, **own}
            t.equal(said(ctr.log()), want, f"{n.name}: {kind.name}: {what}: its first process")
            if handler == BOX and n.strength == PLUGIN:
                want = {**control, **ENTERED, "mkdir": want["mkdir"]}
            for way, got in enter(ctr).items():
                t.equal(got, want, f"{n.name}: {kind.name}: {what}: {way}")
            end(pod, ctr)


def behaviour(t: Tap, n: Node) -> None:
    """A container is used as one without the sandbox is."""
    def all_of_it(handler: str) -> dict:
        out: dict = {}
        pod = n.c.pod(handler=handler)
        ctr, second = n.stay(pod), n.stay(pod)
        out["stdin"] = ctr.exec_stream("cat", stdin="a\nb").out
        out["exit status of an exec"] = [f("sh", "-c", "echo out; echo err >&2; exit 5").code for f in (ctr.exec, ctr.exec_stream, ctr.exec_tty)]
        out["a command that is not there"] = "refused" if refusal(ctr.exec, "/nope") or ctr.exec("/nope").code else "ran"
        out["an exec that takes too long"] = timeout(ctr)
        out["stats"] = n.c.cri("RuntimeService/ContainerStats", {"container_id": ctr.id})["stats"]["attributes"]["metadata"]["name"]
        n.c.cri("RuntimeService/UpdateContainerResources", {"container_id": ctr.id, "linux": {"memory_limit_in_bytes": 64 << 20}})
        out["update"] = limit(ctr)
        out["inspect"] = [ctr.state, second.state, ctr.inspect()["status"]["image"]["image"]]
        end(pod, ctr, second)
        pod = n.c.pod(handler=handler)
        trap = pod.container(n.image, ["sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done"]).start()
        wait_until(trap.log, "the trap")
        trap.stop(timeout=30)
        out["stop"] = [trap.wait(), trap.log()]
        trap.remove()
        out["a removed container"] = bool(refusal(trap.inspect))
        pod.remove()
        out["exit status"] = n.c.run(n.image, ["sh", "-c", "exit 5"], handler=handler).code
        return out

    control, boxed = all_of_it(BARE), all_of_it(BOX)
    want = {"stdin": "a\nb", "exit status": 5, "exit status of an exec": [5, 5, 5], "stop": [7, "up\nbye\n"], "an exec that takes too long": "ended",
            "update": 64 << 20, "a removed container": True}
    t.equal({k: control[k] for k in want}, want, f"{n.name}: control: it behaves as said")
    for what in control:
        t.equal(boxed[what], control[what], f"{n.name}: {what}: as without the sandbox")


def timeout(ctr: Container) -> str:
    """"ended" if a command that takes too long is given up, and is no longer there."""
    try:
        r = ctr.exec("sh", "-c", "exec sleep 4321", deadline=2)
        gone = r.code != 0
    except (CriError, Timeout):
        gone = True
    wait_until(lambda: "sleep 4321" not in ctr.exec("ps").out, "the command to be killed")
    return "ended" if gone else "not ended"


def limit(ctr: Container) -> int:
    """The memory limit of a container's cgroup, of either version."""
    groups = [line.split(":", 2) for line in Path(f"/proc/{ctr.pid}/cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        for file in (f"memory{path}/memory.limit_in_bytes" if "memory" in controllers.split(",") else f".{path}/memory.max",):
            if Path("/sys/fs/cgroup", file).exists():
                return int(Path("/sys/fs/cgroup", file).read_text())
    return 0


def annotations(t: Tap, n: Node) -> None:
    """Profiles by annotation; what is wrong is refused where people look."""
    strict = n.c.run(n.image, ["sh", "-c", "echo $NONO_PROFILE; tr '\\0' ' ' </proc/1/cmdline; true"], handler=BOX, annotations={"nono.sh/profile": "strict"})
    t.ok(strict.out.startswith("strict\n") and "/nono" not in strict.out and "wrap" not in strict.out,
         f"{n.name}: nono.sh/profile reaches it without allowed_annotations, and the command line is the workload's", strict)
    for value, reason in (("missing", "profile 'missing' does not exist on this node; there are: "), ("../default", "is not a profile name"), ("", "is not a profile name")):
        pod = n.c.pod(handler=BOX, annotations={"nono.sh/profile": value})
        got = refusal(pod.container, n.image, ["true"])
        t.ok(reason in got, f"{n.name}: profile '{value}': the CRI error says why", got)
        t.equal(refusal(pod.remove), "", f"{n.name}: profile '{value}': the pod can be removed")
    pod = n.c.pod(handler=BARE, annotations={"nono.sh/profile": "missing"})
    end(pod, pod.container(n.image, ["true"]).start())
    t.ok(True, f"{n.name}: control: out of scope it is nobody's business")


def pretenders(t: Tap, n: Node) -> None:
    """Pods and containers that claim to be a sandbox, which would be left alone, or ask crun for another kind of container."""
    def claims(pod_id: str) -> dict[str, dict[str, str]]:
        return {"CRI-O's": {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": pod_id},
                "containerd's": {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": pod_id},
                "crun's": {"run.oci.handler": "wasm", "module.wasm.image/variant": "compat"}}

    for family in claims(""):
        pod = n.c.pod(handler=BOX, annotations=claims("0" * 64)[family])
        for where, more in (("pod", {}), ("container", {"annotations": claims(pod.id)[family]})):
            try:
                ctr = n.stay(pod, **more)
                got = [said(ctr.log()), said(ctr.exec("sh", "-c", CHECK).out)]
                ctr.stop()
            except CriError as e:
                got = "refused" if "kata_annotations" in str(e) else str(e)
            ok = got == "refused" or got[0] == SANDBOXED and (n.strength == PLUGIN or got[1] == SANDBOXED)
            t.ok(ok, f"{n.name}: a {where} with {family} annotations: sandboxed, or refused", got)
        pod.remove()


# ---- faults ----


def plugin_faults(t: Tap, n: Node) -> None:
    """The plugin stopped, killed, hanging: with the guard no pod is ever bare, and it comes back by itself."""
    pod = n.c.pod(handler=BOX)
    before = n.stay(pod)
    for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
        n.plugin.send(sig)
        if sig != signal.SIGSTOP:
            n.plugin.process.wait(30)
        first, second = n.outcome(), n.outcome()
        t.ok(first == "sandboxed" or first not in ("bare",) and "nono" in first, f"{n.name}: plugin {sig.name}: the first pod is refused or sandboxed", first)
        t.equal(second, "sandboxed", f"{n.name}: plugin {sig.name}: the next one is sandboxed by the guard")
        t.equal(enter(before), dict.fromkeys(enter(before), SANDBOXED), f"{n.name}: plugin {sig.name}: what enters a running container is sandboxed")
        if sig == signal.SIGSTOP:
            connected = n.plugin.connections()
            n.plugin.send(signal.SIGCONT)
            n.plugin.wait_connected(connected)
        else:
            n.plugin.start()
        t.equal(n.outcome(), "sandboxed", f"{n.name}: plugin {sig.name}: back again")
    end(pod, before)


def restarts(t: Tap, n: Node) -> None:
    """CRI-O stopped and killed under running containers."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        pod = n.c.pod(handler=BOX)
        ctr = n.stay(pod)
        connected = n.plugin.connections() if n.plugin else 0
        n.c.restart(sig)
        t.equal(ctr.state, "running", f"{n.name}: CRI-O {sig.name}: the container lives on")
        if n.strength != PLUGIN:
            t.equal(enter(ctr), dict.fromkeys(enter(ctr), SANDBOXED), f"{n.name}: CRI-O {sig.name}: what enters it is sandboxed")
        if n.plugin:
            start = time.monotonic()
            n.plugin.wait_connected(connected)
            t.ok(n.plugin.process.poll() is None, f"{n.name}: CRI-O {sig.name}: the plugin is connected again, {time.monotonic() - start:.1f} s after CRI-O answers")
        end(pod, ctr)
        t.ok(True, f"{n.name}: CRI-O {sig.name}: it can be stopped and removed")
        new = n.c.pod(handler=BOX)
        ctr = n.stay(new)
        t.equal(said(ctr.log()), SANDBOXED, f"{n.name}: CRI-O {sig.name}: the next one is sandboxed")
        end(new, ctr)


def nothing_left(t: Tap, n: Node) -> None:
    """After all of it: the guard's records are gone, CRI-O's files for the runtime as well."""
    t.equal(n.c.cri("RuntimeService/ListContainers")["containers"], [], f"{n.name}: no container is left")
    where = [node.RECORDS, "/run/kubefence/domain", "/run/tmp"]
    found = n.c.sh(f"find {' '.join(where)} ! -type d 2>/dev/null", check=False).out.split()
    t.equal(found, [], f"{n.name}: no record, no domain, no file in TMPDIR is left")
    if n.plugin:
        left = [x.name for x in n.c.host(node.STATE).iterdir() if not x.name.startswith(".")]
        t.equal(left, [], f"{n.name}: the plugin has no state of a container left")


# ---- what CRI-O is ----


def readyz(n: Node) -> tuple[int, str]:
    h = http.client.HTTPConnection("nono-nri")
    h.sock = socket.socket(socket.AF_UNIX)
    h.sock.connect(str(n.c.host(f"{node.STATE}/.http")))
    h.request("GET", "/readyz")
    answer = h.getresponse()
    return answer.status, answer.read().decode()


def doctor(n: Node) -> dict[str, dict]:
    """The checks of kubefence doctor, on a node whose CRI-O is where packages put it."""
    n.c.sh(f"[ -e /usr/bin/crio ] || {{ mkdir -p {n.c.dir}/data/bin {n.c.dir}/data/bin.work && mount -t overlay -o "
           f"lowerdir=/usr/bin,upperdir={n.c.dir}/data/bin,workdir={n.c.dir}/data/bin.work bin /usr/bin && cp {n.c.bin}/crio /usr/bin/crio; }}")
    p = subprocess.run(n.c.inside([node.BIN / "kubefence", "doctor", "--distribution", "crio", "-o", "json"]), capture_output=True, text=True)
    return {check["description"]: check for category in json.loads(p.stdout)["categories"] for check in category["checks"]}


def what_is_there(t: Tap, n: Node) -> None:
    """The log, /readyz and doctor say what the runtime really takes, whatever its version promises."""
    refused = n.plugin.entries("events-refused")
    t.equal(len(refused), 0 if n.validates or n.strength == BOTH else 1, f"{n.name}: the log says once that events were refused, or not at all")
    code, text = readyz(n)
    # Containers that are refused are no sandbox: not ready.
    t.equal(code, 200 if n.validates or n.strength == BOTH else 503, f"{n.name}: /readyz")
    events = re.search(r"^events: (.*)$", text, re.MULTILINE)[1].split()
    # Where the guard sandboxes, no more than one request for a container.
    alone = {"StartContainer", "StopContainer", "RemoveContainer", *(["ValidateContainerAdjustment"] if n.validates else [])}
    t.equal(set(events), {"CreateContainer", *(() if n.strength == BOTH else alone)}, f"{n.name}: /readyz: events")
    t.ok(f"validation: {'yes' if n.validates else 'no, '}" in text, f"{n.name}: /readyz: validation", text)
    t.ok(f"without the guard: containers are {'sandboxed' if n.validates else 'refused'}" in text, f"{n.name}: /readyz: what it means", text)
    found = doctor(n)
    given = found["the runtime does what it asks for"]
    t.equal(given["result"], "success" if n.validates else "warning", f"{n.name}: doctor: what the runtime gives the plugin")
    t.ok(n.validates or "only the guard sandboxes" in given["error"], f"{n.name}: doctor: ... and what that means", given)
    version = found["its version allows plugin and guard"]
    t.equal(version["result"], "success" if n.validates else "warning", f"{n.name}: doctor: what its version promises")


def features(t: Tap, n: Node) -> None:
    """The guard hands the real runtime's features on."""
    handlers = {h["name"]: h.get("features") for h in n.c.cri("RuntimeService/Status")["runtime_handlers"]}
    t.equal(handlers.get(BOX), handlers[BARE], f"{n.name}: CRI-O knows of the guard's handler what it knows of the runtime's")
    if "runc" in n.name:
        t.ok(handlers[BOX]["user_namespaces"], f"{n.name}: ... user namespaces", handlers)


def refused_without_the_guard(t: Tap, n: Node) -> None:
    """A runtime that would drop the sandbox silently, and no guard: refused, never bare."""
    pod = n.c.pod(handler=BOX)
    got = refusal(n.stay, pod)
    t.ok("drops the sandbox silently" in got and "CRI-O 1.35, or install the guard" in got, f"{n.name}: a container of ours is refused, and what to do", got)
    t.equal(refusal(pod.remove), "", f"{n.name}: ... its pod can be removed")
    pod = n.c.pod(handler=BARE)
    ctr = n.stay(pod)
    t.equal(said(ctr.log()), FREE, f"{n.name}: control: out of scope it runs")
    end(pod, ctr)
    for sig in (signal.SIGTERM, signal.SIGKILL):
        connected = n.plugin.connections()
        n.c.restart(sig)
        n.plugin.wait_connected(connected)
        t.ok("drops the sandbox silently" in n.outcome(), f"{n.name}: CRI-O {sig.name}: the same")


# ---- whole nodes ----


def one(t: Tap, line: str, runtime: str, strength: str) -> None:
    start = time.monotonic()
    with Node(line, runtime, strength) as n:
        parts = [kinds, behaviour, annotations, pretenders, restarts, nothing_left]
        if strength == PLUGIN and not n.validates:
            parts = [refused_without_the_guard, nothing_left]
        if n.plugin:
            parts.insert(0, what_is_there)
        if strength != PLUGIN:
            parts.insert(0, features)
        if strength == BOTH:
            parts.insert(-1, plugin_faults)
        for part in parts:
            t.case(f"{n.name}: {part.__name__}", part, t, n)
    print(f"# {n.name}: {time.monotonic() - start:.0f} s", flush=True)


def pause(n: Node, handler: str, pod: Pod) -> dict[str, str]:
    """/proc/PID/status of a pod's infra container."""
    program = n.c.runc if handler == BARE else n.c.handlers[BOX]
    pid = json.loads(n.c.sh(f"{program} --root /run/{handler} state {pod.id}").out)["pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (x.partition(":") for x in lines)}


def infra(t: Tap, line: str, runtime: str) -> None:
    """Pods with an infra container, and those that share its process namespace."""
    with Node(line, runtime, BOTH, {"runtime": {"drop_infra_ctr": False}, "image": {"pause_image": PAUSE}}) as n:
        for what, mode in (("an infra container", 1), ("a shared process namespace", 0)):
            namespaces = {"security_context": {"namespace_options": {"network": 2, "pid": mode}}}
            for handler in (BARE, BOX):
                pod = n.c.pod(handler=handler, linux=namespaces)
                ctr = n.stay(pod, security=namespaces["security_context"])
                t.equal(pause(n, handler, pod)["NoNewPrivs"], "0", f"{n.name}: {what}: {handler}: the pause container is left alone")
                want = SANDBOXED if handler == BOX else FREE
                t.equal(said(ctr.log()), want, f"{n.name}: {what}: {handler}: the container is as it should be")
                for way, got in enter(ctr).items():
                    t.equal(got, want, f"{n.name}: {what}: {handler}: {way}")
                first = ctr.exec("sh", "-c", "tr '\\0' ' ' </proc/1/cmdline").out
                t.equal("sleep 3600" in first, mode == 0, f"{n.name}: {what}: {handler}: its process 1 is {'the pause' if mode == 0 else 'its own'}")
                end(pod, ctr)
        pretenders(t, n)
        nothing_left(t, n)


def required(t: Tap, line: str, runtime: str) -> None:
    """CRI-O's default validator: the annotation makes the plugin's absence an error of that pod."""
    with Node(line, runtime, PLUGIN, {"nri": {"default_validator": {"nri_enable_default_validator": True}}}) as n:
        def made(**options) -> str:
            pod = n.c.pod(handler=BOX, **options)
            try:
                ctr = n.stay(pod)
                return "sandboxed" if said(ctr.log()) == SANDBOXED else "bare" if said(ctr.log()) == FREE else str(said(ctr.log()))
            except CriError as e:
                return str(e)
            finally:
                end(pod, *[Container(pod, "", x["id"], 0) for x in n.c.cri("RuntimeService/ListContainers")["containers"]])

        t.equal(made(annotations=REQUIRED), "sandboxed", f"{n.name}: required and connected: sandboxed")
        for sig in (signal.SIGTERM, signal.SIGKILL):
            n.plugin.stop(sig)
            got = [made(annotations=REQUIRED) for _ in range(2)]
            t.ok('required plugin "nono-nri" not present' in got[1] and got[0] not in ("sandboxed", "bare"),
                 f"{n.name}: plugin {sig.name}: refused, and why", got)
            t.equal(made(), "bare", f"{n.name}: plugin {sig.name}: control: bare without the annotation")
            n.plugin.start()
        t.equal(made(annotations=REQUIRED), "sandboxed", f"{n.name}: back again")


# ---- under a kubelet ----


def exec_it(t: Tap, k: Cluster, name: str, want: str) -> None:
    """kubectl exec -it and -i, as people use them."""
    def typed(*flags: str) -> tuple[int, str]:
        master, slave = pty.openpty()
        cmd = k.c.inside(["env", f"KUBECONFIG={k.pki}/admin.kubeconfig", k.bin / "kubectl", "exec", *flags, name, "-c", "main", "--", "sh"])
        p = subprocess.Popen(cmd, stdin=slave if "-it" in flags else subprocess.PIPE, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        text = f"{cluster_pods.PROBE}; tty; exit 0\n".encode()
        if "-it" in flags:
            os.write(master, text)
        else:
            p.stdin.write(text)
            p.stdin.close()
        out = b""
        while select.select([master], [], [], 60)[0]:
            try:
                out += os.read(master, 65536)
            except OSError:  # nobody has the other end any more
                break
        os.close(master)
        return p.wait(60), out.decode(errors="replace").replace("\r", "")

    for flags, terminal in ((("-it",), "/dev/pts/"), (("-i",), "not a tty")):
        code, got = typed(*flags)
        t.ok(code == 0 and cluster_pods.verdicts(got) == [want] and terminal in got, f"kubectl exec {' '.join(flags)}: {name}: {want}", f"{code}: {got}")


def lasting(t: Tap, k: Cluster, plugin: node.Plugin) -> None:
    """A pod while the plugin is away and while CRI-O restarts under the kubelet."""
    for name, sandbox, want in (("lasting", True, "sandboxed"), ("lasting-control", False, "bare")):
        k.apply(cluster_pods.pod(name, sandbox=sandbox))
        k.wait_pod(name)
        exec_it(t, k, name, want)
    started = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    plugin.stop()
    k.apply(cluster_pods.pod("alone"))
    k.wait_pod("alone")
    t.equal(k.logs("alone").strip(), "sandboxed", "the plugin is stopped: the next pod is sandboxed by the guard")
    plugin.start()
    for sig in (signal.SIGTERM, signal.SIGKILL):
        connected = plugin.connections()
        k.c.restart(sig)
        plugin.wait_connected(connected)
        k.wait_pod("lasting")
        said_ = wait_until(lambda: k.exec("lasting", "sh", "-c", cluster_pods.PROBE).out.strip(), "an exec")
        t.equal(said_, "sandboxed", f"CRI-O {sig.name} under the kubelet: exec is sandboxed")
        name = f"after-{sig.name.lower()}"
        k.apply(cluster_pods.pod(name))
        k.wait_pod(name)
        t.equal(k.logs(name).strip(), "sandboxed", f"CRI-O {sig.name} under the kubelet: the next pod is sandboxed")
    now = k.get("pod", "lasting")["status"]["containerStatuses"][0]
    t.equal((now["containerID"], now["restartCount"]), (started, 0), "... and the first one's container is the same all along")
    names = [p["metadata"]["name"] for p in k.get("pods")["items"]]
    k.kubectl("delete", "pod", *names, "--wait=true", deadline=300)
    t.ok(True, "all of them are deleted")


def under_kubelet(t: Tap, line: str) -> None:
    """With runc, which has user namespaces; cluster/holds.py has crun."""
    def prepare(c: Crio) -> None:
        crun.install(c)
        crun.front(c, RUNTIMES["runc"], tools.program("runc"))
        node.install(c)

    c = Crio(LINES[line], network=True, handlers=node.GUARDED, runc=RUNTIMES["runc"], prepare=prepare)
    with Cluster(runtime=c) as k:
        c.load(images.busybox())
        plugin = node.Plugin(c).start()
        k.apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": BOX}, "handler": BOX})
        k.wait_handler(BOX)
        ok = t.ok
        t.ok = lambda good, name, detail="": ok(good, f"kubelet, CRI-O {line}: {name}", detail)
        try:
            cluster_pods.run(t, k)
            t.case("lasting", lasting, t, k, plugin)
            found = wait_until(lambda: c.sh(f"find {node.RECORDS} /run/kubefence/domain ! -type d", check=False).out == "", "the guard's records to go", 60)
            t.ok(found, "no record of the guard is left")
        finally:
            t.ok = ok


def with_the_chart(t: Tap, line: str) -> None:
    """The chart's pods on a node whose runtime is CRI-O: they set it up, sandbox, and leave it as it was."""
    def prepare(c: Crio) -> None:
        crun.front(c, RUNTIMES["runc"], tools.program("runc"))
        c.sh("mkdir -p /etc/crio/crio.conf.d")  # as packages do

    c = Crio(LINES[line], network=True, runc=RUNTIMES["runc"], prepare=prepare)
    with chart.Installed(t, c) as i:
        ok = t.ok
        t.ok = lambda good, name, detail="": ok(good, f"chart, CRI-O {line}: {name}", detail)
        try:
            t.case("install", chart.install, t, i)
            if i.ready() == "true":
                cluster_pods.run(t, i.k)
                for part in (chart.restarts, chart.disconnected, chart.uninstall):
                    t.case(part.__name__, part, t, i)
        finally:
            t.ok = ok


def run(t: Tap, *parts: str) -> None:
    lines = [x for x in parts if x in LINES] or LINES
    runtimes = [x for x in parts if x in RUNTIMES] or RUNTIMES
    what = [x for x in parts if x in (*STRENGTHS, KUBELET, CHART)] or (*STRENGTHS, KUBELET, CHART)
    for line in lines:
        for runtime in runtimes:
            for strength in (x for x in what if x in STRENGTHS):
                t.case(f"CRI-O {line}, {runtime}, {strength}", one, t, line, runtime, strength)
            if BOTH in what:
                t.case(f"CRI-O {line}, {runtime}: infra containers", infra, t, line, runtime)
            if PLUGIN in what and line not in BEFORE_VALIDATION:
                t.case(f"CRI-O {line}, {runtime}: required plugin", required, t, line, runtime)
        if KUBELET in what:
            t.case(f"CRI-O {line}, kubelet", under_kubelet, t, line)
        if CHART in what:
            t.case(f"CRI-O {line}, chart", with_the_chart, t, line)


if __name__ == "__main__":
    tap = Tap()
    run(tap, *sys.argv[1:])
    sys.exit(tap.done())

# SPDX-License-Identifier: Apache-2.0
"""What is denied in pods, told through the chart: the feed's DaemonSet on the kernel's own audit log, Events, kubectl nono.

The kernel sends its audit log to the machine's own network namespace alone, so this cluster lives in it."""
import json
import subprocess
import tarfile
import time
from pathlib import Path

from lib import auditlog, node
from lib.cri import Result, wait_until
from lib.tap import Tap

from . import pods
from .chart import CHART, NODE, SYSTEM, Installed

FEED = "app.kubernetes.io/component=denials"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:kf-kubefence-denials"
ON = ("denials.enabled=true", "denials.turnOnAudit=true", "denials.seccomp=true")
TEAM, OTHER = "team-a", "team-b"
# Writes @name into /etc, which no profile here allows, as often as it is asked to.
WAITS = "while :; do [ -e /out/go ] && {{ rm /out/go; echo x >/etc/{name}; }}; sleep 0.2; done"


class Told(Installed):
    """The cluster with the chart, and what the feed says."""

    def nono(self, *args: str, user: str = "admin", **options) -> Result:
        return self.k.kubectl("nono", *args, user=user, check=False, **options)

    def lines(self, *args: str, user: str = "admin") -> list[dict]:
        r = self.nono("logs", *args, "-o", "json", user=user)
        if r.code:
            raise RuntimeError(r.err)
        return [json.loads(line) for line in r.out.splitlines()]

    def told(self, path: str, *args: str) -> list[dict]:
        """Those about one path, once there are any."""
        return wait_until(lambda: [x for x in self.lines(*args) if x.get("path") == path], f"a denial of {path}", 60)

    def sandbox_events(self, pod: str, namespace: str) -> list[dict]:
        items = self.k.get("events", "-n", namespace, f"--field-selector=involvedObject.name={pod},reason=SandboxDenied")["items"]
        return items

    def feed(self) -> dict:
        """The feed's own pod, ready."""
        def ready():
            found = [p for p in self.pods(FEED) if not p["metadata"].get("deletionTimestamp") and
                     any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
            return found[0] if len(found) == 1 else None

        try:
            return wait_until(ready, "the feed's pod to be ready", 120)
        except Exception as e:
            raise RuntimeError(f"{e}\n{self.report()}") from e

    def doctor(self) -> dict:
        """What the node's own doctor says of the audit log."""
        r = self.k.c.sh(f"{node.BIN}/kubefence doctor -o json", check=False)
        return next(c for x in json.loads(r.out)["categories"] for c in x["checks"] if c["description"] == "denials can be audited")


def pair(name: str, namespace: str) -> dict:
    """A pod of an init container and two others, each with something of its own to be denied."""
    p = pods.pod(name, WAITS.format(name=f"{namespace}-main"), initContainers=[
        pods.container("first", f"echo x >/etc/{namespace}-first; true")])  # fmt: skip
    p["spec"]["containers"].append(pods.container("second", f"echo x >/etc/{namespace}-second; exec sleep 6000"))
    p["metadata"]["namespace"] = namespace
    return p


def turned_off(t: Tap, i: Told) -> None:
    """Installed, and not asked to turn anything on."""
    i.helm("install", "kf", str(CHART), values=("denials.enabled=true",))
    i.wait_ready()
    i.feed()
    for name in (TEAM, OTHER):
        i.k.kubectl("create", "namespace", name)
    t.equal(auditlog.status()["enabled"], 0, "denials.enabled alone: the kernel's audit log stays off")
    said = i.doctor()
    text = " ".join(map(str, said.values()))
    t.ok(said["result"] == "warning" and "log is off" in text and "--turn-on" in text, "... doctor on the node says so, and what to do", said)
    i.k.apply({**pods.pod("early", WAITS.format(name="early")), "metadata": {"name": "early", "namespace": TEAM}})
    i.k.wait_pod("early", namespace=TEAM)
    i.k.exec("early", "sh", "-c", "echo x >/etc/unseen", namespace=TEAM)


def turned_on(t: Tap, i: Told) -> None:
    i.helm("upgrade", "kf", str(CHART), "--wait", values=ON)
    i.feed()
    now = auditlog.status()
    t.equal((now["enabled"], now["limit"], now["wait"]), (1, 8192, 0), "turnOnAudit: it is on, and nobody waits for it")
    t.equal(i.doctor()["result"], "success", "... doctor agrees")
    i.k.exec("early", "touch", "/out/go", namespace=TEAM)
    told = i.told("/etc", "early", "-n", TEAM)
    t.equal([(x["namespace"], x["pod"], x["container"], x["what"]) for x in told], [(TEAM, "early", "main", "create")],
            "a container from before the log: its first process is known all the same, and what it was denied before is not told")


def attribution(t: Tap, i: Told) -> None:
    """Two pods of one name, their containers, and what enters."""
    k = i.k
    for namespace in (TEAM, OTHER):
        k.apply(pair("web", namespace))
    for namespace in (TEAM, OTHER):
        k.wait_pod("web", namespace=namespace)
        k.exec("web", "touch", "/out/go", container="main", namespace=namespace)
        k.exec("web", "sh", "-c", f"mkdir /{namespace}; echo x >/usr/{namespace}", container="second", namespace=namespace)
    want = {(ns, "web", c, "create", "/etc") for ns in (TEAM, OTHER) for c in ("first", "main", "second")}
    want |= {(ns, "web", "second", what, path) for ns in (TEAM, OTHER) for what, path in (("create", "/"), ("create", "/usr"))}

    def got(*args: str) -> set:
        return {(x["namespace"], x["pod"], x["container"], x["what"], x["path"]) for x in i.lines(*args) if x["pod"] == "web"}

    wait_until(lambda: want <= got(), "all of them", 60)
    t.equal(got(), want, "init container, both others and what enters: each is told of its own container, in its own namespace")
    t.equal(got("pod/web", "-n", TEAM), {x for x in want if x[0] == TEAM}, "kubectl nono logs POD: that pod's alone")
    there = {x["metadata"]["namespace"]: x["metadata"]["uid"] for x in k.get("pods", "-A")["items"] if x["metadata"]["name"] == "web"}
    t.equal({(x["namespace"], x["podUid"]) for x in i.lines() if x["pod"] == "web"}, set(there.items()), "... by the pods' own uids")
    t.equal({x["profile"] for x in i.lines() if x["pod"] == "web"}, {"default"}, "... under the profile that they have")
    t.equal(k.exec("web", "sh", "-c", "mount -t tmpfs x /tmp", container="second", namespace=TEAM).code != 0, True, "a mount is refused")
    told = wait_until(lambda: [x for x in i.lines("web", "-n", TEAM) if x["kind"] == "syscall"], "the refused call", 60)
    t.equal({(x["container"], x["syscall"]) for x in told}, {("second", "mount")}, "denials.seccomp: what seccomp refuses is told as well")


def follow(t: Tap, i: Told) -> None:
    p = subprocess.Popen(i.k.client(i.k.bin / "kubectl", "nono", "logs", "-f", "web", "-n", TEAM), stdout=subprocess.PIPE, text=True)
    try:
        begun = p.stdout.readline()
        t.ok("team-a/web" in begun, "kubectl nono logs -f prints what there is", begun)
        i.k.exec("web", "sh", "-c", "echo x >/bin/followed", container="second", namespace=TEAM)
        line = ""
        while "/bin" not in line:
            line = p.stdout.readline()
            if not line:
                break
        t.ok("sh may not create /bin" in line, "... and what comes, when it comes", line)
    finally:
        p.kill()
        p.wait()


def events(t: Tap, i: Told) -> None:
    """Few, on the pod, and they say what it was."""
    script = "for n in $(seq 40); do echo x >/bin/e$n; mkdir /usr/d$n; cat /run/secrets/kubernetes.io/serviceaccount/token; rm /bin/sh; done"
    i.k.exec("web", "sh", "-c", script, container="main", namespace=OTHER)

    def denials(found: list[dict]) -> list[dict]:
        return [json.loads(line) for e in found for line in e["metadata"]["annotations"]["nono.sh/denials"].splitlines()]

    def complete() -> list[dict]:
        found = i.sandbox_events("web", OTHER)
        return found if {"/etc", "/bin"} <= {x.get("path") for x in denials(found)} else []

    found = wait_until(complete, "Events on the pod", 120)
    uid = i.k.get("pod", "web", "-n", OTHER)["metadata"]["uid"]
    t.ok({e["involvedObject"]["uid"] for e in found} == {uid} and all(e["type"] == "Warning" for e in found), "Events are on the pod that it is about", found)
    t.ok(all(e["involvedObject"]["fieldPath"].startswith("spec.containers{") or "initContainers" in e["involvedObject"]["fieldPath"] for e in found),
         "... and name the container", found)
    t.ok(len(found) <= 3 * 3, "160 denials: not more than three Events for a container", [e["message"] for e in found])
    said = i.k.kubectl("get", "events", "-n", OTHER, "--field-selector=reason=SandboxDenied")
    t.ok("does not let 'sh' create" in said and "more; kubectl nono logs web tells more" in said, "kubectl get events shows them, and how to see more", said)
    told = denials(found)
    t.ok({x["pod"] for x in told} == {"web"} and all(x["podUid"] == uid for x in told), "... and they have the denials themselves", told)


def rights(t: Tap, i: Told) -> None:
    """What the feed's pod could do, and what its process still can."""
    p = i.feed()
    spec = p["spec"]
    caps = {c["name"]: c["securityContext"]["capabilities"] for c in spec["containers"] + spec["initContainers"]}
    t.equal(caps, {"denials": {"drop": ["ALL"], "add": ["AUDIT_READ"]}, "turn-on": {"drop": ["ALL"], "add": ["AUDIT_CONTROL"]}},
            "capabilities: AUDIT_READ; for turning it on AUDIT_CONTROL, in a container that has ended")

    def may(account: str) -> set[tuple]:
        said = i.k.kubectl("auth", "can-i", "--list", f"--as={account}", "-n", TEAM).splitlines()[1:]
        return {tuple(line.split()) for line in said}

    more = may(ACCOUNT) - may(f"system:serviceaccount:{SYSTEM}:default")
    t.equal({(x[0], x[-1]) for x in more}, {("events", "[create]")}, "its account may write Events and nothing else that any account may not")
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in spec["containers"][0]["volumeMounts"] if "serviceaccount" not in m["mountPath"]}
    t.equal(mounts, {"/run/kubefence": True, "/run/kubefence/denials": False}, "of the node it has the guard's records, to read, and its own directory")
    found = [d for d in Path("/proc").glob("[0-9]*") if _command(d).startswith("/usr/bin/kubefence\0denials\0--output")]
    t.ok(len(found) == 2, "two processes: one reads the log, one writes Events", [_command(d) for d in found])
    for d in found:
        status = dict(line.split(":\t", 1) for line in (d / "status").read_text().splitlines() if ":\t" in line)
        t.equal((int(status["CapEff"], 16), int(status["CapPrm"], 16), status["Seccomp"], status["NoNewPrivs"]), (0, 0, "2", "1"),
                "each has given up all capabilities, and most system calls")


def _command(d: Path) -> str:
    try:
        return (d / "cmdline").read_text()
    except OSError:
        return ""


def walk(t: Tap, i: Told) -> None:
    """Minutes 40 to 60: someone with "edit" in one namespace, and nobody to ask."""
    k = i.k
    k.user("alice")
    k.kubectl("create", "rolebinding", "alice", "-n", OTHER, "--clusterrole=edit", "--user=alice")
    build = "mkdir -p /usr/open/cache && echo x >/usr/open/cache/x && echo built"

    def start(name: str, **annotations: str) -> None:
        p = pods.pod(name, f"until ({build}); do sleep 2; done; exec sleep 6000", annotations=annotations)
        p["metadata"]["namespace"] = OTHER
        k.apply(p, user="alice")
        k.wait_pod(name, namespace=OTHER)

    start("build")
    wait_until(lambda: i.sandbox_events("build", OTHER), "an Event", 60)
    t.ok("Permission denied" in k.logs("build", namespace=OTHER), "her program says: Permission denied", k.logs("build", namespace=OTHER))
    explained = i.nono("explain", "build", "-n", OTHER, user="alice")
    t.ok(explained.code == 0 and "main: profile default" in explained.out, "first command, explain: which profile", explained)
    t.ok("strength   not known with these rights" in explained.out, "... what she may not see is said to be unknown", explained.out)
    told = i.nono("logs", "build", "-n", OTHER, user="alice")
    t.ok(told.code == 0 and "mkdir may not create /usr/open\n    would be allowed by {" in told.out, "second, logs: what was denied", told)
    suggested = i.nono("suggest", "build", "-n", OTHER, user="alice")
    t.ok(suggested.code == 0, "third, suggest: what to change", suggested)
    print("\n".join(f"# {line}" for line in (explained.out + told.out + told.err + suggested.out + suggested.err).splitlines()))
    learned = json.loads(suggested.out)
    t.equal((learned["extends"], learned["filesystem"]["grant"]), ("default", [{"path": "/usr/open", "access": "w"}]), "... and nothing else")
    for what, args in (("status", ["status", "-n", OTHER]), ("the others' pods", ["logs", "web", "-n", TEAM]), ("the others' pods", ["suggest", "web", "-n", TEAM])):
        r = i.nono(*args, user="alice")
        if what == "status":
            t.ok("nodes: not known with these rights" in r.out, "status: what she may not see is said to be unknown", r)
        else:
            t.ok(r.code == 1 and "not allowed" in r.err and TEAM not in r.out, f"{args[0]}: {what} are not hers to see", r)
    values = i.k.c.dir / "learned.json"
    values.write_text(json.dumps({"profiles": {"learned": {key: v for key, v in learned.items() if key != "meta"}}}))
    i.helm("upgrade", "kf", str(CHART), "--wait", "-f", str(values), values=ON)
    start("again", **{"nono.sh/profile": "learned"})
    wait_until(lambda: "built" in k.logs("again", namespace=OTHER), "the program to work", 60)
    t.ok("built" not in k.logs("build", namespace=OTHER), "under the profile that was suggested her program works; under the old one it still does not")


def pod_events(t: Tap, i: Told) -> None:
    """Who may not read the feed's log follows the Events."""
    p = subprocess.Popen(i.k.client(i.k.bin / "kubectl", "nono", "logs", "-f", "-n", OTHER, user="alice"), stdout=subprocess.PIPE, text=True)
    try:
        line = p.stdout.readline()
        t.ok(f"{OTHER}/" in line, "kubectl nono logs -f with \"edit\" prints what there is", line)
        i.k.exec("again", "sh", "-c", "echo x >/bin/watched", namespace=OTHER)
        while line and not ("/again" in line and "create /bin" in line):
            line = p.stdout.readline()
        t.ok(line, "... and what comes, when it comes")
    finally:
        p.kill()
        p.wait()


def looks(t: Tap, i: Told) -> None:
    """Pods that cannot start, and pods with rights against which the sandbox is no boundary: what explain, doctor and one look say."""
    k = i.k
    first = {**pods.container("first", "true"), "image": "localhost/none:1"}
    k.apply({**pods.pod("stuck", initContainers=[first]), "metadata": {"name": "stuck", "namespace": OTHER}})
    k.apply({**pods.pod("nowhere", nodeSelector={"example.org/none": "x"}), "metadata": {"name": "nowhere", "namespace": OTHER}})
    k.apply({**pods.pod("host", hostNetwork=True, main={"securityContext": {"privileged": True}}), "metadata": {"name": "host", "namespace": OTHER}})
    k.wait_pod("host", namespace=OTHER)

    def explained(pod: str, words: str, *more: str) -> Result:
        return wait_until(lambda: (r := i.nono("explain", pod, "-n", OTHER, *more, user="alice")).code == 0 and words in r.out and r, f"explain {pod}: {words}", 60)

    r = explained("stuck", "container first cannot start: ErrImageNeverPull")
    t.ok("first: profile default" in r.out and "main: profile default" in r.out, "explain: an init container that cannot start is named, with the reason", r.out)
    t.ok(explained("nowhere", "no node takes it: ").code == 0, "explain: a pod that no node takes says why")
    r = explained("host", "hostNetwork: the pod shares that with its node")
    t.ok("container main is privileged: no boundary against it" in r.out, "explain: what undoes a sandbox is warned about", r.out)
    for pod, sign in (("stuck", "×"), ("nowhere", "×"), ("host", "‼"), ("again", "√")):
        r = i.nono("explain", pod, "-n", OTHER, "-o", "short", user="alice")
        t.ok(r.out.startswith(f"{sign} {OTHER}/{pod}: profile ") and r.out.count("\n") == 1, f"explain -o short: {pod} at one look", r.out)
    r = i.nono("doctor")
    t.ok("1 privileged, 1 in their node's namespaces, such as team-b/host" in r.out, "doctor counts pods with such rights, and names one", r.out)
    r = i.nono("doctor", "-o", "short")
    t.ok("‼ sandboxed pods have no rights beyond the sandbox" in r.out and "√ nodes are ready for sandboxed pods" in r.out, "doctor -o short: the cluster at one look", r.out)
    r = i.nono("status", "-o", "short")
    t.ok("√ nodes: 1 of 1 ready" in r.out and "‼ pods:" in r.out, "status -o short: nodes and pods at one look", r.out)
    r = i.nono("status", "-o", "short", "-n", OTHER, user="alice")
    t.ok("‼ nodes: not known with these rights" in r.out, "... with the rights of one namespace", r.out)
    r = i.k.c.sh(f"{node.BIN}/kubefence doctor", check=False)
    t.ok("√ Landlock is available" in r.out and "√ denials can be audited" in r.out, "kubefence doctor: the node at one look", r.out)
    k.kubectl("delete", "pod", "-n", OTHER, "stuck", "nowhere", "host", "--wait=false")


# Where each is put; none may come out.
PLANTED = {where: f"planted-{where}-7f3a" for where in ("env", "secret", "annotation", "token", "configmap", "event", "registry", "node", "argument")}


def sysdump(t: Tap, i: Told) -> None:
    """Bug reports of a cluster and of a node that have secrets everywhere."""
    k, out = i.k, i.k.c.dir
    token = "ghp_" + PLANTED["token"].replace("-", "") * 2
    k.apply([
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "planted", "namespace": SYSTEM, "labels": {"app.kubernetes.io/part-of": "kubefence"}},
         "stringData": {"plain": PLANTED["secret"]}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "planted", "namespace": SYSTEM, "labels": {"app.kubernetes.io/part-of": "kubefence"}},
         "data": {"settings.toml": f'password = "{PLANTED["configmap"]}"\n', "login": f"https://u:{PLANTED['configmap']}@example.org/"}},
        {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "planted", "namespace": TEAM}, "type": "Warning", "reason": "Failed",
         "involvedObject": {"kind": "Pod", "namespace": TEAM, "name": "web"}, "message": f"login with token {token} and password={PLANTED['event']} failed"},
    ])  # fmt: skip
    k.kubectl("annotate", "node", NODE, f"example.org/bootstrap={PLANTED['node']}")
    k.kubectl("set", "env", "-n", SYSTEM, "daemonset/kf-kubefence-denials", f"PLAIN_NAME={PLANTED['env']}")
    k.kubectl("patch", "-n", SYSTEM, "daemonset", "kf-kubefence-denials", "-p", json.dumps(
        {"spec": {"template": {"metadata": {"annotations": {"example.org/note": PLANTED["annotation"]}}}}}))
    k.kubectl("rollout", "status", "-n", SYSTEM, "daemonset/kf-kubefence-denials", "--timeout=120s")
    i.feed()
    t.ok(i.lines("web", "-n", TEAM) is not None, "the feed is replaced, and read on")
    i.k.c.sh(f"printf '%s\\n' \"[plugins.'io.containerd.cri.v1.images'.registry.configs.'example.org'.auth]\" "
             f"\"  password = '{PLANTED['registry']}'\" >>/etc/containerd/config.toml")
    r = i.nono("sysdump", str(out / "cluster.tar"))
    t.ok(r.code == 0, "kubectl nono sysdump", r)
    r = i.k.c.sh(f"export PATH={i.k.c.bin}:$PATH; {node.BIN}/kubefence sysdump --file {out}/node.tar", check=False)
    t.ok(r.code == 0, "kubefence sysdump", r)
    for name, needs in (("cluster", ("nodes.json", "pods.json", "events.json", "logs-denials.txt")), ("node", ("doctor.txt", "denials.jsonl", "containerd-config.txt"))):
        with tarfile.open(out / f"{name}.tar") as tar:
            files = {m.name.split("/")[-1]: tar.extractfile(m).read().decode(errors="replace") for m in tar if m.isfile()}
        t.ok(all(files.get(x, "").strip() for x in needs) and '"denials' not in files.get("x", ""), f"{name}: it has what a report needs", {x: len(files.get(x, "")) for x in files})
        t.equal([(x, where) for x, text in files.items() for where, secret in {**PLANTED, "token": token}.items() if secret in text], [],
                f"{name}: nothing of what was planted is in it")
        failed = [(x, text[-300:]) for x, text in files.items() if "ended with" in text and name == "cluster"]
        t.equal(failed, [], f"{name}: kubectl answers all that is asked")


PARTS = (turned_off, turned_on, attribution, follow, events, rights, walk, pod_events, looks, sysdump)


def run(t: Tap) -> None:
    try:
        with auditlog.ours() as before:
            auditlog.set_status(0, before["limit"], before["wait"])
            with Told(t, own_network=False) as i:
                for part in PARTS:
                    start = time.monotonic()
                    t.case(f"denied: {part.__name__}", part, t, i)
                    print(f"# {part.__name__}: {time.monotonic() - start:.0f} s", flush=True)
    except auditlog.Unavailable as e:
        t.skip("denials in the audit log", str(e))

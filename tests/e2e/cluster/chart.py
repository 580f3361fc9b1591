# SPDX-License-Identifier: Apache-2.0
"""The chart's whole life on a real Kubernetes: install, use, upgrade, roll back, break, uninstall.

Nothing of the product is on the node beforehand.  containerd's restart is asked of a stand-in
for systemctl, which really restarts it; all else is what a user's cluster has."""
import json
import statistics
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

from lib import images, node
from lib.cluster import NODE, Cluster
from lib.cri import wait_until
from lib.runtime import Runtime
from lib.systemctl import Systemctl
from lib.tap import Tap

from . import examples, pods

CHART = node.ROOT / "charts/kubefence"
SYSTEM = "kube-system"
NAME = "ghcr.io/kubefence/nono-nri-plugin"
BURST = 50
PAIRS = 8
PLUGIN = "app.kubernetes.io/component=plugin"
SETUP = "app.kubernetes.io/component=node-setup"


class Installed:
    """A cluster, the image on its node, and Helm; on @crio instead of containerd, if given."""

    def __init__(self, t: Tap, crio: Runtime | None = None, **cluster):
        self.t, self.runtime = t, "CRI-O" if crio else "containerd"
        self.k = Cluster(runtime=crio, **cluster)
        # A test's CRI-O has images of localhost only.
        self.name = "localhost/kubefence/nono-nri-plugin" if crio else NAME
        self.k.c.handlers.pop("nono-runc")  # registering it is the chart's job
        self.version = (node.ROOT / "VERSION").read_text().strip()
        self.values = [
            f"image.repository={self.name}", f"image.tag={self.version}", "image.pullPolicy=Never", "helperImages.alpine=", "helperImages.busybox=",
        ]  # fmt: skip

    def __enter__(self) -> "Installed":
        self.k.__enter__()
        try:
            self._load()
        except BaseException:
            self.k.close()
            raise
        return self

    def _load(self) -> None:
        self.systemctl = Systemctl(self.k.c)
        out = self.k.c.dir / "image"
        arch = {"x86_64": "amd64", "aarch64": "arm64"}[subprocess.check_output(["uname", "-m"], text=True).strip()]
        subprocess.run([node.ROOT / "images/build.py", out, f"--arch={arch}={node.BIN}", f"--name={self.name}"], check=True, capture_output=True)
        self.k.c.load(images.Image(f"{self.name}:{self.version}", out.with_suffix(".tar")))
        self.k.c.load(images.busybox())
        self.before = self.state()

    def __exit__(self, *_) -> None:
        self.k.close()

    def state(self) -> dict:
        """What of the node the chart may change, and must put back."""
        c, there = self.k.c, self.k.get("node", NODE)
        return {
            "the runtime's configuration": c.sh(f"cat {c.config_path}").out,
            "/etc": c.sh("find /etc/containerd /etc/crio /etc/nri -printf '%p %m %U %G\\n' 2>/dev/null | sort", check=False).out,
            "/opt": c.sh("ls /opt").out,
            "labels": sorted(x for x in there["metadata"]["labels"] if "nono.sh" in x),
            "annotations": sorted(x for x in there["metadata"].get("annotations", {}) if "nono.sh" in x),
            "taints": there["spec"].get("taints", []),
            "conditions": sorted(x["type"] for x in there["status"]["conditions"]),
        }

    def helm(self, *args: str, line: str = "", values: tuple[str, ...] = (), **options):
        sets = [x for v in (*self.values, *values) for x in ("--set", v)] if args[0] in ("install", "upgrade") else []
        return self.k.helm(*args, "-n", SYSTEM, *sets, line=line, deadline=400, **options)

    def ready(self) -> str:
        return self.k.get("node", NODE)["metadata"]["labels"].get("nono.sh/ready", "")

    def condition(self) -> dict:
        found = [x for x in self.k.get("node", NODE)["status"]["conditions"] if x["type"] == "nono.sh/Ready"]
        return found[0] if found else {}

    def pods(self, selector: str) -> list[dict]:
        return self.k.get("pods", "-n", SYSTEM, "-l", selector)["items"]

    def wait_ready(self, want: str = "true", deadline: float = 120) -> None:
        try:
            wait_until(lambda: self.ready() == want, f"the node's label nono.sh/ready={want}", deadline)
        except Exception as e:
            raise RuntimeError(f"{e}\n{self.condition()}\n{self.report()}") from e

    def report(self) -> str:
        """What our pods say, for a failed test."""
        out = [self.k.kubectl("get", "pods", "-A", "-o", "wide", check=False).out]
        for p in self.k.get("pods", "-n", SYSTEM)["items"]:
            name = p["metadata"]["name"]
            out += [f"--- {name}", *self.k.events(name, SYSTEM),
                    self.k.kubectl("logs", "-n", SYSTEM, name, "--all-containers", "--tail=15", check=False).out]
        return "\n".join(out)

    def say(self, name: str, **options) -> str:
        """Run a pod to its end: what it printed first."""
        self.k.apply(pods.pod(name, pods.PROBE + "; echo $NONO_PROFILE", restartPolicy="Never", **options))
        self.k.wait_pod(name, "Succeeded")
        out = self.k.logs(name)
        self.k.kubectl("delete", "pod", name)
        return out.strip()


def install(t: Tap, i: Installed) -> None:
    start = time.monotonic()
    i.helm("install", "kf", str(CHART), line="")
    i.wait_ready()
    print(f"# {time.monotonic() - start:.1f} s from helm install to a ready node", flush=True)
    t.equal(i.systemctl.restarts, 1, f"node set-up configured {i.runtime} and had it restarted, once")
    i.k.wait_handler("nono-runc")
    wait_until(lambda: all(x["status"] == "True" for p in i.pods("app.kubernetes.io/instance=kf")
                           for x in p["status"]["conditions"] if x["type"] == "Ready"), "all pods of the chart to be ready", 60)
    labels = i.k.get("node", NODE)["metadata"]["labels"]
    t.ok(int(labels["nono.sh/landlock-abi"]) >= 1, "the node says its Landlock ABI", labels)
    t.equal((i.condition().get("status"), i.condition().get("reason")), ("True", "Ready"), "... and has the condition nono.sh/Ready")
    said = i.helm("test", "kf", "--logs", check=False)
    t.ok(said.code == 0, "helm test passes", said.out + said.err)
    t.ok("no-new-privs" in said.out, "... and shows what it tried", said.out)
    # containerd's restart may catch a container just being started; the kubelet then starts another.
    caught = (128, 137, 255)
    for selector in (PLUGIN, SETUP):
        ends = [s["lastState"].get("terminated", {}) for p in i.pods(selector) for s in p["status"]["containerStatuses"]]
        t.ok(all(not e or (e.get("exitCode") in caught and e.get("reason") != "OOMKilled") for e in ends),
             f"no container of {selector.split('=')[1]} ended by itself", f"{ends}\n{i.report()}")


def latency(t: Tap, i: Installed) -> None:
    """From the request to the first word of the container, by turns with and without the class."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for n in range(2 * PAIRS + 2):
        sandbox = bool(n % 2)
        name = f"lat{n}"
        start = time.time()
        i.k.apply(pods.pod(name, "echo up; exec sleep 600", sandbox=sandbox, terminationGracePeriodSeconds=0))
        i.k.wait_pod(name)
        stamp = i.k.logs(name, "--timestamps").split()[0]
        if n >= 2:  # the first ones warm caches
            times[sandbox].append(datetime.fromisoformat(stamp[:26] + "+00:00").timestamp() - start)
        i.k.kubectl("delete", "pod", name, "--wait=true")
    # The lower quartile: what other programs on the machine do only adds.
    plain, boxed = (statistics.quantiles(times[x])[0] * 1000 for x in (False, True))
    print(f"# start of a pod: {boxed:.0f} ms sandboxed, {plain:.0f} ms plain, {boxed - plain:+.0f} ms (lower quartile of {PAIRS})", flush=True)
    t.ok(plain > 0 and boxed > 0, "start latency is measured")


def refusals(t: Tap, i: Installed) -> None:
    """A profile that is not allowed: by admission, and by the node where admission only reports."""
    k = i.k
    bad = pods.pod("notallowed", annotations={"nono.sh/profile": "codex"})
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("config.allowedProfiles={default,strict}",))

    def refused() -> str:
        r = k.apply(bad, "--dry-run=server", check=False)
        return r.err if r.code else ""

    said = wait_until(refused, "admission to know the list", 60)
    t.ok("profile that is not allowed" in said and "default, strict" in said, "not allowed: refused at once, with the list", said)
    i.helm("upgrade", "kf", str(CHART), "--wait",
           values=("config.allowedProfiles={default,strict}", "admission.validationActions={Audit}"))
    wait_until(lambda: not refused(), "admission to report only", 60)
    k.apply(bad)
    wait_until(lambda: any("codex" in e and "allowed" in e for e in k.events("notallowed")), "the refusal in the pod's events", 60)
    t.ok(True, "not allowed: the node refuses in the pod's events")
    t.equal(k.get("pod", "notallowed")["status"]["phase"], "Pending", "... and nothing runs")
    k.kubectl("delete", "pod", "notallowed", "--wait=true")


def upgrade(t: Tap, i: Installed) -> None:
    k = i.k
    k.apply(pods.pod("lasting"))
    k.wait_pod("lasting")
    container = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    t.equal(i.say("first"), "sandboxed\ndefault", "before the upgrade: the profile default")
    restarts = i.systemctl.restarts
    revision = json.loads(i.helm("list", "-o", "json"))[0]["revision"]
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("config.defaultProfile=strict",))
    i.wait_ready()
    t.equal(i.say("second"), "sandboxed\nstrict", "after helm upgrade: the new default profile")
    t.equal(i.systemctl.restarts, restarts, "... without a restart of containerd")
    plugin = i.pods(PLUGIN)[0]["metadata"]["uid"]
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("config.defaultProfile=strict", "profiles.tiny.extends=default"))
    uid = i.pods(PLUGIN)[0]["metadata"]["uid"]
    t.equal(uid, plugin, "a profile of the administrator's needs no restart of the plugin")
    # The kubelet brings a ConfigMap's change within its sync period; until then the pod is refused and tried again.
    k.apply(pods.pod("tiny", "echo $NONO_PROFILE", annotations={"nono.sh/profile": "tiny"}, restartPolicy="Never"))
    k.wait_pod("tiny", "Succeeded", deadline=180)
    t.equal(k.logs("tiny").strip(), "tiny", "... and pods can name it")
    k.kubectl("delete", "pod", "tiny")
    i.helm("rollback", "kf", str(revision), "--wait")
    i.wait_ready()
    wait_until(lambda: i.say("third") == "sandboxed\ndefault", "the old default profile", 60)
    t.ok(True, "after helm rollback: the profile default again")
    now = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    t.equal(now, container, "the pod from before lives on through all of it")
    t.equal(k.exec("lasting", "sh", "-c", pods.PROBE).out.strip(), "sandboxed", "... and exec is sandboxed")
    k.kubectl("delete", "pod", "lasting")


def wrong_profiles(t: Tap, i: Installed) -> None:
    """A profile with a mistake: refused before anything changes; and where it was let through, seen."""
    k = i.k

    def state() -> tuple:
        data = k.get("configmap", "-n", SYSTEM, "kf-kubefence-profiles").get("data") or {}
        return sorted(data), k.get("daemonset", "-n", SYSTEM, "kf-kubefence")["metadata"]["generation"]

    def nono(*args: str):
        return k.tool(Path("/usr/bin/env"), f"PATH={k.bin}:/usr/bin:/bin", node.BIN / "kubectl-nono", *args, check=False)

    before = state()
    r = i.helm("upgrade", "kf", str(CHART), values=("profiles.bad.filesytem.read={/x}",), check=False)
    t.ok(r.code != 0 and "filesytem" in r.err, "a misspelt key of a profile: the schema refuses it", r)
    for values, says in ((("profiles.bad.extends=nosuch",), "nosuch"), (("config.defaultProfile=nosuch",), "nosuch")):
        r = i.helm("upgrade", "kf", str(CHART), values=values, check=False)
        t.ok(r.code != 0 and says in r.out + r.err, f"{values[0]}: the hook refuses it, and Helm shows why", r)
        t.equal(state(), before, "... nothing has changed")
        wait_until(lambda: not k.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=profile-check")["items"], "the hook's pod to go", 60)
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("profiles.fine.extends=strict",))
    t.equal(state()[0], ["fine.json"], "control: one without a mistake passes")
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("profiles.bad.extends=nosuch", "profileCheck=false"))
    wait_until(lambda: i.condition().get("reason") == "ProfilesRejected", "the node's condition to name it", 180)
    t.ok(i.condition()["status"] == "True" and "bad (" in i.condition()["message"], "a rejected profile is named in the node's condition", i.condition())
    r = nono("doctor")
    t.ok(r.code == 1 and "the chart's profiles are in force" in r.out and "bad (" in r.out, "... by kubectl nono doctor", r)
    t.ok("ProfilesRejected" in nono("status").out, "... and by status")
    i.helm("upgrade", "kf", str(CHART), "--wait")
    wait_until(lambda: i.condition().get("reason") == "Ready", "the condition without it", 180)
    t.ok(nono("doctor").code == 0, "once it is gone all is in order")


def namespaces(t: Tap, i: Installed) -> None:
    """A namespace's own profiles, where admission only reports: the node enforces them."""
    k = i.k
    i.helm("upgrade", "kf", str(CHART), "--wait", values=(
        "config.namespaces.default.defaultProfile=strict", "config.namespaces.default.allowedProfiles={workspace}", "admission.validationActions={Audit}"))
    wait_until(lambda: i.say("own") == "sandboxed\nstrict", "the namespace's default profile", 60)
    t.ok(True, "pods that name no profile get their namespace's default one")
    bad = pods.pod("notours", annotations={"nono.sh/profile": "codex"})
    wait_until(lambda: k.apply(bad, "--dry-run=server", check=False).code == 0, "admission to report only", 60)
    k.apply(bad)
    said = wait_until(lambda: next((e for e in k.events("notours") if "codex" in e), ""), "the refusal in the pod's events", 60)
    t.ok("not allowed on this node in namespace 'default'; allowed are: " in said and "strict" in said and "workspace" in said and "java-dev" not in said, "another one is refused by the node, with the namespace's list", said)
    k.kubectl("delete", "pod", "notours", "--wait=true")
    i.helm("upgrade", "kf", str(CHART), "--wait")
    wait_until(lambda: i.say("again") == "sandboxed\ndefault", "the node's default profile again", 60)


def verdicts(k: Cluster, selector: str) -> list[str]:
    """What the pods of a label said; only those that said something."""
    items = k.get("pods", "-l", selector)["items"]
    logs = [k.kubectl("logs", p["metadata"]["name"], check=False).out.strip() for p in items]
    return [x for x in logs if x]


def burst(t: Tap, i: Installed) -> None:
    """50 pods at once, the plugin's pod deleted among them."""
    k = i.k
    spec = pods.pod("x")
    template = {"metadata": {"labels": {"app": "burst"}}, "spec": {**spec["spec"], "terminationGracePeriodSeconds": 0}}
    k.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "burst"},
             "spec": {"replicas": BURST, "selector": {"matchLabels": {"app": "burst"}}, "template": template}})
    wait_until(lambda: verdicts(k, "app=burst"), "the first pod of the burst", 60)
    k.kubectl("delete", "pod", "-n", SYSTEM, "-l", PLUGIN, "--wait=false")
    wait_until(lambda: k.get("deployment", "burst")["status"].get("readyReplicas") == BURST, "all pods to be ready", 300)
    said = verdicts(k, "app=burst")
    t.equal(said, ["sandboxed"] * BURST, f"{BURST} pods at once, the plugin's pod deleted among them: all sandboxed")
    k.kubectl("delete", "deployment", "burst")
    wait_until(lambda: not k.get("pods", "-l", "app=burst")["items"], "the burst to be gone", 120)
    t.ok(True, "... and deleted")


def restarts(t: Tap, i: Installed) -> None:
    k = i.k
    k.apply(pods.pod("lasting"))
    k.wait_pod("lasting")
    started = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    k.c.restart()
    k.stop_kubelet()
    k.start_kubelet()
    k.wait_pod("lasting")
    i.wait_ready()
    now = k.get("pod", "lasting")["status"]["containerStatuses"][0]["containerID"]
    t.equal(now, started, f"{i.runtime} and kubelet restarted: the pod lives on")
    # The API server may still hold connections of the kubelet that is gone.
    said = wait_until(lambda: k.exec("lasting", "sh", "-c", pods.PROBE).out.strip(), "an exec", 60)
    t.equal(said, "sandboxed", "... exec is sandboxed")
    t.equal(i.say("later"), "sandboxed\ndefault", "... the next pod too")
    k.kubectl("delete", "pod", "lasting")


def disconnected(t: Tap, i: Installed) -> None:
    """No plugin on the node: it says so; the guard keeps pods in the sandbox where the annotation lets them start."""
    k = i.k
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("admission.requirePlugin=false",))
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"example.org/nowhere": "x"}}}}}
    k.kubectl("patch", "daemonset", "-n", SYSTEM, "kf-kubefence", "-p", json.dumps(nowhere))
    i.wait_ready("false")
    t.equal(i.condition().get("reason"), "PluginDisconnected", "the plugin is away: nono.sh/ready=false, and the condition says why")
    t.equal(i.say("alone"), "sandboxed\ndefault", "... the guard alone sandboxes the next pod")
    k.kubectl("patch", "daemonset", "-n", SYSTEM, "kf-kubefence", "--type=json",
              "-p", json.dumps([{"op": "remove", "path": "/spec/template/spec/nodeSelector/example.org~1nowhere"}]))
    i.wait_ready()
    t.ok(True, "the plugin is back: nono.sh/ready=true")


def drift(t: Tap, i: Installed) -> None:
    """Somebody else puts the old configuration back."""
    i.k.c.put("/etc/containerd/config.toml", i.before["the runtime's configuration"])
    wait_until(lambda: "nono-runc" in i.state()["the runtime's configuration"], "the handler to be there again", 60)
    i.wait_ready()
    t.equal(i.say("again"), "sandboxed\ndefault", "a configuration that loses the handler is put right")


def uninstall(t: Tap, i: Installed) -> None:
    """Refused while pods run, said which; the second one follows at once, before any agent has read that the first is over."""
    k = i.k
    for name in ("inuse", "crashing"):
        k.apply(pods.pod(name, "exit 3" if name == "crashing" else "exec sleep 3600"))
    k.wait_pod("inuse")
    wait_until(lambda: k.get("pod", "crashing")["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1, "a crash loop", 90)
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("nodeSetup.cleanupTimeout=45",))
    given = k.get("runtimeclass", "nono-runc")
    restarts = i.systemctl.restarts
    results: list = []
    first = threading.Thread(target=lambda: results.append(i.helm("uninstall", "kf", check=False)))
    first.start()
    wait_until(lambda: k.kubectl("get", "runtimeclass", "nono-runc", check=False).code != 0, "the RuntimeClass to go", 60)
    r = k.apply(pods.pod("late"), check=False)
    t.ok(r.code != 0 and "nono-runc" in r.err, "helm uninstall: the RuntimeClass goes first: a pod that names it is refused", r.err)
    first.join()
    t.ok(results[0].code != 0, "helm uninstall fails while sandboxed pods run", results[0].out)
    said = k.kubectl("logs", "-n", SYSTEM, "job/kf-kubefence-cleanup", check=False).out
    t.ok("default/crashing, default/inuse" in said and "uninstall again" in said and NODE in said,
         "... and names them, the crashing one too, and the next step", said)
    there = k.get("runtimeclass", "nono-runc")
    t.ok(there["handler"] == "nono-runc" and all(there["metadata"].get(x) == given["metadata"].get(x) for x in ("labels", "annotations")),
         "... the RuntimeClass is there again, Helm's as before", there)
    t.equal(k.exec("inuse", "sh", "-c", pods.PROBE).out.strip(), "sandboxed", "... the pod lives on, exec sandboxed")
    t.equal(i.systemctl.restarts, restarts, f"... and {i.runtime} was left alone")
    kept(t, i)
    second = threading.Thread(target=lambda: results.append(i.helm("uninstall", "kf", check=False)))
    second.start()
    second.join()
    t.ok(results[1].code != 0, "... and a later uninstall is refused as the first", results[1].out)
    k.kubectl("delete", "pod", "inuse", "crashing", "--wait=true", "--grace-period=1")
    gone(t, i, "")


def kept(t: Tap, i: Installed) -> None:
    """Who gives up uninstalling goes on with the release, by what the job's log and the page say."""
    revision = json.loads(i.helm("history", "kf", "-o", "json"))[-1]["revision"]
    r = i.helm("upgrade", "kf", str(CHART), check=False)
    t.ok(r.code != 0 and "no deployed releases" in r.err, "control: Helm upgrades no release that is half uninstalled", r.err)
    r = i.helm("rollback", "kf", str(revision), check=False)
    t.ok(r.code == 0, "... it rolls it back to its last revision", r.err)
    r = i.helm("upgrade", "kf", str(CHART), values=("nodeSetup.cleanupTimeout=45",), check=False)
    t.ok(r.code == 0, "... and upgrades it then", r.err)
    i.wait_ready()


def gone(t: Tap, i: Installed, line: str) -> None:
    helm = "Helm 3" if line else "Helm 4"
    restarts = i.systemctl.restarts
    r = i.helm("uninstall", "kf", "--wait", line=line, check=False)
    t.ok(r.code == 0, f"{helm}: uninstalled", r.err + i.report())
    wait_until(lambda: not i.pods("app.kubernetes.io/instance=kf"), "the chart's pods to be gone", 60)
    t.equal(i.systemctl.restarts, restarts + 1, f"{helm}: ... with one restart of {i.runtime}")
    after = i.state()
    for what, was in i.before.items():
        t.equal(after[what], was, f"{helm}: {what} as before")
    left = i.k.kubectl("get", "runtimeclass,clusterrole,clusterrolebinding,validatingadmissionpolicy,mutatingadmissionpolicy,"
                       "validatingadmissionpolicybinding,mutatingadmissionpolicybinding", "-o", "name").split()  # fmt: skip
    t.equal([x for x in left if "kubefence" in x or "nono" in x], [], f"{helm}: nothing is left in the cluster")
    left = i.k.kubectl("get", "all,configmap,serviceaccount,networkpolicy,role,rolebinding,job", "-n", SYSTEM, "-o", "name").split()
    t.equal([x for x in left if "kubefence" in x], [], f"{helm}: ... nor in the namespace")
    i.k.apply(pods.pod("plain", pods.PROBE, sandbox=False, restartPolicy="Never"))
    i.k.wait_pod("plain", "Succeeded")
    i.k.kubectl("delete", "pod", "plain")
    t.ok(True, f"{helm}: the node runs pods as before")


def other_helm(t: Tap, i: Installed) -> None:
    """The same with Helm 3, objects of another name, and pods that wait for a ready node; nothing of before holds it up."""
    i.helm("install", "kf", str(CHART), "--wait", "--set-string", "runtimeClasses.nonoRunc.nodeSelector.nono\\.sh/ready=true",
           line="3", values=("nodeSetup.taint=true", "fullnameOverride=boxes-kubefence"))
    i.wait_ready()
    t.equal(i.k.get("node", NODE)["spec"].get("taints", []), [], "Helm 3: the taint is gone once the node is ready")
    t.equal(i.say("three"), "sandboxed\ndefault", "Helm 3: a pod whose class asks for a ready node is sandboxed")
    r = i.helm("test", "kf", line="3", check=False)
    t.ok(r.code == 0, "Helm 3: helm test passes", r.out + r.err)
    gone(t, i, "3")


def run(t: Tap) -> None:
    with Installed(t) as i:
        t.case("install", install, t, i)
        if i.ready() != "true":
            print("\n".join(f"# {line}" for line in i.report().splitlines()))
            return
        pods.run(t, i.k)
        examples.run(t, i.k)
        for part in (latency, refusals, upgrade, wrong_profiles, namespaces, burst, restarts, disconnected, drift, uninstall, other_helm):
            start = time.monotonic()
            t.case(part.__name__.replace("_", " "), part, t, i)
            print(f"# {part.__name__}: {time.monotonic() - start:.0f} s", flush=True)

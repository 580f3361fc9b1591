# SPDX-License-Identifier: Apache-2.0
"""From the Go implementation's chart to ours, with "helm upgrade" on a real Kubernetes.

Its chart is predecessor/, in our own words; what it leaves on the node is what its scripts leave:
two NRI tables in containerd's configuration, scripts and a launcher in a directory of mode 0700."""
import json
import time
from pathlib import Path

from lib import images
from lib.cri import wait_until
from lib.tap import Tap

from . import pods
from .chart import CHART, PLUGIN, SYSTEM, Installed

GO = Path(__file__).with_name("predecessor")
CONFIG = "/etc/containerd/config.toml"
KINDS = "daemonset,pod,configmap,serviceaccount,networkpolicy,job"
WIDE = "runtimeclass,clusterrole,clusterrolebinding,validatingadmissionpolicy,mutatingadmissionpolicy"


def objects(i: Installed) -> dict[str, str]:
    """Every object that an upgrade could touch, with its version."""
    names = {}
    for args in ((KINDS, "-n", SYSTEM), (WIDE,)):
        for x in i.k.get(*args)["items"]:
            ours = any("kubefence" in str(v) for v in x["metadata"].get("labels", {}).values())
            if ours and x["kind"] != "Pod":
                names[f"{x['kind']}/{x['metadata']['name']}"] = json.dumps(x.get("spec", x.get("data", x.get("handler"))), sort_keys=True)
    return names


def directory(i: Installed) -> str:
    return i.k.c.sh("cd /opt/nono-nri 2>/dev/null && find . -printf '%p %m %U %G\\n' | sort && find . -type f | sort | xargs sha256sum", check=False).out


def go_installed(i: Installed, *values: str) -> None:
    busybox = images.busybox().ref
    sets = [f"helperImages.alpine={busybox}", f"helperImages.busybox={busybox}", "image.pullPolicy=Never", *values]
    i.k.helm("install", "kf", str(GO), "-n", SYSTEM, "--wait", "--timeout=120s", *(x for s in sets for x in ("--set", s)), deadline=150)
    wait_until(lambda: "runtimes.nono-runc" in i.k.c.sh(f"cat {CONFIG}").out, "the Go chart's node set-up", 60)


def control(t: Tap, i: Installed) -> None:
    r = i.k.c.sh(f"/opt/containerd/bin/containerd --config {CONFIG} config dump", check=False)
    t.ok(r.code != 0 and "already exists" in r.err + r.out, "control: containerd would not start with what its chart leaves", r.err[-300:])
    t.ok("700" in i.k.c.sh("stat -c %a /opt/nono-nri").out and "python3" in directory(i), "control: its directory is closed, scripts lie in it", directory(i))


def refused(t: Tap, i: Installed) -> None:
    """What cannot be done is refused before anything is changed, with the commands that do it."""
    go_installed(i, "odd=true")
    before, node = objects(i), i.k.c.sh(f"cat {CONFIG}").out + directory(i)
    r = i.helm("upgrade", "kf", str(CHART), check=False)
    said = r.out + r.err
    t.ok(r.code != 0 and f"kubectl delete daemonset -n {SYSTEM} kf-kubefence" in said and "same helm command again" in said,
         "a selector that cannot become ours: refused, with the two commands", said)
    t.equal(objects(i), before, "... and no object was changed")
    t.equal(i.k.c.sh(f"cat {CONFIG}").out + directory(i), node, "... nor the node")
    r = i.k.helm("upgrade", "kf", str(CHART), "-n", SYSTEM, "--reuse-values", check=False)
    t.ok(r.code != 0 and "admission" in r.out + r.err, "--reuse-values alone, which knows none of our values: refused", r.out + r.err)
    t.equal(objects(i), before, "... and no object was changed")
    i.k.kubectl("delete", "daemonset", "-n", SYSTEM, "kf-kubefence")
    i.helm("upgrade", "kf", str(CHART), "--wait")
    i.wait_ready()
    t.equal(i.say("odd"), "sandboxed\ndefault", "the two commands do it: a pod is sandboxed")
    i.helm("uninstall", "kf", "--wait")
    wait_until(lambda: not i.pods("app.kubernetes.io/instance=kf"), "the chart's pods to be gone", 60)


def upgraded(t: Tap, i: Installed) -> None:
    # The node as its owner has it, without anything of the refusal's.
    i.k.c.put(CONFIG, i.before["the runtime's configuration"])
    i.k.c.sh("rm -rf /opt/nono-nri")
    go_installed(i)
    control(t, i)
    left, config = directory(i), i.k.c.sh(f"cat {CONFIG}").out
    restarts = i.systemctl.restarts
    start = time.monotonic()
    i.helm("upgrade", "kf", str(CHART), "--wait", "--reset-then-reuse-values")
    i.wait_ready()
    print(f"# {time.monotonic() - start:.0f} s from helm upgrade to a ready node", flush=True)
    i.k.wait_handler("nono-runc")
    selector = i.k.get("daemonset", "-n", SYSTEM, "kf-kubefence")["spec"]["selector"]["matchLabels"]
    t.ok("app.kubernetes.io/component" not in selector, "helm upgrade from the Go chart: the DaemonSet was changed in place", selector)
    names = [c["image"] for p in i.pods("app.kubernetes.io/instance=kf") for c in p["spec"]["containers"]]
    t.ok(len(i.pods(PLUGIN)) == 1 and all("busybox" not in x for x in names), "... and only our pods are left of it", names)
    t.equal(i.systemctl.restarts, restarts + 1, "... with one restart of containerd")
    t.equal(i.say("moved"), "sandboxed\ndefault", "... a pod of the class is sandboxed")
    r = i.helm("test", "kf", check=False)
    t.ok(r.code == 0, "... helm test passes", r.out + r.err)
    logs = "".join(i.k.kubectl("logs", "-n", SYSTEM, p["metadata"]["name"], "-c", "node-setup", check=False).out
                   for p in i.pods("app.kubernetes.io/component=node-setup"))
    t.ok('"repaired"' in logs and '"cleaned"' in logs, "... and node set-up's log says what was taken out", logs[-3000:])
    t.ok("python3" not in directory(i) and "755" in i.k.c.sh("stat -c %a /opt/nono-nri").out, "... its scripts are gone, the launcher can be reached")
    i.k.c.restart()
    i.wait_ready()
    t.equal(i.say("restarted"), "sandboxed\ndefault", "... containerd starts again with what is there now")
    i.helm("upgrade", "kf", str(CHART), "--wait", values=("config.defaultProfile=strict",))
    wait_until(lambda: i.say("again") == "sandboxed\nstrict", "the new default profile", 60)
    t.ok(True, "the next upgrade goes through as well")
    i.helm("uninstall", "kf", "--wait")
    wait_until(lambda: not i.pods("app.kubernetes.io/instance=kf"), "the chart's pods to be gone", 60)
    t.equal(directory(i), left, "uninstalled: its directory is as it was, scripts, launcher and mode")
    second = config.index('\n[plugins."io.containerd.nri.v1.nri"]')
    handler = config.index('\n[plugins."io.containerd.grpc.v1.cri"')
    t.equal(i.k.c.sh(f"cat {CONFIG}").out, config[:second] + config[handler:], "... containerd's configuration too, less the table that kept it from starting")
    after = i.state()
    for what in ("labels", "annotations", "taints", "conditions"):
        t.equal(after[what], i.before[what], f"... {what} as before")
    i.k.apply(pods.pod("plain", pods.PROBE, sandbox=False, restartPolicy="Never"))
    i.k.wait_pod("plain", "Succeeded")
    t.equal(i.k.logs("plain").strip(), "bare", "... and the node runs pods as before")


def run(t: Tap) -> None:
    with Installed(t) as i:
        for part in (refused, upgraded):
            start = time.monotonic()
            try:
                t.case(f"migrate: {part.__name__}", part, t, i)
            finally:
                print(f"# {part.__name__}: {time.monotonic() - start:.0f} s", flush=True)

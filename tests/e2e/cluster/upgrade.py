# SPDX-License-Identifier: Apache-2.0
"""From this release to the next one, on a running cluster, with pods running through it, and back.

The next one is this tree as version 0.(N+1).0, built of its own: chart, plugin, guard, launcher and command line have that
version. Pods that run do not notice; pods that start meanwhile are sandboxed or refused, never bare; what enters a pod is
sandboxed all the time. Versions one minor apart are told and work; further apart they are an error."""
import fcntl
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from lib import images, node, tools
from lib.cri import Result, wait_until
from lib.tap import Tap

from . import chart, pods

COUNT = "n=0; while :; do n=$((n+1)); echo $n >/out/n; sleep 0.1; done"


def following(version: str) -> str:
    major, minor, _ = version.split(".", 2)
    return f"{major}.{int(minor) + 1}.0"


def next_release(version: str) -> Path:
    """A tree of that version, built. It stays in the cache, where the next run builds what has changed."""
    tree = tools.cache() / "next-release"
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / ".next-release.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=node.ROOT, check=True, capture_output=True)
        wanted = [n for n in names.stdout.decode().split("\0") if n and (node.ROOT / n).is_file()]
        for old in tree.rglob("*") if tree.is_dir() else ():
            name = str(old.relative_to(tree))
            if old.is_file() and not name.startswith("out/") and name not in wanted:
                old.unlink()
        for name in wanted:
            text = (node.ROOT / name).read_bytes()
            if name == "VERSION":
                text = f"{version}\n".encode()
            elif name == "NEWS.md":
                text = re.sub(rb"^## ", f"## {version} (unreleased, 2027-01-01)\n\nThe next one.\n\n## ".encode(), text, count=1, flags=re.MULTILINE)
            elif name == "charts/kubefence/Chart.yaml":
                text = re.sub(rb'^(version: |appVersion: ")[0-9.]+', lambda m: m[1] + version.encode(), text, flags=re.MULTILINE)
            to = tree / name
            if not to.is_file() or to.read_bytes() != text:  # ninja goes by the time
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(text)
            shutil.copymode(node.ROOT / name, to)
        p = subprocess.run(["make", "-s"], cwd=tree, capture_output=True, text=True)
        if p.returncode:
            raise RuntimeError(f"the next release does not build: {(p.stdout + p.stderr)[-3000:]}")
    return tree


class Watch(threading.Thread):
    """Enters a pod and starts others, all the time; what each one found itself in."""

    def __init__(self, i: chart.Installed):
        super().__init__(daemon=True)
        self.i, self.entered, self.failed, self.started, self.ended = i, [], [], 0, threading.Event()

    def run(self) -> None:
        k = self.i.k
        while not self.ended.is_set():
            r = k.exec("lasting", "sh", "-c", pods.PROBE)
            (self.failed if r.code else self.entered).append(r.out.strip() or r.err.strip())
            name = f"during-{self.started}"
            made = pods.pod(name, pods.PROBE, restartPolicy="Never")
            made["metadata"]["labels"] = {"app": "during"}
            if k.apply(made, check=False).code == 0:
                self.started += 1
            self.ended.wait(0.5)

    def end(self) -> None:
        self.ended.set()
        self.join()


def kubectl_nono(i: chart.Installed, tree: Path, *args: str) -> Result:
    return i.k.tool(Path("/usr/bin/env"), f"PATH={i.k.bin}:/usr/bin:/bin", tree / "out/bin/kubectl-nono", *args, check=False)


def on_node(i: chart.Installed) -> dict[str, str]:
    said = {"launcher": [node.LAUNCHER, "--version"], "guard": [node.GUARD, "--kubefence-version"]}
    return {name: i.k.c.sh(" ".join(command)).out.split()[-1] for name, command in said.items()}


def doctor_line(text: str, check: str) -> str:
    return next((line for line in text.splitlines() if check in line), "")


def change(t: Tap, i: chart.Installed, what: str, to: str, act) -> None:
    """act() changes the release; nothing that runs notices."""
    k = i.k
    before = k.get("pod", "lasting")["status"]["containerStatuses"][0]
    counted = int(k.exec("lasting", "cat", "/out/n").out)
    restarts = i.systemctl.restarts
    watch = Watch(i)
    watch.start()
    start = time.monotonic()
    try:
        act()
        wait_until(lambda: on_node(i) == {"launcher": to, "guard": to}, f"launcher and guard {to} on the node", 180)
        i.wait_ready()
        wait_until(lambda: all(c["image"].endswith(f":{to}") for p in i.pods("app.kubernetes.io/instance=kf")
                               for c in p["spec"]["containers"] if p["metadata"].get("deletionTimestamp") is None), f"all pods of {to}", 180)
    finally:
        watch.end()
    print(f"# {what}: {time.monotonic() - start:.0f} s, {watch.started} pods started and {len(watch.entered)} times entered meanwhile", flush=True)
    after = k.get("pod", "lasting")["status"]["containerStatuses"][0]
    t.equal((after["containerID"], after["restartCount"]), (before["containerID"], before["restartCount"]), f"{what}: the running pod is not restarted")
    t.ok(int(k.exec("lasting", "cat", "/out/n").out) > counted, f"{what}: ... and went on")
    t.equal(i.systemctl.restarts, restarts, f"{what}: the container runtime is not restarted")
    t.ok(watch.entered and set(watch.entered) == {"sandboxed"}, f"{what}: what entered it meanwhile was sandboxed", f"{set(watch.entered)} {set(watch.failed)}")
    t.equal(watch.failed, [], f"{what}: ... and nothing was refused")

    def verdicts() -> list[str]:
        found = chart.verdicts(k, "app=during")
        return found if len(found) == watch.started else []

    said = wait_until(verdicts, "all pods that were started meanwhile to say what they are", 240)
    t.equal(set(said), {"sandboxed"}, f"{what}: {len(said)} pods that started meanwhile are sandboxed")
    k.kubectl("delete", "pods", "-l", "app=during", "--wait=true", deadline=240)
    t.equal(i.say(f"after-{to.replace('.', '-')}").split()[0], "sandboxed", f"{what}: so are pods afterwards")


def skew(t: Tap, i: chart.Installed, tree: Path, old: str, new: str) -> None:
    """The next release's programs look at this one's cluster and node."""
    r = kubectl_nono(i, tree, "doctor")
    line = doctor_line(r.out, "everything is of one version")
    t.ok(r.code == 0 and line.startswith("warning") and f"the chart is {old}, this program {new}" in line, "kubectl nono of the next release works, and tells", r)
    said = i.k.c.sh(f"{tree}/out/bin/kubefence doctor", check=False).out
    t.ok(doctor_line(said, "all programs are of one version").startswith("‼") and f"is {old}, this program {new}: neighbours" in said,
         "kubefence doctor on the node tells the same", said)


def too_far(t: Tap, i: chart.Installed, tree: Path) -> None:
    """As if the chart were of another time. Last, since Helm does not take a label that somebody else has set."""
    i.k.kubectl("label", "-n", chart.SYSTEM, "daemonset", "kf-kubefence", "app.kubernetes.io/version=0.99.0", "--overwrite")
    r = kubectl_nono(i, tree, "doctor")
    line = doctor_line(r.out, "everything is of one version")
    t.ok(r.code == 1 and line.startswith("error") and "one minor version at a time" in line, "a chart that is further away is an error", r)


def run(t: Tap) -> None:
    old = (node.ROOT / "VERSION").read_text().strip()
    new = following(old)
    tree = next_release(new)
    with chart.Installed(t) as i:
        out = i.k.c.dir / "next"
        arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        subprocess.run([tree / "images/build.py", out, f"--arch={arch}={tree}/out/bin", f"--name={i.name}"], check=True, capture_output=True)
        i.k.c.load(images.Image(f"{i.name}:{new}", out.with_suffix(".tar")))
        i.helm("install", "kf", str(chart.CHART))
        i.wait_ready()
        i.k.wait_handler("nono-runc")
        t.equal(on_node(i), {"launcher": old, "guard": old}, f"control: the node has {old}")
        i.k.apply(pods.pod("lasting", COUNT))
        i.k.wait_pod("lasting")
        wait_until(lambda: i.k.exec("lasting", "cat", "/out/n").code == 0, "the pod to count")
        skew(t, i, tree, old, new)
        revision = "1"
        change(t, i, f"{old} to {new}", new,
               lambda: i.helm("upgrade", "kf", str(tree / "charts/kubefence"), "--wait", values=(f"image.tag={new}",)))
        r = kubectl_nono(i, tree, "doctor")
        t.ok(doctor_line(r.out, "everything is of one version").startswith("ok"), "afterwards all is of one version", r)
        change(t, i, f"back to {old}", old, lambda: i.helm("rollback", "kf", revision, "--wait"))
        too_far(t, i, tree)

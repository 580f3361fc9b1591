# SPDX-License-Identifier: Apache-2.0
"""The guard as its callers call it: conmon for CRI-O, containerd's shim."""
import json
import os
import shutil
import subprocess
import sys
import time

from lib_guard import DEADLINE, PROBE, SANDBOXED, answers, summed, Result
from parts import main

from lib import images, node as installed
from lib.containerd import Containerd, CriError


def wait(path):
    end = time.monotonic() + DEADLINE
    while not (path.exists() and path.read_text()):
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)
    return path.read_text()


class Conmon:
    """conmon with the command line of CRI-O's runtime_oci.go."""

    def __init__(self, node, bare=False):
        self.node, self.runtime = node, node.runtime if bare else str(node.guard_path)
        self.dir = node.dir / f"conmon-{node.id()}"
        (self.dir / "exits").mkdir(parents=True)

    def run(self, cid, b, *more):
        cmd = ["conmon", "--log-level=error", "-b", str(b.dir), "-c", cid, "-n", "k8s_app", "-u", cid,
               "-r", self.runtime, f"--runtime-arg=--root={self.node.root}", "--exit-dir", str(self.dir / "exits"),
               "-l", f"k8s-file:{self.dir}/log", "-P", str(self.dir / "conmon.pid"), "-p", str(self.dir / "pid"), "--socket-dir-path", str(self.dir), *more]
        return self.call(cmd)

    def call(self, cmd):
        """Run conmon with its sync pipe; what it reported."""
        r, w = os.pipe()
        p = subprocess.Popen(cmd, env={**os.environ, "_OCI_SYNCPIPE": str(w)}, pass_fds=[w],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(w)
        with os.fdopen(r) as f:
            line = f.readline()
        p.wait(DEADLINE)
        return json.loads(line)

    def exec(self, cid, *args):
        spec = self.dir / "spec.json"
        spec.write_text(json.dumps({"args": list(args), "cwd": "/work", "env": ["PATH=/bin", "HOME=/home/user"],
                                    "user": {"uid": 0, "gid": 0}}))
        log, pid = self.dir / "exec.log", self.dir / "exec.pid"
        for f in (log, pid, self.dir / "exits" / f"{cid}-exec"):
            f.unlink(missing_ok=True)
        said = self.call(["conmon", "--log-level=error", "-c", cid, "-n", "k8s_app", "-u", cid, "-r", self.runtime,
                          f"--runtime-arg=--root={self.node.root}", "-p", str(pid), "-e", "--exec-process-spec", str(spec),
                          "-l", f"k8s-file:{log}", "--socket-dir-path", str(self.dir)])
        return said, log


def text(log):
    return "".join(line.split(" ", 3)[3] for line in log.read_text().splitlines(True) if line.count(" ") >= 3)


def crio(cid, type_="container", sandbox="pod"):
    return {"io.kubernetes.cri-o.ContainerType": type_, "io.kubernetes.cri-o.SandboxID": sandbox, "io.kubernetes.pod.name": "web",
            "io.kubernetes.pod.namespace": "ns", "io.kubernetes.pod.uid": "uid", "io.kubernetes.container.name": "app"}


def conmon(t, node):
    if not shutil.which("conmon"):
        sys.exit("Bail out! conmon is not installed; run scripts/bootstrap test")
    c = Conmon(node)
    cid = node.id()
    b = node.bundle(["sh", "-c", PROBE])
    b.config["annotations"] = crio(cid)
    said = c.run(cid, b.write())
    t.ok(said.get("pid", -1) > 0, "conmon creates through the guard", said)
    t.equal(node.call("start", cid).code, 0, "start")
    t.equal(wait(c.dir / "exits" / cid), "0", "conmon sees it exit")
    t.equal(answers(Result(0, text(c.dir / "log"), "")), SANDBOXED, "it was sandboxed")
    t.equal(node.delete(cid).code, 0, "delete")

    cid = node.id()
    b = node.bundle(["sleep", "3600"])
    b.config["annotations"] = crio(cid)
    c = Conmon(node)
    c.run(cid, b.write())
    node.call("start", cid)
    said, log = c.exec(cid, "sh", "-c", PROBE + "; echo done=yes")
    t.ok(said.get("pid", -1) > 0 or said.get("exit_code") == 0, "conmon executes through the guard", said)
    end = time.monotonic() + DEADLINE
    while "done=yes" not in log.read_text() and time.monotonic() < end:
        time.sleep(0.01)
    got = answers(Result(0, text(log), ""))
    got.pop("done", None)
    t.equal(got, SANDBOXED, "exec is sandboxed")

    cid = node.id()
    b = node.bundle(["true"])
    b.config["annotations"] = {**crio(cid), "nono.sh/profile": "missing"}
    said = Conmon(node).run(cid, b.write())
    t.ok(said.get("pid", 0) < 0 and "missing" in said.get("message", ""), "a refusal's reason reaches conmon's caller", said)

    cid = node.id()
    b = node.bundle(["sleep", "3600"])
    b.config["annotations"] = crio(cid, "sandbox", cid)
    said = Conmon(node).run(cid, b.write())
    t.ok(said.get("pid", -1) > 0 and b.read() == b.original, "CRI-O's infra container passes untouched", said)


def readonly(t, c, image):
    """Two containers of a pod with one volume: what others execute is kept, until the last one is removed."""
    c.sh("mkdir -p /volume/.git/hooks && echo mine >/volume/.git/hooks/old && echo mine >/volume/.git/config")
    files = "cd /volume && find . | sort"
    before = c.sh(files).out
    pod = c.pod("agents", handler="nono-runc", annotations={"nono.sh/profile": "claude-code"})
    both = [pod.container(image, ["sleep", "3600"], name=name, env={"HOME": "/home/user"}, cwd="/work", mounts=[("/volume", "/work")])
            for name in ("one", "two")]
    for ctr in both:
        ctr.start()
    attack = ("cd /work; for f in .git/hooks/pre-commit .git/config .mcp.json .vscode/tasks.json made; do (echo x >$f) 2>/dev/null && echo $f; done; "
              "mv .git g 2>/dev/null && echo moved; cat .git/config .git/hooks/old")
    t.equal([ctr.exec("sh", "-c", attack).out for ctr in both], ["made\nmine\nmine\n"] * 2, "git's files are kept on a pod's volume")
    both[0].stop()
    both[0].remove()
    t.equal(both[1].exec("sh", "-c", attack).out, "made\nmine\nmine\n", "also when another container of the pod is gone")
    pod.remove()
    t.equal(c.sh(f"rm /volume/made; {files}").out, before, "nothing is left of what held them")


def containerd(t, node):
    with Containerd(handlers=installed.GUARDED, runc=node.runtime) as c:
        installed.install(c)
        c.write(installed.SETTINGS, summed(
            f"kubefence-settings 1\nhandler nono-runc\ndefault default\nlauncher {installed.LAUNCHER}\nseccomp restricted\nexec sandbox\n"))
        busybox = c.load(images.busybox())
        control = installed.probe(c, busybox, handler="runc")
        t.ok(not any(not control[k] for k in installed.MAY_NOT), "the control may do everything", control)
        got = installed.probe(c, busybox, handler="nono-runc")
        t.ok(installed.sandboxed(got), "guard alone, no plugin: sandboxed", got)
        pod = c.pod("guarded", handler="nono-runc")
        ctr = pod.container(busybox, ["sleep", "3600"], env={"HOME": "/home/user"}, cwd="/work", mounts=[installed.token(c)])
        ctr.start()
        got = installed.parse(ctr.exec("sh", "-c", installed.PROBE).out)
        t.ok(installed.sandboxed(got), "exec, as probes do it: sandboxed", got)
        t.equal(ctr.exec("sh", "-c", "exit 9").code, 9, "with the command's status")
        readonly(t, c, busybox)
        bad = c.pod("bad", handler="nono-runc", annotations={"nono.sh/profile": "nope"})
        try:
            x = bad.container(busybox, ["true"])
            x.start()
            said = "it started"
        except CriError as e:
            said = str(e)
        t.ok("nope" in said and "does not exist" in said, "a refusal's reason is in the pod's events", said)
        os.unlink(c.host(installed.SETTINGS))
        os.unlink(c.host(installed.RUNTIME))
        os.unlink(c.host(installed.LAUNCHER))
        try:
            ctr.exec("true")
            said = "it ran"
        except CriError as e:
            said = str(e)
        t.ok("settings" in said, "a broken node lets nothing in", said)
        ctr.stop()
        pod.remove()
        bad.remove()
        t.ok(True, "and its pods are stopped and removed")


HOSTS = ("runc", "crun")  # those of the distribution that conmon comes from


def containerd_on_newest(t, node):
    if node.name not in HOSTS:
        containerd(t, node)


def conmon_on_hosts(t, node):
    if node.name in HOSTS:
        conmon(t, node)


main([conmon_on_hosts, containerd_on_newest], always_new=True)

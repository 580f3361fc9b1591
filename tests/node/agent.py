# SPDX-License-Identifier: Apache-2.0
"""kubefence node agent and cleanup: a running containerd and plugin, and a stand-in for the API server."""
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from lib import images, node as lib_node
from lib.containerd import Containerd
from lib.cri import DEADLINE, wait_until
from lib.kubeapi import Api
from lib.runtime import Runtime
from live import Host, nnp
from node_root import BIN

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kata"))
import trees  # noqa: E402

NAME = "n1"
FOREIGN = {"key": "example.com/other", "effect": "NoSchedule", "value": "x"}
OURS = "nono.sh/agent-not-ready"
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"


class Agent:
    def __init__(self, c: Runtime, api: Api, config: str, distribution: str = "containerd"):
        self.c, self.api, self.config, self.distribution = c, api, config, distribution
        self.log = c.dir / "agent.log"
        self.ready_file = c.dir / "ready"
        self.process: subprocess.Popen | None = None

    def command(self, *args: str) -> list[str]:
        env = [f"{k}={v}" for k, v in self.api.environment.items()]
        return ["env", *env, f"NODE_NAME={NAME}", BIN / "kubefence", "node", *args]

    def start(self, *args: str) -> "Agent":
        with open(self.log, "ab") as log:
            self.process = self.c.spawn(self.command(
                "agent", "--config", self.config, "--distribution", self.distribution, "--payload", str(self.c.dir / "payload"),
                "--ready-file", str(self.ready_file), "--period", "1", "--timeout", "30", "--taint",
                "--nri-socket", "/run/nri/nri.sock", *args), stdout=log, stderr=log)  # fmt: skip
        return self

    def stop(self) -> float:
        """Seconds that SIGTERM took."""
        start = time.monotonic()
        self.process.terminate()
        self.process.wait(DEADLINE)
        return time.monotonic() - start

    def probe(self) -> subprocess.CompletedProcess:
        return subprocess.run(self.c.inside([BIN / "kubefence", "node", "agent", "--check", "--ready-file", self.ready_file]),
                              capture_output=True, text=True)

    def check(self) -> int:
        return self.probe().returncode

    def cleanup(self, *args: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.c.inside(self.command("cleanup", *args)), capture_output=True, text=True, timeout=120)

    def said(self) -> list[dict]:
        return [json.loads(x) for x in self.log.read_text().splitlines() if x.startswith("{")]


class Marks:
    """What the Node object says."""

    def __init__(self, api: Api):
        self.api = api

    def label(self, key: str = "ready") -> str | None:
        return self.api.nodes[NAME]["metadata"]["labels"].get(f"nono.sh/{key}")

    def condition(self) -> dict:
        return next((x for x in self.api.nodes[NAME]["status"]["conditions"] if x["type"] == "nono.sh/Ready"), {})

    def taints(self) -> list[str]:
        return [x["key"] for x in self.api.nodes[NAME]["spec"].get("taints", [])]

    def is_(self, ready: str, reason: str) -> bool:
        return self.label() == ready and self.condition().get("reason") == reason

    def wait(self, ready: str, reason: str, deadline: float = DEADLINE) -> None:
        wait_until(lambda: self.is_(ready, reason), f"{ready}/{reason}, not {self.label()}/{self.condition()}", deadline)


def handlers(api: Api, *names: str) -> None:
    with api.lock:
        api.nodes[NAME]["status"]["runtimeHandlers"] = [{"name": n} for n in names]


def first_set_up(t, c, api, agent, marks, h, original) -> lib_node.Plugin:
    at_claim = []

    def on_request(method, path, body):
        if method == "PATCH" and '"nono.sh/ready":"false"' in body and not at_claim:
            time.sleep(1)  # a slow API server: what does not wait for it shows
            at_claim.append((h.config(), h.restarts, c.host("/opt/kubefence").exists()))

    api.on_request = on_request
    api.conflicts = 1
    agent.start()
    marks.wait("false", "WaitingForHandlers")
    t.equal(at_claim, [(original, 0, False)], "agent: the node says false before it is touched, after a conflict as well")
    t.ok(marks.taints() == [FOREIGN["key"], OURS], "agent: ... and is tainted, others' taints stay", marks.taints())
    t.ok(agent.check() == 1, "agent: ... and the probe says no")
    handlers(api, "", "runc", "nono-runc")
    marks.wait("false", "PluginDisconnected")
    t.ok("does not run" in marks.condition()["message"], "agent: set up, the kubelet lists the handler, no plugin", marks.condition())
    plugin = lib_node.Plugin(c).start()
    marks.wait("true", "Ready")
    t.ok(marks.taints() == [FOREIGN["key"]], "agent: with the plugin connected it is true and the taint is gone", marks.taints())
    t.ok(int(marks.label("landlock-abi")) >= 1 and marks.condition()["status"] == "True", "agent: ... with ABI label and condition")
    wait_until(lambda: agent.check() == 0, "the probe to say yes")
    t.ok(True, "agent: ... and the probe says yes")
    boxed = c.run(images_busybox(c), ["grep", "NoNewPrivs:.*1", "/proc/self/status"], handler="nono-runc")
    t.ok(boxed.code == 0, "agent: ... and pods are sandboxed", boxed)
    return plugin


def images_busybox(c: Containerd) -> str:
    return c.load(images.busybox())


def plugin_away(t, marks, agent, plugin) -> None:
    plugin.stop(9)
    marks.wait("false", "PluginDisconnected")
    t.ok(OURS in marks.taints(), "agent: plugin killed: false and tainted")
    wait_until(lambda: agent.check() == 1, "the probe to say no")
    plugin.start()
    marks.wait("true", "Ready")
    t.ok(OURS not in marks.taints(), "agent: plugin back: true again")


def others(t, c, api, marks, agent, h, original) -> None:
    (c.dir / "original").write_text(original)
    c.sh(f"cp {c.dir}/original /etc/containerd/config.toml")
    t.ok("nono-runc" not in h.config(), "agent: somebody puts another configuration in place")
    wait_until(lambda: "nono-runc" in h.config(), "the repair")
    marks.wait("true", "Ready")
    t.ok(any(x["msg"] == "changed-by-others" for x in agent.said()), "agent: put right, and true again")


def looked_again(agent) -> None:
    """Wait until the agent has looked at the node since."""
    for _ in range(4):
        stamp = agent.ready_file.read_text()
        wait_until(lambda: agent.ready_file.read_text() != stamp, "the agent's next period")


def programs(t, c, agent, h) -> None:
    """Another version's pod brings its programs: neither drift to the agent nor a restart."""
    newer = c.dir / "newer"
    newer.mkdir()
    for name in ("nono", "nono-bwrap", "nono-runc"):
        (newer / name).write_bytes((c.dir / "payload" / name).read_bytes() + b"\0newer")
    guard, launcher = (c.host(x) for x in ("/opt/kubefence/bin/nono-runc", "/opt/nono-nri/nono"))
    before, restarts = guard.stat().st_ino, h.restarts
    events = len(agent.said())
    for said in (3, 0):
        p = subprocess.run(c.inside([BIN / "kubefence", "node", "programs", "--host-root", "/", "--payload", newer]),
                           capture_output=True, text=True)
        t.ok(p.returncode == 0 and p.stdout.count("installed") == said, f"programs: {said} files were to be brought", p)
    t.ok(guard.read_bytes().endswith(b"newer") and launcher.read_bytes().endswith(b"newer") and
         guard.stat().st_ino != before and guard.stat().st_mode & 0o7777 == 0o755, "programs: replaced, not written to")
    code, said, err = h.node("verify", "--payload", newer, "--nri-socket", "/run/nri/nri.sock")
    t.ok(code == 0, "programs: verify takes them for ours", f"{said} {err}")
    looked_again(agent)
    repairs = [x for x in agent.said()[events:] if x["msg"] in ("changed-by-others", "installed")]
    t.ok(not repairs and h.restarts == restarts, "programs: the agent has nothing to repair", repairs)


def api_away(t, c, api, marks, agent) -> None:
    api.stop()
    agent.stop()
    c.host("/opt/kubefence/bin/nono-runc").unlink()
    agent.start()
    wait_until(lambda: c.host("/opt/kubefence/bin/nono-runc").exists(), "the repair")
    t.ok(any(x["msg"] == "api-unavailable" for x in agent.said()), "agent: without an API server the node is put right all the same")
    with api.lock:
        api.nodes[NAME]["metadata"]["labels"]["nono.sh/ready"] = "false"
    api.start()
    marks.wait("true", "Ready")
    t.ok(True, "agent: ... and told about when it is back")
    api.token = "rotated"
    wait_until(lambda: agent.said()[-1]["msg"] == "api-unavailable", "the token to be refused")
    api.account(c.host(ACCOUNT))
    wait_until(lambda: agent.said()[-1]["msg"] == "api-available", "the new token to be used")
    t.ok(True, "agent: a rotated token is used")
    api.chunked = True


def end(t, c, marks, agent, h) -> None:
    before = (h.config(), h.restarts)
    seconds = agent.stop()
    t.ok(seconds < 30 and agent.process.returncode == 0, f"agent: SIGTERM ends it in {seconds * 1000:.0f} ms")
    t.ok((h.config(), h.restarts) == before and marks.label() == "true", "agent: ... and leaves the node as it is")
    agent.start()
    wait_until(lambda: agent.check() == 0, "the next agent")
    t.equal(h.restarts, before[1], "agent: the next one has nothing to do: no restart")


def stopped_while_busy(t, c, agent) -> None:
    agent.stop()
    holder = c.spawn(["flock", "--no-fork", "/run/kubefence/node.lock", "sh", "-c", "echo held; exec sleep 3600"], stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    c.host("/opt/kubefence/bin/nono-runc").chmod(0o700)
    before = len(agent.said())
    agent.start()
    wait_until(lambda: any(x["msg"] == "published" for x in agent.said()[before:]), "the work to begin")
    seconds = agent.stop()
    t.ok(seconds < 30 and agent.process.returncode == 0, f"agent: SIGTERM while it works on the node: {seconds * 1000:.0f} ms")
    holder.kill()
    holder.wait()
    agent.start()
    wait_until(lambda: agent.check() == 0, "the next agent")
    t.equal(c.host("/opt/kubefence/bin/nono-runc").stat().st_mode & 0o7777, 0o755, "agent: the next one does the work")


class Kata(trees.KataNode):
    """What kata-deploy leaves, below the machine's /opt."""

    def __init__(self, c: Containerd):
        self.c = c

    def path(self, path: str) -> Path:
        return self.c.host(path)

    def command(self, command: str, *args: str) -> list:
        return [BIN / "kubefence", "kata", command, "--distribution", "containerd", *args]

    def kata(self, command: str, *args: str, **_):
        return subprocess.run(self.c.inside(self.command(command, *args)), capture_output=True, text=True, timeout=60)


def kata(t, c, marks, agent, h) -> Kata:
    """Its handler is set up beside the agent, which leaves it alone."""
    k = Kata(c)
    k.deploy(trees.Layout("4.1.0"))
    before = h.restarts
    p = k.kata("install")
    t.ok(p.returncode == 0 and trees.HANDLER in h.config() and h.restarts == before + 1, "kata: installed beside the agent", p)
    events = len(agent.said())
    looked_again(agent)
    marks.wait("true", "Ready")  # the plugin is back after the restart
    p = k.kata("status")
    repairs = [x for x in agent.said()[events:] if x["msg"] in ("changed-by-others", "installed")]
    t.ok(p.returncode == 0 and trees.HANDLER in h.config() and not repairs and h.restarts == before + 1,
         "kata: the agent leaves the handler in place", (p, repairs, h.restarts - before))
    # What is to be known though everything works: the chart's default root file system is for another release.
    k.kata("install", "--image", "/images/image", "--image-for", "3.28.")
    looked_again(agent)
    wait_until(lambda: "kata.rootfsImage" in marks.condition().get("message", ""), f"the condition to tell of the image, not {marks.condition()}")
    t.ok(marks.is_("true", "Ready") and "nono-runc; the guest's root file system is for Kata 3.28, here is 4.1.0" in marks.condition()["message"],
         "kata: a ready node tells that the root file system is not used, and what to set", marks.condition())
    k.kata("install")
    looked_again(agent)
    wait_until(lambda: "Kata" not in marks.condition().get("message", ""), f"the condition to say no more of it, not {marks.condition()}")
    return k


def at_once(t, api, marks, agent, pod) -> None:
    """An uninstallation that fails, the pods deleted, and the next one before the agent has read that the first is over."""
    held = threading.Event()

    def hold(method, path, body):
        """The agent does not see its node from when the request is taken back."""
        if method == "PATCH" and "cancelled" in body:
            held.set()
            api.deaf = NAME

    api.on_request = hold
    p = agent.cleanup("--runtime-class", "nono-runc", "--timeout", "3")
    api.on_request = None
    t.ok(p.returncode == 1 and held.is_set() and "cancelled" in str(api.nodes[NAME]["metadata"]["annotations"]),
         "at once: the first uninstallation failed, its last word is on the node, unread", p)
    other = {"metadata": {"name": "n2", "resourceVersion": "1", "labels": {}, "annotations": {"nono.sh/uninstall": "cancelled"}}}
    api.nodes["n2"] = {**api.node("n2"), **other}
    pod.stop()
    pod.pod.remove()
    second = threading.Thread(target=lambda: results.append(agent.cleanup("--runtime-class", "nono-runc", "--timeout", "60")))
    results: list = []
    second.start()
    wait_until(lambda: "since" in api.nodes[NAME]["metadata"]["annotations"].get("nono.sh/uninstall", ""), "the second request")
    api.deaf = ""
    second.join()
    t.ok(results[0].returncode == 0, "at once: the second ends well", results[0])
    t.ok(not api.nodes[NAME]["metadata"]["annotations"] and not api.nodes["n2"]["metadata"]["annotations"],
         "at once: no node keeps the annotation, one that has no label neither", api.nodes)
    t.ok(marks.label() is None and not marks.condition(), "at once: ... and the node is cleaned up")
    del api.nodes["n2"]
    # The next installation is a new agent on a node that says nothing.
    agent.stop()
    agent.start()
    marks.wait("true", "Ready")
    t.ok(True, "at once: the next installation is not held up")
    killed(t, api, marks, agent)


def killed(t, api, marks, agent) -> None:
    """An uninstallation that is killed, and one that takes over from one that is not."""
    api.nodes["n2"] = {**api.node("n2"), "metadata": {"name": "n2", "resourceVersion": "1", "labels": {"nono.sh/ready": "true"},
                                                      "annotations": {}}}  # a node that is down
    first = agent.c.spawn(agent.command("cleanup", "--timeout", "60"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: marks.label() is None, "the node to be cleaned up")
    wait_until(lambda: "since" in api.nodes["n2"]["metadata"]["annotations"].get("nono.sh/uninstall", ""), "the other one to be asked")
    start = api.nodes["n2"]["metadata"]["annotations"]["nono.sh/uninstall"]
    wait_until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > start.split(" since ")[1], "the clock to go on")
    second = agent.c.spawn(agent.command("cleanup", "--timeout", "60"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = first.communicate(timeout=DEADLINE)[0]
    t.ok(first.returncode == 1 and "another uninstallation" in said, "taken over: the earlier one ends and says so", said)
    t.ok(all("cancelled" not in str(n["metadata"]["annotations"]) for n in api.nodes.values()), "taken over: ... and takes nothing back")
    second.kill()
    second.wait()
    del api.nodes["n2"]
    t.ok("since" in str(api.nodes[NAME]["metadata"]["annotations"]) and marks.label() is None, "killed: its request stays")
    with api.lock:
        api.nodes[NAME]["metadata"]["annotations"]["nono.sh/uninstall"] = "2026-01-01T00:00:00Z since 2025-12-31T23:59:00Z"
    marks.wait("true", "Ready")
    t.ok(not api.nodes[NAME]["metadata"]["annotations"], "killed: once it has run out, the node is set up again and the annotation gone")


def cleanup(t, c, api, marks, agent, h, original) -> None:
    k = kata(t, c, marks, agent, h)
    pod = c.pod("stays", handler="nono-runc").container(images_busybox(c), ["sleep", "600"]).start()
    api.classes = {"nono-runc": api.runtime_class("nono-runc")}
    given = json.loads(json.dumps(api.classes["nono-runc"]))
    seen = {"gone": False, "probe": "", "reason": ""}

    def on_request(method, path, body):
        seen["gone"] = seen["gone"] or (path.startswith("/api/v1/nodes") and not api.classes)
        if marks.condition().get("reason") == "Uninstalling" and "default/stays" in marks.condition()["message"]:
            seen["reason"] = marks.condition()["message"]

    api.on_request = on_request
    p = agent.cleanup("--runtime-class", "nono-runc", "--timeout", "6")
    api.on_request = None
    t.ok(p.returncode == 1 and "default/stays" in p.stderr and f"node {NAME}" in p.stderr and "containers" not in p.stderr,
         "cleanup: a pod is in the way: it is named, and its node", p)
    t.ok("delete the pods" in p.stderr and "uninstall again" in p.stderr, "cleanup: ... and so is the next step", p.stderr)
    t.ok("default/stays" in seen["reason"] and "delete" in seen["reason"], "cleanup: ... the node's condition says the same meanwhile", seen)
    there = api.classes.get("nono-runc", {})
    t.ok(seen["gone"] and {k: there.get(k) for k in ("handler", "scheduling")} == {k: given[k] for k in ("handler", "scheduling")}
         and there["metadata"] == {k: given["metadata"][k] for k in ("name", "labels", "annotations")},
         "cleanup: ... the RuntimeClass went first, and is there again as it was", there)
    t.ok(any("fieldManager=helm&" in path for _, path, _ in api.requests), "cleanup: ... by the name of whoever applied it")
    t.ok(trees.HANDLER not in h.config(), "cleanup: ... Kata's handler, which no pod uses, is away")
    marks.wait("true", "Ready")
    t.ok(nnp(pod) and "nono.sh/uninstall" not in api.nodes[NAME]["metadata"]["annotations"],
         "cleanup: ... taken back: the node is ready again, the pod sandboxed")
    at_once(t, api, marks, agent, pod)
    c.write("/opt/nono-nri/profiles/published", "as the plugin does\n")
    p = agent.cleanup("--runtime-class", "nono-runc", "--timeout", "60")
    t.ok(p.returncode == 0, "cleanup: without the pod it ends well, with no RuntimeClass to delete", p)
    t.ok(marks.label() is None and marks.label("landlock-abi") is None and not marks.condition() and
         marks.taints() == [FOREIGN["key"]] and not api.nodes[NAME]["metadata"]["annotations"],
         "cleanup: label, condition, taint and annotation are gone", api.nodes[NAME])
    t.equal(h.config(), original, "cleanup: the configuration is the original byte by byte")
    left = c.sh("find /opt/kubefence /opt/nono-nri 2>/dev/null || true").out
    left = "".join(x for x in left.splitlines(True) if not x.startswith("/opt/kata"))
    t.ok(left == "", "cleanup: nothing is left of what was installed, Kata's handler neither", left)
    said = agent.probe()
    t.ok(said.returncode == 1 and "not ready: Uninstalled: the node was cleaned up, as its annotation nono.sh/uninstall asked" in said.stderr,
         "cleanup: the agent does not set it up again, and the probe says why", said)
    other = c.spawn(k.command("install", "--every", "1"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    t.ok("the node is being taken back" in other.stdout.readline() and trees.HANDLER not in h.config(),
         "cleanup: ... nor does what sets up Kata's handler")


def once(t, c, api, agent, h) -> None:
    agent.stop()
    api.nodes[NAME] = api.node(NAME)  # a kubelet that does not tell its handlers
    agent.start("--once")
    t.ok(agent.process.wait(60) == 0, "agent --once: ready, also with a kubelet that lists no handlers", agent.log.read_text()[-2000:])
    wait_until(lambda: trees.HANDLER in h.config(), "Kata's handler to be set up again")
    t.ok(True, "agent --once: ... and Kata's handler may be set up again")
    c.sh(f"sed -i 's/^/x/' {agent.config}")
    agent.start("--once")
    t.ok(agent.process.wait(60) == 1 and "required key is missing" in Marks(api).condition()["message"],
         "agent --once: a broken configuration is told", Marks(api).condition())


def run(t, tools, everything: bool) -> None:
    c = Containerd("2.4", standard_paths=True)
    c.handlers.pop("nono-runc")
    with Api() as api, c:
        c.host("/run/nri").mkdir(exist_ok=True)
        h = Host(c)
        original = h.config()
        api.nodes[NAME] = api.node(NAME, handlers=["", "runc"], taints=[FOREIGN])
        api.account(c.host(ACCOUNT))
        plugin = lib_node.Plugin(c)
        agent, marks = Agent(c, api, plugin.config), Marks(api)
        try:
            plugin = first_set_up(t, c, api, agent, marks, h, original)
            plugin_away(t, marks, agent, plugin)
            others(t, c, api, marks, agent, h, original)
            programs(t, c, agent, h)
            api_away(t, c, api, marks, agent)
            end(t, c, marks, agent, h)
            stopped_while_busy(t, c, agent)
            cleanup(t, c, api, marks, agent, h, original)
            once(t, c, api, agent, h)
            refused = set(re.findall(r"refused system call: (\w+)", agent.log.read_text() + plugin.log()))
            t.ok(not refused, "agent, plugin: no call that they need is refused (a debug build tells)", refused)
        except BaseException:
            print("".join(f"# {x}\n" for x in agent.log.read_text().splitlines()[-40:]), flush=True)
            raise

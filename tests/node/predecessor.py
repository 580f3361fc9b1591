# SPDX-License-Identifier: Apache-2.0
"""A node that the Go implementation has set up: found by doctor, cleaned by install, put back by uninstall.

What it leaves is written here in our own words, to the byte as its set-up writes it."""
import os
import stat
import subprocess

import inuse
from doctor import checks, doctor
from lib import images
from lib.containerd import Containerd
from node_root import BIN, GUARD, NodeRoot, runtimes

CONFIG = "/etc/containerd/config.toml"
NRI = """
[plugins."io.containerd.nri.v1.nri"]
  disable = false
  socket_path = "/var/run/nri/nri.sock"
  plugin_path = "/opt/nri/plugins"
  plugin_config_path = "/etc/nri/conf.d"
"""
HANDLER = """
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nono-runc]
  runtime_type = "io.containerd.runc.v2"
"""
SCRIPTS = {"sh": "/bin/sh", "bash": "/bin/bash", "python3": "/usr/bin/python3", "node": "/usr/bin/node"}
SCRIPT = '#!/bin/sh\nexec /nono/nono wrap --profile "${{NONO_PROFILE:-default}}" -- {} "$@"\n'
LEFT = "nothing of an earlier implementation is in the way"
RUNC = """[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
"""


def leave(n: NodeRoot) -> None:
    """Its directory, scripts and launcher, and something that is not its own."""
    n.write("/opt/nono-nri/nono", b"\x7fELF of another\n", 0o755)
    for name, real in SCRIPTS.items():
        n.write(f"/opt/nono-nri/{name}", SCRIPT.format(real), 0o755)
    n.write("/opt/nono-nri/mine.sh", SCRIPT.format("/bin/sh") + "echo more\n", 0o700)
    n.path("/opt/nono-nri").chmod(0o700)


def state(n: NodeRoot) -> dict:
    """Contents, modes and owners of what install touches."""
    out = {}
    for base, dirs, files in os.walk(n.path("/opt")):
        for name in dirs + files:
            p = os.path.join(base, name)
            s = os.lstat(p)
            out[p] = (oct(s.st_mode), s.st_uid, s.st_gid, open(p, "rb").read() if stat.S_ISREG(s.st_mode) else b"")
    out[CONFIG] = n.read(CONFIG)
    return out


def said(n: NodeRoot) -> dict:
    return checks(doctor("-o", "json", root=n.dir)[1])[LEFT]


def there_and_back(t, tools, name: str, line: str, config: str, after: str = "") -> None:
    """@after: what uninstall leaves, if it cannot be @config."""
    with NodeRoot(tools.program("containerd", line), config=config.encode()) as n:
        leave(n)
        before = state(n)
        found = said(n)
        t.ok(found["result"] == "warning", f"{name}: doctor finds it", found)
        starts = subprocess.run(["chroot", n.dir, n.at, "--config", CONFIG, "config", "dump"], capture_output=True, text=True)
        t.ok((starts.returncode == 0) == (not after), f"{name}: control: containerd {'refuses' if after else 'accepts'} what is there", starts.stderr[-300:])
        code, report, err = n.node("install")
        acts = {(e["action"], e["object"]) for e in report.get("events", [])}
        if not t.ok(code == 0, f"{name}: installed", err):
            return
        t.ok(("repaired", CONFIG) in acts if after else ("repaired", CONFIG) not in acts, f"{name}: the table that is in the way is taken out, and only then", acts)
        t.ok({("cleaned", f"/opt/nono-nri/{s}") for s in SCRIPTS} <= acts and not any(n.path(f"/opt/nono-nri/{s}").exists() for s in SCRIPTS),
             f"{name}: its scripts are taken away", acts)
        t.ok(("foreign", "/opt/nono-nri/mine.sh") in acts and n.path("/opt/nono-nri/mine.sh").exists(), f"{name}: ... what only looks like one stays", acts)
        handler = runtimes(n.dump())["nono-runc"]
        t.ok((handler["options"]["BinaryName"], handler["options"].get("SystemdCgroup")) == (GUARD, True),
             f"{name}: the handler has the guard, and the default runtime's options", handler)
        t.equal(n.path("/opt/nono-nri").stat().st_mode & 0o7777, 0o755, f"{name}: the launcher can be reached")
        t.ok(said(n)["result"] == "success", f"{name}: doctor finds nothing any more", said(n))
        settled = n.snapshot()
        t.ok(n.node("install")[1].get("state") == "nothing to do" and n.snapshot() == settled, f"{name}: then there is nothing to do")
        code, report, err = n.node("uninstall")
        t.ok(code == 0 and report["state"] == "done", f"{name}: uninstalled", f"{report} {err}")
        if after:
            before[CONFIG] = after.encode()
        t.equal(state(n), before, f"{name}: all is as it was{', less the table that was in the way' if after else ''}")


def configurations(t, tools, everything: bool) -> None:
    quoted = "version = 3\n[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n" + RUNC
    there_and_back(t, tools, "two NRI tables", "2.4", quoted + NRI + HANDLER, quoted + HANDLER)
    there_and_back(t, tools, "version 3", "2.4", "version = 3\n# mine\n" + RUNC + NRI + HANDLER)
    if not everything:
        return
    default = subprocess.run([tools.program("containerd", "2.4"), "config", "default"], capture_output=True, text=True).stdout
    default = default.replace("SystemdCgroup = false", "SystemdCgroup = true")
    there_and_back(t, tools, "the default configuration of 2.4", "2.4", default + NRI + HANDLER, default + HANDLER)
    v2 = RUNC.replace("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
    there_and_back(t, tools, "version 2 on 2.4", "2.4", "version = 2\n" + v2 + NRI + HANDLER)
    there_and_back(t, tools, "version 2 on 1.7", "1.7", "version = 2\n" + v2 + NRI + HANDLER)


def killed(t, tools) -> None:
    """kill -9 at each step of an install and of an uninstall: the next run finishes, and all is put back."""
    quoted = "version = 3\n[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n" + RUNC
    steps, bad = 0, []
    for command in ("install", "uninstall"):
        for call in ("renameat", "unlinkat", "fchmod"):
            for when in range(1, 40):
                with NodeRoot(tools.program("containerd", "2.4"), config=(quoted + NRI + HANDLER).encode()) as n:
                    leave(n)
                    want = state(n)
                    want[CONFIG] = (quoted + HANDLER).encode()
                    if command == "uninstall":
                        n.node("install")
                    trace = n.path("/strace")
                    n.node(command, prefix=["strace", "-qq", "-o", trace, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"])
                    if "+++ killed by SIGKILL" not in trace.read_text():
                        break
                    steps += 1
                    results = [n.node("install")] if command == "install" else []
                    results.append(n.node("uninstall"))
                    if any(r[0] for r in results) or state(n) != want:
                        bad.append((command, call, when, [r[2] for r in results], {k for k in set(want) | set(state(n)) if want.get(k) != state(n).get(k)}))
    t.ok(steps > 30, f"killed: {steps} steps were reached", steps)
    t.equal(bad, [], "killed at each: the next run finishes, and uninstall puts all back")


def plugin_runs(t, tools) -> None:
    with NodeRoot(tools.program("containerd", "2.4"), config=b"version = 3\n" + RUNC.encode()) as n:
        t.equal(said(n)["result"], "success", "control: a node without leftovers")
        n.write("/proc/4711/comm", "10-nono-nri\n")
        found = said(n)
        t.ok(found["result"] == "error" and "4711" in found["error"] and "DaemonSet" in found["error"], "its plugin at work is an error, with the remedy", found)


def programs(t, tools) -> None:
    """What the plugin's pod brings first: the mode and the launcher of before are not forgotten."""
    with NodeRoot(tools.program("containerd", "2.4"), config=b"version = 3\n" + RUNC.encode()) as n:
        leave(n)
        before = state(n)
        p = subprocess.run([BIN / "kubefence", "node", "programs", "--host-root", n.dir], capture_output=True, text=True)
        t.ok(p.returncode == 0 and n.path("/opt/nono-nri").stat().st_mode & 0o7777 == 0o755, "'node programs' first: the launcher can be reached", p)
        t.ok(n.node("install")[0] == 0 and n.node("uninstall")[0] == 0, "'node programs' first: installed and uninstalled")
        t.equal(state(n), before, "'node programs' first: all is as it was")


def pods_from_before(t) -> None:
    """A real containerd with a pod that was started without the guard: the scripts in its PATH stay until it is gone."""
    c = Containerd(standard_paths=True)
    with c:
        inuse.place(c, "containerd")
        image = c.load(images.busybox())
        old = c.pod("old", handler="nono-runc", namespace="prod").container(image, ["sleep", "600"]).start()
        plain = c.pod("plain", handler="runc").container(image, ["sleep", "600"]).start()
        script = c.write("/opt/nono-nri/sh", SCRIPT.format("/bin/sh"), 0o755)
        code, said = inuse.node(c, "containerd", "install")
        notes = [e["detail"] for e in said.get("events", []) if e["action"] == "note"]
        t.ok(code == 0 and script.exists() and any("prod/old" in x and "plain" not in x for x in notes), "a pod from before runs: the scripts stay, and it is named", said)
        c.restart()
        new = c.pod("new", handler="nono-runc").container(image, ["sleep", "600"]).start()
        t.equal(inuse.users(c, "containerd"), ("2", "default/new, prod/old"), "... it needs the handler as much as a pod of ours")
        old.pod.remove()
        code, said = inuse.node(c, "containerd", "install")
        t.ok(code == 0 and not script.exists() and ("cleaned", "/opt/nono-nri/sh") in {(e["action"], e["object"]) for e in said["events"]},
             "once it is gone the next install takes them, with a pod of ours and others about", said)
        for ctr in (new, plain):
            ctr.pod.remove()
        code, said = inuse.node(c, "containerd", "uninstall")
        t.ok(code == 0 and script.exists() and not c.host("/opt/kubefence").exists(), "uninstalled: the scripts are there again", said)


def run(t, tools, everything: bool) -> None:
    t.case("predecessor: pods from before", pods_from_before, t)
    t.case("predecessor: configurations", configurations, t, tools, everything)
    t.case("predecessor: plugin", plugin_runs, t, tools)
    t.case("predecessor: programs", programs, t, tools)
    if everything:
        t.case("predecessor: killed", killed, t, tools)

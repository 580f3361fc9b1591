# SPDX-License-Identifier: Apache-2.0
"""A running containerd (and CRI-O, see crio.py) with running pods: install, upgrade, a restart that fails, uninstall.

The stand-in for systemctl hands each request to this process, which restarts
the containerd that it runs, so everything but systemd itself is real.
"""
import errno
import json
import shutil
import socket
import subprocess

from lib import images, node as lib_node
from lib.containerd import Containerd, CriError
from lib.cri import wait_until
from lib.runtime import Runtime
from lib.systemctl import Systemctl
from doctor import checks, doctor
from node_root import BIN


class Host(Systemctl):
    """@c as a machine: kubefence runs inside its namespace with the root "/"."""

    def __init__(self, c: Runtime):
        super().__init__(c)
        (c.dir / "payload").mkdir()
        for name in ("nono", "nono-runc", "nono-bwrap"):
            shutil.copy2(BIN / name, c.dir / "payload" / name)

    def node(self, command: str, *args: str, prefix=()):
        cmd = [*prefix, BIN / "kubefence", "node", command, "-o", "json", "--timeout", "30",
               "--distribution", self.unit, "--payload", self.c.dir / "payload", *args]
        p = subprocess.run(self.c.inside(cmd), capture_output=True, text=True, timeout=120)
        try:
            return p.returncode, json.loads(p.stdout), p.stderr
        except ValueError:
            return p.returncode, {}, p.stdout + p.stderr

    def config(self) -> str:
        return self.c.sh("cat /etc/containerd/config.toml").out


def nnp(container) -> bool:
    return container.exec("grep", "-q", "NoNewPrivs:.*1", "/proc/self/status").code == 0


def long_pod(c: Containerd, image: str, **options):
    return c.pod(handler="nono-runc", **options).container(image, ["sleep", "600"]).start()


def plugin_in_doctor(t, line: str, c: Containerd, image: str) -> None:
    """What doctor says of the plugin, and of a container that was started outside while it was away."""
    def said() -> dict:
        return checks(doctor("-o", "json", inside=c.inside)[1])

    connected, outside = "it is connected to the runtime and ready", "every container of the handlers is sandboxed"
    # Not "runs": /proc is the machine's, where other tests' plugins may run.
    t.ok(said()[connected]["result"] in ("skipped", "warning"), f"{line}: doctor: no plugin is connected")
    plugin = lib_node.Plugin(c).start()
    found = said()
    t.ok(found[connected]["result"] == "success" or line in ("1.7", "2.1"), f"{line}: doctor: the plugin is connected", found[connected])
    given = found["the runtime does what it asks for"]
    t.equal(given["result"], "warning" if line in ("1.7", "2.1") else "success", f"{line}: doctor: what the runtime gives the plugin")
    t.equal(found[outside]["result"], "success", f"{line}: doctor: nothing runs outside")
    c.stop()
    found = wait_until(lambda: (lambda f: f if f[connected]["result"] == "warning" else None)(said()), "doctor to notice")
    t.ok("not connected" in found[connected]["error"], f"{line}: doctor: the plugin lost its connection", found[connected])
    c.start()
    wait_until(lambda: said()[connected]["result"] == "success", "the plugin to connect again")
    state = c.host("/run/nono-nri/uid-x/container-x")
    state.mkdir(parents=True)
    (state / "metadata.json").write_text(json.dumps({"pod": "web", "namespace": "prod", "unsandboxed": "args do not start"}))
    found = said()[outside]
    t.ok(found["result"] == "error" and "prod/web" in found["error"], f"{line}: doctor: what the plugin found outside is an error", found)
    plugin.stop()


def changed_profile(t, line: str, c: Containerd, h: Host, image: str) -> None:
    """Profiles that install brings: an upgrade with another version of one, pods running under it."""
    may = ["sh", "-c", "for x in one two; do ls /srv/$x >/dev/null 2>&1 && echo $x; done; true"]
    pods = {"annotations": {"nono.sh/profile": "mine"}}

    def version(path: str) -> None:
        (c.dir / "profiles").mkdir(exist_ok=True)
        (c.dir / "profiles/mine.json").write_text(json.dumps({"filesystem": {"read": [path]}}))

    version("/srv/one")
    before = h.restarts
    code, said, err = h.node("install", "--profiles", str(c.dir / "profiles"))
    t.ok(code == 0 and c.host("/opt/nono-nri/profiles/default").exists() and h.restarts == before,
         f"{line}: profiles are installed, no restart", f"{said} {err}")
    volumes = {"mounts": [(str(c.host(f"/run/{x}")), f"/srv/{x}") for x in ("one", "two")]}
    for x in ("one", "two"):
        c.host(f"/run/{x}").mkdir(exist_ok=True)
    old = c.pod(handler="nono-runc", **pods).container(image, ["sleep", "600"], **volumes).start()
    t.equal(c.run(image, may, handler="nono-runc", **pods, **volumes).out, "one\n", f"{line}: a pod runs under the first version")
    version("/srv/two")
    code, said, err = h.node("install", "--profiles", str(c.dir / "profiles"))
    t.ok(code == 0 and [e["object"] for e in said["events"]] == ["/opt/nono-nri/profiles/mine"] and h.restarts == before,
         f"{line}: of a changed profile that file alone is replaced", f"{said} {err}")
    t.ok(old.exec("true").code == 0 and nnp(old), f"{line}: the pod under the older version lives on, exec is sandboxed")
    t.equal(c.run(image, may, handler="nono-runc", **pods, **volumes).out, "two\n", f"{line}: the next pod runs under the new one")
    code, said, err = h.node("install", "--profiles", str(c.dir / "profiles"))
    t.ok(code == 0 and said["state"] == "nothing to do", f"{line}: then there is nothing to do", said)
    (c.dir / "profiles/mine.json").write_text('{"extends": "default", "no_such_key": 1}')
    kept = c.host("/opt/nono-nri/profiles/mine").read_text()
    code, said, err = h.node("install", "--profiles", str(c.dir / "profiles"))
    t.ok(code == 1 and "no_such_key" in err and c.host("/opt/nono-nri/profiles/mine").read_text() == kept,
         f"{line}: one that does not compile is refused with its place, nothing changes", err)
    old.pod.remove()


def broken_while_running(t, line: str, c: Containerd, h: Host, image: str) -> None:
    """Pods of a node that lost its settings, or the guard itself, can still be ended."""
    first, second, third = (long_pod(c, image) for _ in range(3))
    lost = ("/opt/kubefence/settings", "/opt/kubefence/runtime", "/opt/nono-nri/nono")
    for path in lost:
        c.host(path).rename(c.host(path + ".away"))
    try:
        c.run(image, ["true"], handler="nono-runc")
        t.ok(False, f"{line}: without settings and launcher nothing starts")
    except CriError as e:
        t.ok("nono-runc" in str(e), f"{line}: without settings and launcher nothing starts", e)
    first.stop()
    first.pod.remove()
    t.ok(True, f"{line}: ... and a running pod is stopped and deleted")
    for path in lost:
        c.host(path + ".away").rename(c.host(path))
    c.host("/opt/kubefence/bin/nono-runc").unlink()
    second.pod.c.cri("RuntimeService/Version")
    try:
        second.stop()
        second.pod.remove()
        t.ok(False, f"{line}: the control: without the guard's file a pod cannot be deleted")
    except CriError as e:
        t.ok("nono-runc" in str(e), f"{line}: the control: without the guard's file a pod cannot be deleted", e)
    code, said, err = h.node("verify")
    t.ok(code == 1 and "kubefence node programs" in json.dumps(said), f"{line}: verify names the remedy", said)
    _code, out, _err = doctor("-o", "json", inside=c.inside)
    t.ok("kubefence node programs" in out, f"{line}: doctor too", out)
    r = c.sh(f"{BIN}/kubefence node programs --host-root / --payload {c.dir}/payload")
    t.equal(r.out, "installed /opt/kubefence/bin/nono-runc\n", f"{line}: the remedy puts the guard back, and nothing else")
    for ctr in (second, third):
        ctr.stop()
        ctr.pod.remove()
    t.ok(True, f"{line}: ... and the pods are stopped and deleted")
    t.ok(c.run(image, ["true"], handler="nono-runc").code == 0, f"{line}: ... and the next one starts")
    code, said, err = h.node("verify")
    t.ok(code == 0, f"{line}: ... and verify agrees", f"{said} {err}")


def scenario(t, line: str) -> None:
    c = Containerd(line, standard_paths=True)
    c.handlers.pop("nono-runc")
    with c:
        busybox = c.load(images.busybox())
        h = Host(c)
        original = h.config()
        plain = c.pod("plain", handler="runc").container(busybox, ["sleep", "600"]).start()

        h.fail = 1
        code, said, err = h.node("install")
        t.ok(code == 1 and "systemctl restart containerd" in err, f"{line}: a restart that fails is reported", err)
        left = {e["object"] for e in said["events"] if e["action"] == "left"}
        t.ok(said["success"] is False and said["state"].startswith("not installed, programs are left") and "/opt/kubefence/bin/nono-runc" in left,
             f"{line}: ... as a failure, with the state of the node and the programs that are left", said)
        code, said, err = h.node("status")
        t.ok(code == 0 and said["state"].startswith("not installed, programs are left") and not [e for e in said["events"] if e["action"] in ("handler", "config")],
             f"{line}: ... status tells of no handler, no configuration", said)
        t.equal(h.config(), original, f"{line}: ... the configuration is the old one again")
        t.ok(h.restarts == 2 and c.run(busybox, ["true"], handler="runc").code == 0, f"{line}: ... and serves")

        code, said, err = h.node("install")
        if not t.ok(code == 0 and said["state"] == "done", f"{line}: installed on the running containerd", f"{said} {err}"):
            return
        t.ok(plain.exec("true").code == 0, f"{line}: pods from before survive")
        t.equal(h.node("status")[1]["state"], "installed", f"{line}: status: installed, for the runtime lists the handler")
        boxed = c.pod("boxed", handler="nono-runc").container(busybox, ["sleep", "600"]).start()
        t.ok(nnp(boxed) and not nnp(plain), f"{line}: a pod of the new handler is sandboxed, one of the old is not")
        code, said, err = h.node("verify")
        t.ok(code == 0, f"{line}: verify agrees, handler listed on the CRI socket", f"{said} {err}")
        code, out, err = doctor("-o", "json", inside=c.inside)
        t.ok(code == 0 and json.loads(out)["success"] is True, f"{line}: doctor finds no error", out)
        plugin_in_doctor(t, line, c, busybox)
        before = h.restarts
        code, said, err = h.node("install")
        t.ok(code == 0 and said["state"] == "nothing to do" and h.restarts == before, f"{line}: nothing to do, no restart", said)

        with open(c.dir / "payload/nono-runc", "ab") as f:
            f.write(b"\0upgraded")
        code, said, err = h.node("install")
        t.ok(code == 0 and said["state"] == "done" and h.restarts == before, f"{line}: an upgraded guard needs no restart", f"{said} {err}")
        t.ok(nnp(boxed) and plain.exec("true").code == 0, f"{line}: both pods survive the upgrade, exec is sandboxed still")
        t.equal(c.host("/opt/kubefence/bin/nono-runc").read_bytes()[-8:], b"upgraded", f"{line}: the new guard is there")

        changed_profile(t, line, c, h, busybox)
        broken_while_running(t, line, c, h, busybox)

        code, said, err = h.node("uninstall")
        t.ok(code == 0 and "not finished" in said["state"] and any(e["action"] == "kept" for e in said["events"]),
             f"{line}: uninstall keeps the guard while a container uses it", f"{said} {err}")
        t.ok(nnp(boxed) and plain.exec("true").code == 0, f"{line}: both pods survive, exec is sandboxed still")
        boxed.stop()
        boxed.pod.remove()
        # containerd is a moment behind: what it began to remove may still be there.
        code, said, err = wait_until(lambda: (lambda r: r if r[0] or r[1]["state"] == "done" else None)(h.node("uninstall")), "the uninstall to finish")
        t.ok(code == 0 and said["state"] == "done" and not c.host("/opt/kubefence").exists() and not c.host("/opt/nono-nri").exists(),
             f"{line}: once it is gone a second uninstall finishes", f"{said} {err}")
        t.equal(h.config(), original, f"{line}: ... and the configuration is the original byte by byte")
        t.ok(plain.exec("true").code == 0 and c.run(busybox, ["true"], handler="runc").code == 0, f"{line}: containerd serves on")


def effects(t, line: str) -> None:
    """NRI that somebody cancels elsewhere: on the running containerd it counts what is so, not what we wrote."""
    modern = not line.startswith("1.")
    c = Containerd(line, standard_paths=True)
    c.handlers.pop("nono-runc")
    nri, later = "/run/nri/nri.sock", "/etc/containerd/conf.d/99-site.toml"
    version = "3" if modern else "2"

    def configure(text: str) -> None:
        c.put(c.config_path, text)
        c.restart()

    def plugin_check() -> dict:
        return checks(doctor("-o", "json", inside=c.inside)[1])["the NRI socket is there"]

    with c:
        h = Host(c)
        plain = h.config()
        off = plain.replace("\n", '\ndisabled_plugins = ["io.containerd.nri.v1.nri"]\n', 1)
        configure(off)
        t.ok(not nri_served(c, nri) and plugin_check()["result"] == "error", f"{line}: control: with NRI among disabled_plugins there is no socket")
        code, said, err = h.node("install")
        t.ok(code == 0 and nri_served(c, nri) and plugin_check()["result"] == "success", f"{line}: install takes it out, and the socket is served", f"{said} {err}")
        plugin = lib_node.Plugin(c).start()
        t.ok(plugin.entries("connected"), f"{line}: ... to the plugin, which connects")
        plugin.stop()
        t.ok(h.node("verify")[0] == 0, f"{line}: ... verify agrees")
        code, said, err = h.node("uninstall")
        t.ok(code == 0 and h.config() == off, f"{line}: ... uninstall puts the owner's line back", f"{said} {err} {h.config()[:200]}")

        imports = plain.replace("\n", '\nimports = ["/etc/containerd/conf.d/*.toml"]\n', 1)
        cancel = {"the plugin's own key": "[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n",
                  "disabled_plugins": 'disabled_plugins = ["io.containerd.nri.v1.nri"]\n'}
        for what, text in cancel.items():
            c.put(later, f"version = {version}\n{text}")
            configure(imports)
            code, said, err = h.node("install")
            t.ok(code == 1 and later in err and h.config() == imports, f"{line}: cancelled by {what} of a later file: refused, with its name", f"{said} {err}")
            c.sh(f"rm {later}")
            c.restart()
            code, said, err = h.node("install")
            t.ok(code == 0, f"{line}: ... without that file it installs", err)
            c.put(later, f"version = {version}\n{text}")
            c.restart()
            code, said, err = h.node("verify")
            t.ok(code == 1 and later in json.dumps(said), f"{line}: {what} in a file that comes afterwards: verify names it", f"{said} {err}")
            t.ok(not nri_served(c, nri) and plugin_check()["result"] == "error", f"{line}: ... and doctor says that the socket is not served")
            c.sh(f"rm {later}")
            c.restart()
            t.ok(h.node("uninstall")[0] == 0, f"{line}: ... uninstalled")

        configure(plain)
        c.host("/run/in-the-way").write_text("")
        code, said, err = h.node("install", "--nri-socket", "/run/in-the-way/nri.sock", "--timeout", "15")
        t.ok(code == 1 and h.config() == plain, f"{line}: a socket that the runtime cannot open: install is rolled back", f"{said} {err}")
        print(f"# {line}: {err.strip()[:300]}")


def nri_served(c: Containerd, path: str) -> bool:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # another kind: nobody notices
    try:
        s.connect(f"/proc/{c._holder.pid}/root{path}")
    except OSError as e:
        return e.errno == errno.EPROTOTYPE
    finally:
        s.close()


# Each occurrence is a step: files, programs that are run (dump, systemctl) and waited for, the CRI socket.
STEPS = ("renameat", "unlinkat", "clone", "wait4", "connect", "poll")


def pods_run(c: Runtime, image: str, _configured: bool) -> str:
    """Why the runtime does not serve, now and after a restart; "" if it does."""
    try:
        served = c.run(image, ["echo", "up"], handler="runc").out
        c.restart()  # as a node that boots now
        served += c.run(image, ["echo", "up"], handler="runc").out
    except CriError as e:
        return str(e)
    return "" if served == "up\nup\n" else served


def killed(t, line: str, c: Runtime, machine=Host, wrong=pods_run) -> None:
    """kill -9 at each step of an install and an uninstall on a running runtime, its restart among them.
    @wrong(c, image, whether the new configuration is there) says what does not work afterwards."""
    c.handlers.pop("nono-runc", None)
    with c:
        image = c.load(images.busybox())
        h = machine(c)
        plain = c.pod("plain", handler="runc").container(image, ["sleep", "600"]).start()
        old = h.config()
        t.ok(h.node("install")[0] == 0, f"{line}: control: installs")
        new = h.config()

        def one(command: str, call: str, when: int) -> tuple[bool, bool, str]:
            """Whether it was killed, whether the restart had begun, and what is wrong then."""
            h.node("uninstall" if command == "install" else "install")
            before = h.restarts
            h.node(command, prefix=["strace", "-qq", "-o", c.dir / "strace", "-e", f"trace={call}",
                                    "-e", f"inject={call}:signal=SIGKILL:when={when}"])
            if "+++ killed by SIGKILL" not in (c.dir / "strace").read_text():
                return False, False, ""
            h.idle()  # what systemctl was asked for it does, whoever asked
            if h.config() not in (old, new):
                return True, False, f"the configuration is neither the old nor the new one:\n{h.config()}"
            why = wrong(c, image, h.config() == new)
            if not why and plain.exec("true").code:
                why = "the container of before cannot be entered"
            return True, h.restarts > before, why

        for command in ("install", "uninstall"):
            steps, during, bad = 0, 0, []
            for call in STEPS:
                for when in range(1, 60):
                    was, restarted, why = one(command, call, when)
                    if not was:
                        break
                    steps, during = steps + 1, during + restarted
                    if why:
                        bad.append(f"{call} {when}: {why}")
            t.ok(steps > 20 and during > 3, f"{line}: {command}: every step was reached ({steps}, {during} after the restart began)")
            t.ok(not bad, f"{line}: {command} killed at each: the old or the new configuration serves", "\n".join(bad))
        code, said, err = h.node("install")
        t.ok(code == 0 and h.node("verify")[0] == 0 and nnp(long_pod(c, image)), f"{line}: and the next run finishes", f"{said} {err}")
        t.equal(c.sh("find /etc /opt -name '*.tmp'").out, "", f"{line}: nothing of killed writers is left")


def run(t, tools, everything: bool) -> None:
    for line in ("2.4",) if everything else ():
        t.case(f"killed {line}", killed, t, line, Containerd(line, standard_paths=True))
    for line in ("1.7", "2.4") if everything else ():
        t.case(f"effects {line}", effects, t, line)
    for line in ("1.7", "2.1", "2.2", "2.3", "2.4") if everything else ("2.4",):
        t.case(f"live {line}", scenario, t, line)

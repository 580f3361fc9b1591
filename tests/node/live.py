# SPDX-License-Identifier: Apache-2.0
"""A running containerd with running pods: install, upgrade, a restart that fails, uninstall.

The stand-in for systemctl hands each request to this process, which restarts
the containerd that it runs, so everything but systemd itself is real.
"""
import json
import shutil
import subprocess

from lib import images
from lib.containerd import Containerd
from lib.systemctl import Systemctl
from doctor import doctor
from node_root import BIN


class Host(Systemctl):
    """@c as a machine: kubefence runs inside its namespace with the root "/"."""

    def __init__(self, c: Containerd):
        super().__init__(c)
        (c.dir / "payload").mkdir()
        for name in ("nono", "nono-runc"):
            shutil.copy2(BIN / name, c.dir / "payload" / name)

    def node(self, command: str, *args: str, prefix=()):
        cmd = [*prefix, BIN / "kubefence", "node", command, "-o", "json", "--timeout", "30",
               "--distribution", "containerd", "--payload", self.c.dir / "payload", *args]
        p = subprocess.run(self.c.inside(cmd), capture_output=True, text=True, timeout=120)
        try:
            return p.returncode, json.loads(p.stdout), p.stderr
        except ValueError:
            return p.returncode, {}, p.stdout + p.stderr

    def config(self) -> str:
        return self.c.sh("cat /etc/containerd/config.toml").out


def nnp(container) -> bool:
    return container.exec("grep", "-q", "NoNewPrivs:.*1", "/proc/self/status").code == 0


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
        t.equal(h.config(), original, f"{line}: ... the configuration is the old one again")
        t.ok(h.restarts == 2 and c.run(busybox, ["true"], handler="runc").code == 0, f"{line}: ... and serves")

        code, said, err = h.node("install")
        if not t.ok(code == 0 and said["state"] == "done", f"{line}: installed on the running containerd", f"{said} {err}"):
            return
        t.ok(plain.exec("true").code == 0, f"{line}: pods from before survive")
        boxed = c.pod("boxed", handler="nono-runc").container(busybox, ["sleep", "600"]).start()
        t.ok(nnp(boxed) and not nnp(plain), f"{line}: a pod of the new handler is sandboxed, one of the old is not")
        code, said, err = h.node("verify")
        t.ok(code == 0, f"{line}: verify agrees, handler listed on the CRI socket", f"{said} {err}")
        code, out, err = doctor("-o", "json", inside=c.inside)
        t.ok(code == 0 and json.loads(out)["success"] is True, f"{line}: doctor finds no error", out)
        before = h.restarts
        code, said, err = h.node("install")
        t.ok(code == 0 and said["state"] == "nothing to do" and h.restarts == before, f"{line}: nothing to do, no restart", said)

        with open(c.dir / "payload/nono-runc", "ab") as f:
            f.write(b"\0upgraded")
        code, said, err = h.node("install")
        t.ok(code == 0 and said["state"] == "done" and h.restarts == before, f"{line}: an upgraded guard needs no restart", f"{said} {err}")
        t.ok(nnp(boxed) and plain.exec("true").code == 0, f"{line}: both pods survive the upgrade, exec is sandboxed still")
        t.equal(c.host("/opt/kubefence/bin/nono-runc").read_bytes()[-8:], b"upgraded", f"{line}: the new guard is there")

        code, said, err = h.node("uninstall")
        t.ok(code == 0 and "not finished" in said["state"] and any(e["action"] == "kept" for e in said["events"]),
             f"{line}: uninstall keeps the guard while a container uses it", f"{said} {err}")
        t.ok(nnp(boxed) and plain.exec("true").code == 0, f"{line}: both pods survive, exec is sandboxed still")
        boxed.stop()
        boxed.pod.remove()
        code, said, err = h.node("uninstall")
        t.ok(code == 0 and said["state"] == "done" and not c.host("/opt/kubefence").exists() and not c.host("/opt/nono-nri").exists(),
             f"{line}: once it is gone a second uninstall finishes", f"{said} {err}")
        t.equal(h.config(), original, f"{line}: ... and the configuration is the original byte by byte")
        t.ok(plain.exec("true").code == 0 and c.run(busybox, ["true"], handler="runc").code == 0, f"{line}: containerd serves on")


def run(t, tools, everything: bool) -> None:
    for line in ("1.7", "2.1", "2.2", "2.3", "2.4") if everything else ("2.4",):
        t.case(f"live {line}", scenario, t, line)

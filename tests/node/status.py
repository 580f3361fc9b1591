# SPDX-License-Identifier: Apache-2.0
"""What status, and the JSON of a run that failed, say of a node: what is there, never what was meant to be."""
import shutil

from layouts import shell
from lib import tools as lib_tools
from lib.containerd import Containerd
from live import Host
from node_root import GUARD, NRI, NodeRoot

CONFIG = "/etc/containerd/config.toml"
BASE = b"version = 3\n# theirs\n"
LEFT = "not installed, programs are left; run install or uninstall"
CRIO_CONF = """[crio]
[crio.runtime]
default_runtime = "crun"
[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_type = "oci"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
allowed_annotations = ["io.containers.trace-syscall"]
[crio.runtime.runtimes.kata]
runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
runtime_type = "vm"
"""


def state(n) -> str:
    return n.node("status")[1].get("state")


def rolled_back(t, n: NodeRoot, name: str, breaks: str, text: str, why: str, clean) -> None:
    """A first install that fails because of a file @breaks of the owner's, an upgrade that does, and the way back."""
    t.equal(state(n), "not installed", f"{name}: nothing there: not installed")
    n.write(breaks, text)
    code, said, err = n.node("install")
    left = sorted(e["object"] for e in said["events"] if e["action"] == "left")
    t.ok(code == 1 and said["success"] is False and said["state"] == LEFT and why in said["error"],
         f"{name}: an install that is rolled back: its JSON says failure, and what the node is", said)
    t.ok(GUARD in left and all(n.path(f).exists() for f in left), f"{name}: ... and names each program that is left", said)
    code, said, err = n.node("status")
    t.ok(said["state"] == LEFT and not [e for e in said["events"] if e["action"] in ("handler", "config")],
         f"{name}: ... status says the same, and of no handler and no configuration", said)
    t.ok(n.node("verify")[0] == 1, f"{name}: ... verify fails")
    code, said, err = n.node("uninstall")
    t.ok(code == 0 and clean(n) and state(n) == "not installed", f"{name}: uninstall removes them", said)

    n.path(breaks).unlink()
    n.node("install")
    t.equal(state(n), "installed, restart pending", f"{name}: installed without a restart: said")
    n.write(breaks, text)
    code, said, err = n.node("install", "--handler", "nono-runc", "--handler", "second")
    t.ok(code == 1 and said["success"] is False and any(e["action"] == "restored" for e in said["events"]),
         f"{name}: an upgrade that is rolled back: a failure", said)
    n.path(breaks).unlink()
    code, said, err = n.node("status")
    t.ok(said["state"] == "installed, restart pending" and [e["object"] for e in said["events"] if e["action"] == "handler"] == ["nono-runc"],
         f"{name}: ... what was installed still is, with the handlers that it had", said)
    code, said, err = n.node("uninstall")
    t.ok(code == 0 and clean(n), f"{name}: ... and all of it goes", said or err)


def containerd(t, program) -> None:
    imports = BASE + b"imports = ['/etc/containerd/conf.d/*.toml']\n"
    with NodeRoot(program, config=imports) as n:
        n.path("/etc/containerd/conf.d").mkdir()
        rolled_back(t, n, "containerd", "/etc/containerd/conf.d/99-site.toml", f"version = 3\n[plugins.'{NRI}']\n  disable = true\n", NRI,
                    lambda n: not n.path("/etc/containerd/conf.d/90-kubefence.toml").exists() and not n.path("/opt/kubefence").exists())
    with NodeRoot(program, config=BASE) as n:
        shell(n, "containerd")
        code, said, err = n.node("install", "--timeout", "1", restart=True)
        t.ok(code == 1 and said["success"] is False and said["state"].startswith("interrupted") and n.read(CONFIG) == BASE,
             "containerd: one that does not come back with the old configuration either: interrupted", said)
        code, said, err = n.node("status")
        t.ok({"action": "config", "object": CONFIG, "detail": "as before the installation"} in said["events"],
             "containerd: ... and its configuration is as before", said)
        n.node("uninstall")
        n.node("install")
        ours = n.read(CONFIG)
        n.write(CONFIG, BASE)
        code, said, err = n.node("status")
        t.ok(said["state"] == "not as installed, run install again" and {"action": "config", "object": CONFIG, "detail": "as before the installation"} in said["events"],
             "containerd: the configuration went back: not as installed", said)
        n.write(CONFIG, ours.replace(GUARD.encode(), b"/usr/sbin/runc"))
        t.equal(state(n), "not as installed, run install again", "containerd: the handler does not lead to the guard any more: not as installed")
        n.write(CONFIG, ours + b"# theirs\n")
        t.equal(state(n), "installed, restart pending", "containerd: a remark more changes nothing")
        n.write(CONFIG, b"no toml")
        code, said, err = n.node("status")
        t.ok(said["state"].startswith("not known"), "containerd: a configuration that it cannot read: not known", said)
        n.write(CONFIG, ours)
        n.path(GUARD).unlink()
        t.equal(state(n), "not as installed, run install again", "containerd: a guard that is lost: not as installed")
        shutil.rmtree(n.path("/opt/kubefence"))
        code, said, err = n.node("status")
        t.ok(said["state"] == "not installed, but the configuration names the guard", "containerd: the journal is lost: the handlers are found all the same", said)


def crio(t) -> None:
    with NodeRoot() as n:
        shell(n, "crio")
        n.crio(CRIO_CONF)
        n.write("/usr/libexec/crio/crun", b"", 0o755)
        rolled_back(t, n, "CRI-O", "/etc/crio/broken", "", "nono-runc",
                    lambda n: not n.path("/etc/crio/crio.conf.d/90-kubefence.conf").exists() and not n.path("/opt/kubefence").exists())


def directories(t, program) -> None:
    """What is made for the configuration's file goes with it, and only then."""
    with NodeRoot(program) as n:
        etc = n.path("/etc/containerd")
        n.path("/etc").mkdir(exist_ok=True)
        n.node("install")
        t.ok(n.path(CONFIG).exists(), "directories: control: install makes /etc/containerd")
        n.node("install", "--handler", "nono-runc", "--handler", "second")
        code, said, err = n.node("uninstall")
        t.ok(code == 0 and not etc.exists() and n.path("/etc").exists(), "directories: after an upgrade, uninstall takes it away; /etc stays", said or err)
        n.node("install")
        (etc / "theirs").write_text("")
        code, said, err = n.node("uninstall")
        t.equal([p.name for p in etc.iterdir()], ["theirs"], "directories: somebody else has put something there: it stays")
        (etc / "theirs").unlink()
        n.node("install")
        code, said, err = n.node("uninstall")
        t.ok(code == 0 and etc.is_dir(), "directories: one that was there before stays", said or err)
        etc.rmdir()
        shell(n, "containerd")
        code, said, err = n.node("install", "--timeout", "1", restart=True)
        t.ok(code == 1 and not etc.exists(), "directories: an install that is rolled back leaves none", said or err)
        n.node("uninstall")
        t.ok(not etc.exists() and not n.path("/opt/kubefence").exists(), "directories: ... nor does the way back")


def running(t) -> None:
    """The file says one thing, the running containerd another."""
    c = Containerd("2.4", standard_paths=True)
    c.handlers.pop("nono-runc")
    with c:
        h = Host(c)
        h.node("install", "--no-restart")
        code, said, err = h.node("status")
        t.ok(said["state"] == "installed, restart pending" and any(e["action"] == "handler" and e["detail"] for e in said["events"]),
             "running: a containerd that was not restarted does not list the handler: said", said)
        c.restart()
        code, said, err = h.node("status")
        t.ok([e["detail"] for e in said["events"] if e["action"] == "handler"] == [""], "running: once it was restarted it does", said)


def run(t, tools, everything: bool) -> None:
    t.case("status containerd", containerd, t, lib_tools.program("containerd", "2.4"))
    t.case("status CRI-O", crio, t)
    t.case("directories", directories, t, lib_tools.program("containerd", "2.4"))
    t.case("status running", running, t)
